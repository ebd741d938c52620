import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, loadConfig } from './load.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firebreak-access-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function load(access: string | undefined, main = 'access: { file: access.yaml }') {
  if (access !== undefined) await writeFile(join(folder, 'access.yaml'), access);
  await writeFile(join(folder, 'firebreak.yaml'), main);
  return loadConfig(join(folder, 'firebreak.yaml'));
}

async function problemsOf(access: string | undefined, main?: string): Promise<string[]> {
  try {
    await load(access, main);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(
      ({ file, line, column, path, message }) =>
        `${file?.replace(folder, '') ?? ''} ${line}:${column} ${path}: ${message}`,
    );
  }
  return [];
}

const GOOD = `
people:
  - { id: mara, name: Mara, email: Mara@example.com, groups: [ml-oncall], tokens: ['file:tokens/mara', 'env:MARA'] }
  - { id: ben, name: Ben, groups: [commander] }
rules: { responder: [ml-oncall], commander: [commander] }
decisionTtl: 10m
`;

describe('an access file', () => {
  it('gives people, rules and the life of decisions, with defaults; secrets are seen from its folder', async () => {
    const { access } = await load(GOOD);
    expect(access).toMatchObject({
      file: join(folder, 'access.yaml'),
      people: [
        { id: 'mara', active: true, tokens: [`file:${folder}/tokens/mara`, 'env:MARA'] },
        { id: 'ben' },
      ],
      rules: { viewer: ['*'], responder: ['ml-oncall'], commander: ['commander'], breakGlass: [] },
      decisionTtl: 600_000,
    });
    expect(Object.isFrozen(access.people)).toBe(true);
  });

  it('stands beside the issuer and the pager, which belong to the installation', async () => {
    const main = `access:
  file: access.yaml
  oidc: { issuer: 'https://login.example.com', clientId: firebreak }
  pagerduty: { apiToken: 'env:PAGERDUTY' }
`;
    const { access } = await load(
      `${GOOD}onCall: { ml-oncall: { pagerduty: { schedules: [PI7DH85] } } }\n`,
      main,
    );
    expect(access.oidc).toMatchObject({
      issuer: 'https://login.example.com',
      scopes: ['openid', 'email', 'offline_access'],
    });
    expect(access.pagerduty?.url).toBe('https://api.pagerduty.com');
    expect(access.onCall['ml-oncall']).toEqual({
      pagerduty: { schedules: ['PI7DH85'], escalationPolicies: [] },
      decisions: ['approve'],
    });
  });

  it('tells every problem with its own place and path', async () => {
    expect(
      await problemsOf(`people:
  - { id: mara, name: Mara, email: mara@example.com, groups: [ml-oncall] }
  - { id: maria, name: Maria, email: MARA@EXAMPLE.com, slackUserId: U1 }
  - { id: mara, name: Mara, slackUserId: U1 }
rules: { commander: [nobody-is-here] }
onCall:
  ml-oncall: { pagerduty: { schedules: [PI7DH85] } }
`),
    ).toEqual([
      "/access.yaml 3:31 people.1.email: the e-mail mara@example.com is mara's already",
      "/access.yaml 4:7 people.2.id: the id mara is mara's already",
      "/access.yaml 4:29 people.2.slackUserId: the Slack user U1 is maria's already",
      '/access.yaml 5:22 rules.commander.0: nobody is in the group nobody-is-here',
      '/access.yaml 7:3 onCall.ml-oncall: who is on call is asked at PagerDuty: configure access.pagerduty',
    ]);
  });

  it('is checked by the schema, and an unknown setting is an error', async () => {
    expect(await problemsOf("people: [{ id: Mara, name: '', email: nope }]\nroles: {}\n")).toEqual([
      expect.stringMatching(/^\/access.yaml 1:\d+ people.0.id: lower case/),
      expect.stringMatching(/^\/access.yaml 1:\d+ people.0.name: /),
      expect.stringMatching(/^\/access.yaml 1:\d+ people.0.email: /),
      '/access.yaml 2:1 roles: there is no such setting',
    ]);
  });

  it.each([
    ['is not there', undefined, 'there is no such file'],
    ['is no YAML', 'people: [', undefined],
  ])('that %s is told', async (_what, text, message) => {
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(message === undefined ? problems.length : 1);
    expect(problems[0]).toContain(message ?? '/access.yaml');
  });

  it('holds all of it: people in both places are an error', async () => {
    expect(await problemsOf(GOOD, 'access:\n  file: access.yaml\n  people: []\n  rules: {}\n')).toEqual([
      ' 3:3 access.people: the access file holds this: write it there',
      ' 4:3 access.rules: the access file holds this: write it there',
    ]);
  });

  it('is told with its name in what a person reads', async () => {
    await expect(load('people: 5')).rejects.toThrow(/people: .*access\.yaml, line 1, column/);
  });
});

describe('the access section', () => {
  it.each([
    [
      'an issuer that is not https',
      "oidc: { issuer: 'http://login.example.com', clientId: x }",
      /oidc.issuer: .*https/,
    ],
    [
      'a schedule that is none',
      'onCall: { a: { pagerduty: { schedules: [my schedule] } } }',
      /expected an id of PagerDuty/,
    ],
    [
      'no schedule and no policy',
      'onCall: { a: { pagerduty: {} } }',
      /name a schedule or an escalation policy/,
    ],
    [
      'a group of which nobody could be found on call',
      "pagerduty: { apiToken: 'env:P' }\n  people: [{ id: a, name: A, groups: [a] }]\n  onCall: { a: { pagerduty: { schedules: [PI7DH85] } } }",
      /onCall.a: nobody in the group a has an email/,
    ],
  ])('cannot have %s', async (_what, text, problem) => {
    expect((await problemsOf(undefined, `access:\n  ${text}\n`)).join()).toMatch(problem);
  });
});
