import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, parseConfig, resolveSecret } from './load.ts';

const SOURCE = { file: '/etc/firebreak/firebreak.yaml', folder: '/etc/firebreak' };

const GOOD = `
clusters:
  eu-1:
    kubeconfig: kube/config
    prometheus: { url: 'http://127.0.0.1:9090', bearerToken: 'file:secrets/prometheus', timeout: 3s }
    namespaces:
      ai: { mode: approve }
      other: {}
runbooks: { paths: [runbooks, /srv/runbooks, ~/mine] }
access:
  people:
    - { id: alice, name: Alice, groups: [ml-oncall], tokens: ['env:ALICE_TOKEN'] }
  rules: { responder: [ml-oncall] }
`;

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, SOURCE);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message, line, column }) => `${line}:${column} ${path}: ${message}`);
  }
  return [];
}

describe('parseConfig', () => {
  it('gives the defaults for an empty file', () => {
    const config = parseConfig('', SOURCE);
    expect(config.server).toMatchObject({ host: '127.0.0.1', port: 8787 });
    expect(config.dataDir).toBe('/etc/firebreak/.firebreak/data');
    expect(config.temporal.encryption).toBe(true);
  });

  it('reads durations, fills in modes, and sees relative paths from the folder of the file', () => {
    const config = parseConfig(GOOD, SOURCE);
    const cluster = config.clusters['eu-1'];
    expect(cluster).toMatchObject({
      kubeconfig: '/etc/firebreak/kube/config',
      prometheus: { bearerToken: 'file:/etc/firebreak/secrets/prometheus', timeout: 3_000 },
      namespaces: { ai: { mode: 'approve' }, other: { mode: 'observe' } },
    });
    expect(config.runbooks.paths).toEqual([
      '/etc/firebreak/runbooks',
      '/srv/runbooks',
      join(homedir(), 'mine'),
    ]);
    expect(config.access.people[0]?.tokens).toEqual(['env:ALICE_TOKEN']);
  });

  it('is frozen all through', () => {
    const config = parseConfig(GOOD, SOURCE);
    expect(() => {
      (config.access.people[0]?.groups ?? []).push('commander');
    }).toThrow(TypeError);
    expect(() => {
      config.server.port = 1;
    }).toThrow(TypeError);
  });

  it('reports every problem at once, each with its path and its place', () => {
    const problems = problemsOf(`
bogus: 1
server: { port: many, x: 1 }
clusters:
  eu-1:
    prometheus:
      url: nope
      timeout: soon
  Not A Name:
    prometheus: { url: http://127.0.0.1:9090 }
    namespaces: {}
  us-1:
    prometheus: { url: http://127.0.0.1:9090 }
    namespaces: { ai: { mode: always } }
paging:
  roles:
    oncall: { channels: [{ type: pigeon }] }
access:
  people:
    - { id: alice, name: Alice, tokens: [hunter2] }
`);
    expect(problems.map((problem) => problem.split(':').slice(0, 2).join(':'))).toEqual(
      expect.arrayContaining([
        '2:1 bogus',
        '3:11 server.port',
        '3:23 server.x',
        '7:7 clusters.eu-1.prometheus.url',
        '8:7 clusters.eu-1.prometheus.timeout',
        '5:3 clusters.eu-1.namespaces',
        '9:3 clusters.Not A Name',
        '14:25 clusters.us-1.namespaces.ai.mode',
        '17:28 paging.roles.oncall.channels.0.type',
        '20:42 access.people.0.tokens.0',
      ]),
    );
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it('reports what contradicts itself: people who share an id, a token or a Slack user, and groups of nobody', () => {
    const problems = problemsOf(`
access:
  people:
    - { id: alice, name: Alice, slackUserId: U1, tokens: ['env:A'] }
    - { id: alice, name: Again }
    - { id: bob, name: Bob, slackUserId: U1, tokens: ['env:A'] }
  rules: { commander: [bosses] }
`);
    expect(problems).toEqual([
      "5:9 access.people.1.id: the id alice is alice's already",
      "6:29 access.people.2.slackUserId: the Slack user U1 is alice's already",
      "6:55 access.people.2.tokens.0: the token env:A is alice's already",
      '7:24 access.rules.commander.0: nobody is in the group bosses',
    ]);
  });

  it('refuses what is about kept texts where no text is kept', () => {
    const source = (more: string) =>
      `samples: { outputs: { type: http-json, url: "http://127.0.0.1:1", ${more} } }`;
    const presidio = 'presidio: { url: "http://127.0.0.1:2" }';
    expect(problemsOf(source(`text: never, retention: 7d, ${presidio}`))).toEqual([
      expect.stringContaining('samples.outputs.retention: is for texts that are kept: add text: keep'),
      expect.stringContaining('samples.outputs.presidio: is for texts that are kept: add text: keep'),
    ]);
    const kept = parseConfig(source(`text: keep, retention: 7d, ${presidio}`), SOURCE).samples.outputs;
    expect(kept).toMatchObject({ retention: 7 * 86_400_000, presidio: { language: 'en' } });
    expect(parseConfig(source('text: keep'), SOURCE).samples.outputs?.retention).toBe(30 * 86_400_000);
  });

  it('reports a channel in Slack without the app, and times that would be too long or too short', () => {
    const problems = problemsOf(`
notifications:
  ml: { type: slack, channel: C0123 }
  own: { type: webhook, url: 'http://bot.example' }
http:
  gate: { url: 'http://gate.example', timeout: 2m }
runbooks: { watchEvery: 10ms }
clusters:
  eu-1:
    prometheus: { url: 'http://prometheus.example' }
    namespaces: {}
    traffic: { webhooks: [{ url: 'http://edge.example', secret: 'env:S', timeout: 6s }] }
`);
    expect(problems).toEqual([
      '3:3 notifications.ml: a channel in Slack needs the app that posts there: configure chat.slack',
      '6:39 http.gate.timeout: at most 50s: a call is given up after a minute anyway',
      '12:74 clusters.eu-1.traffic.webhooks.0.timeout: at most 4s: diverting traffic does not wait for long',
      '7:13 runbooks.watchEvery: at least 1s: every runbook file is read each time',
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['broken YAML', 'server: { host: hunter2', /^1:24 : Flow map/],
    ['a key twice', 'log: {}\nlog: {}', /^2:1 : Map keys must be unique/],
    ['a list', '[]', /expected object/],
    ['a variable', `server: { host: "${'$'}{HOST}" }`, /^1:17 : variables are not replaced/],
    ['__proto__', 'server: { __proto__: { host: x } }', /^1:11 __proto__: this key is not allowed/],
    [
      'aliases that multiply',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]`,
      /aliases/,
    ],
  ])('refuses %s', (_what, text, expected) => {
    const [problem] = problemsOf(text);
    expect(problem).toMatch(expected);
    expect(problem).not.toContain('hunter2');
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'firebreak-config-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('are read, and paths in them are seen from where they are', async () => {
    await writeFile(join(folder, 'firebreak.yaml'), GOOD);
    expect(loadConfig(join(folder, 'firebreak.yaml')).dataDir).toBe(join(folder, '.firebreak/data'));
  });

  it('that are missing, too large or no files are refused with their name', async () => {
    expect(() => loadConfig(join(folder, 'none.yaml'))).toThrow(
      /none\.yaml cannot be used:\n {2}there is no such file/,
    );
    await writeFile(join(folder, 'large.yaml'), `# ${'x'.repeat(1024 * 1024)}`);
    expect(() => loadConfig(join(folder, 'large.yaml'))).toThrow(/larger than/);
    await mkdir(join(folder, 'folder.yaml'));
    expect(() => loadConfig(join(folder, 'folder.yaml'))).toThrow(/cannot be read \(EISDIR\)/);
  });

  it('of secrets are read without the newline at their end', async () => {
    const path = join(folder, 'token');
    for (const [written, secret] of [
      ['s3cret\n', 's3cret'],
      ['s3cret\r\n', 's3cret'],
      [' two\nlines\n\n', ' two\nlines\n'],
    ] as const) {
      await writeFile(path, written);
      expect(resolveSecret(`file:${path}`, {})).toBe(secret);
    }
  });

  it('of secrets that are missing, empty or too large are refused by their reference', async () => {
    const path = join(folder, 'token');
    expect(() => resolveSecret(`file:${path}`, {})).toThrow(
      `secret file:${path}: the file cannot be read (ENOENT)`,
    );
    await writeFile(path, '\n');
    expect(() => resolveSecret(`file:${path}`, {})).toThrow(/is empty/);
    await writeFile(path, 'x'.repeat(70_000));
    expect(() => resolveSecret(`file:${path}`, {})).toThrow(/larger than/);
  });
});

describe('resolveSecret', () => {
  it('reads the environment that it is given', () => {
    expect(resolveSecret('env:TOKEN', { TOKEN: 's3cret' })).toBe('s3cret');
    expect(() => resolveSecret('env:TOKEN', { TOKEN: '' })).toThrow(
      'secret env:TOKEN: the variable is not set, or empty',
    );
    expect(() => resolveSecret('env:TOKEN', {})).toThrow(/env:TOKEN/);
  });

  it('never repeats what is no reference: it might be the secret itself', () => {
    expect(() => resolveSecret('hunter2', {})).toThrow(/^(?!.*hunter2)/);
  });
});
