import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../domain/finding.ts';
import { configSchema } from '../config/schema.ts';
import { integrationChecks } from '../doctor.ts';

const SECRETS: Record<string, string> = {
  'env:SLACK': 'xoxb-secret-of-the-bot',
  'env:APP': 'xapp-secret-of-the-app',
  'env:PD': 'routing-key-secret-32-characters',
  'env:PDAPI': 'pagerduty-api-secret',
  'env:GH': 'github-secret-token',
  'env:JSM': 'jsm-secret-key',
};

interface Reply {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}
type Handler = (request: IncomingMessage, body: string) => Reply;

/** Every vendor on one port, told apart by path; what is not answered by a test is as the vendor has it when all is well. */
let server: Server;
let base: string;
let changed: Record<string, Handler>;
let asked: string[];

const WELL: Record<string, Handler> = {
  'POST /slack/auth.test': () => ({
    body: { ok: true, team_id: 'T1' },
    headers: { 'x-oauth-scopes': 'chat:write,commands,users:read,users:read.email,channels:manage' },
  }),
  'POST /slack/conversations.info': () => ({ body: { ok: true, channel: { is_member: true } } }),
  'POST /slack/apps.connections.open': () => ({ body: { ok: true, url: 'wss://example.com' } }),
  'POST /slack/users.lookupByEmail': () => ({
    body: { ok: true, user: { id: 'U1', is_email_confirmed: true } },
  }),
  'GET /github/repos/acme/llm': () => ({ body: { has_issues: true } }),
  'POST /github/repos/acme/llm/issues': () => ({ status: 422, body: { message: 'Validation Failed' } }),
  'POST /github/repos/acme/llm/git/refs': () => ({ status: 422, body: {} }),
  'POST /github/repos/acme/llm/pulls': () => ({ status: 422, body: {} }),
  // PagerDuty's Events API v2: 202, also for the end of what it does not know; 400 for a key that is none.
  'POST /pagerduty/v2/enqueue': (_request, body) =>
    JSON.parse(body).routing_key === SECRETS['env:PD']
      ? { status: 202, body: { status: 'success' } }
      : { status: 400, body: { status: 'invalid event' } },
  'POST /jsm/v2/alerts/firebreak-doctor/close': () => ({ status: 202, body: {} }),
  'GET /pdapi/oncalls': () => ({ body: { oncalls: [], more: false } }),
  'GET /pdapi/schedules/PSCHED1': () => ({ body: {} }),
  'GET /oidc/.well-known/openid-configuration': () => ({
    body: { issuer: `${base}/oidc`, jwks_uri: `${base}/oidc/jwks` },
  }),
  'GET /oidc/jwks': () => ({ body: { keys: [] } }),
};

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { pathname } = new URL(request.url ?? '/', 'http://x');
    const key = `${request.method} ${pathname}`;
    asked.push(key);
    const reply = (changed[key] ?? WELL[key])?.(request, body) ?? { status: 404, body: {} };
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
    response.end(JSON.stringify(reply.body ?? {}));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});
beforeEach(() => {
  changed = {};
  asked = [];
});

function configOf(change: object = {}) {
  return configSchema.parse({
    paging: {
      roles: {
        'ml-oncall': { channels: [{ type: 'pagerduty', routingKey: 'env:PD', url: `${base}/pagerduty` }] },
      },
      watchdog: { roles: ['ml-oncall'], deadMansSwitch: { url: `${base}/heartbeat` } },
    },
    chat: {
      slack: {
        botToken: 'env:SLACK',
        appToken: 'env:APP',
        signingSecrets: [],
        channel: 'C1',
        teamId: 'T1',
        apiUrl: `${base}/slack/`,
        incidentChannels: {},
      },
    },
    tickets: { github: { token: 'env:GH', repository: 'acme/llm', apiUrl: `${base}/github` } },
    gitops: {
      pullRequests: {
        github: { token: 'env:GH', repositories: ['acme/llm'], apiUrl: `${base}/github` },
      },
    },
    access: {
      people: [
        { id: 'maria', name: 'Maria', email: 'maria@example.com', groups: ['ml-oncall', 'security-oncall'] },
        { id: 'kim', name: 'Kim', email: 'kim@example.com', groups: ['commander'] },
        { id: 'lee', name: 'Lee', email: 'lee@example.com', groups: ['ai-governance', 'privacy-oncall'] },
      ],
      rules: { responder: ['ml-oncall'], commander: ['commander'] },
      oidc: { issuer: `${base}/oidc`, clientId: 'firebreak' },
      pagerduty: { apiToken: 'env:PDAPI', url: `${base}/pdapi` },
      onCall: { 'ml-oncall': { pagerduty: { schedules: ['PSCHED1'] } } },
    },
    ...change,
  });
}

async function diagnose(change: object = {}): Promise<Map<string, Finding>> {
  const secret = (reference: string) => {
    const value = SECRETS[reference];
    if (value === undefined) throw new Error(`${reference} is not set`);
    return value;
  };
  const found = (await Promise.all(integrationChecks({ config: configOf(change), secret, env: {} }))).flat();
  for (const { what, detail } of found) {
    for (const value of Object.values(SECRETS)) expect(`${what} ${detail}`).not.toContain(value);
  }
  return new Map(found.map((finding) => [finding.what, finding]));
}

const PARTS = [
  'chat: slack',
  'chat: slack channel C1',
  'chat: slack socket mode',
  'chat: slack people',
  'tickets: github',
  'pull requests: acme/llm',
  'pager pagerduty of ml-oncall',
  'watchdog',
  'pagerduty REST API',
  'on call: ml-oncall',
  'access: people',
  'access: responders',
  'access: commanders',
  'access: approvers',
  'access: oidc',
];

it('finds everything in order where it is, and wakes nobody', async () => {
  const found = await diagnose();
  expect(PARTS.filter((what) => found.get(what)?.ok !== true).map((what) => found.get(what) ?? what)).toEqual(
    [],
  );
  expect(asked).not.toContain('POST /slack/chat.postMessage');
  expect(asked).not.toContain('POST /heartbeat');
});

it.each<[told: Record<string, string>, detail: RegExp]>([
  [
    { team_id: 'T1', team: 'Acme' },
    /belongs to workspace T1 \(Acme\); chat\.slack\.teamId is not set, so it is learned/,
  ],
  [
    { team_id: 'T1', enterprise_id: 'E1' },
    /T1 of an Enterprise organization; chat\.slack\.teamId is not set, so people .* are not kept out/,
  ],
])('says which workspace the token belongs to, and that no other is configured: %j', async (told, detail) => {
  changed = { 'POST /slack/auth.test': () => ({ body: { ok: true, ...told } }) };
  const { slack } = configOf().chat;
  const found = await diagnose({ chat: { slack: { ...slack, teamId: undefined } } });
  expect(found.get('chat: slack')).toMatchObject({ ok: true, detail: expect.stringMatching(detail) });
});

it('tries sources of samples and their Presidio, and claims no more than was seen', async () => {
  const outputs = {
    type: 'http-json',
    url: `${base}/samples`,
    text: 'keep',
    presidio: { url: `${base}/presidio/` },
  };
  changed = {
    'GET /samples': () => ({ body: { items: [] } }),
    'POST /presidio/analyze': () => ({ body: [{ entity_type: 'PERSON', start: 0, end: 12, score: 0.85 }] }),
  };
  const found = await diagnose({ samples: { outputs } });
  expect(found.get('samples outputs')).toMatchObject({
    ok: true,
    detail: expect.stringContaining('no row to judge its shape by'),
  });
  expect(found.get('samples outputs: presidio')).toMatchObject({
    ok: true,
    detail: expect.stringContaining('NAME'),
  });

  changed['POST /presidio/analyze'] = () => ({ body: [] });
  expect((await diagnose({ samples: { outputs } })).get('samples outputs: presidio')).toMatchObject({
    ok: false,
    detail: expect.stringContaining('language'),
  });
  changed['POST /presidio/analyze'] = () => ({ status: 401 });
  expect((await diagnose({ samples: { outputs } })).get('samples outputs: presidio')?.ok).toBe(false);
});

it('takes the address of GitHub with a slash at its end', async () => {
  const github = { token: 'env:GH', repository: 'acme/llm', apiUrl: `${base}/github/` };
  expect((await diagnose({ tickets: { github } })).get('tickets: github')?.ok).toBe(true);
});

describe('what is missing is named with what to add', () => {
  const says =
    (scopes: string): Handler =>
    () => ({
      body: { ok: true, team_id: 'T1' },
      headers: { 'x-oauth-scopes': scopes },
    });
  const refuses =
    (error: string): Handler =>
    () => ({ body: { ok: false, error } });

  it.each<[part: string, how: Record<string, Handler>, told: RegExp]>([
    ['chat: slack', { 'POST /slack/auth.test': refuses('invalid_auth') }, /Bot User OAuth Token/],
    [
      'chat: slack',
      { 'POST /slack/auth.test': says('chat:write') },
      /lacks commands .*channels:manage .*install the app again/,
    ],
    [
      'chat: slack',
      { 'POST /slack/auth.test': () => ({ body: { ok: true, team_id: 'T2' } }) },
      /belongs to workspace T2/,
    ],
    ['chat: slack', { 'POST /slack/auth.test': () => ({ status: 429 }) }, /try again in a minute/],
    [
      'chat: slack channel C1',
      { 'POST /slack/conversations.info': refuses('channel_not_found') },
      /is the app invited/,
    ],
    [
      'chat: slack channel C1',
      { 'POST /slack/conversations.info': () => ({ body: { ok: true, channel: { is_member: false } } }) },
      /\/invite @firebreak/,
    ],
    [
      'chat: slack channel C1',
      { 'POST /slack/conversations.info': () => ({ body: { ok: true, channel: { is_archived: true } } }) },
      /archived/,
    ],
    [
      'chat: slack socket mode',
      { 'POST /slack/apps.connections.open': refuses('missing_scope') },
      /connections:write/,
    ],
    [
      'chat: slack people',
      { 'POST /slack/users.lookupByEmail': refuses('users_not_found') },
      /maria is not found/,
    ],
    [
      'chat: slack people',
      { 'POST /slack/users.lookupByEmail': () => ({ body: { ok: true, user: { deleted: true } } }) },
      /maria is deactivated/,
    ],
    ['tickets: github', { 'GET /github/repos/acme/llm': () => ({ status: 401 }) }, /Issues: read and write/],
    ['tickets: github', { 'GET /github/repos/acme/llm': () => ({ status: 404 }) }, /may the token see it/],
    [
      'tickets: github',
      { 'GET /github/repos/acme/llm': () => ({ body: { has_issues: false } }) },
      /switched off/,
    ],
    ['tickets: github', { 'POST /github/repos/acme/llm/issues': () => ({ status: 403 }) }, /give it Issues/],
    [
      'pull requests: acme/llm',
      { 'GET /github/repos/acme/llm': () => ({ status: 401 }) },
      /Contents and Pull requests: read and write/,
    ],
    [
      'pull requests: acme/llm',
      { 'POST /github/repos/acme/llm/git/refs': () => ({ status: 403 }) },
      /give it Contents: read and write/,
    ],
    [
      'pull requests: acme/llm',
      { 'POST /github/repos/acme/llm/pulls': () => ({ status: 404 }) },
      /give it Pull requests: read and write/,
    ],
    [
      'pull requests: acme/llm',
      { 'GET /github/repos/acme/llm': () => ({ body: { archived: true } }) },
      /archived/,
    ],
    [
      'pager pagerduty of ml-oncall',
      { 'POST /pagerduty/v2/enqueue': () => ({ status: 400 }) },
      /paging\.roles\.ml-oncall/,
    ],
    ['pagerduty REST API', { 'GET /pdapi/oncalls': () => ({ status: 401 }) }, /access\.pagerduty\.apiToken/],
    [
      'on call: ml-oncall',
      { 'GET /pdapi/schedules/PSCHED1': () => ({ status: 404 }) },
      /no schedule PSCHED1/,
    ],
    [
      'access: oidc',
      {
        'GET /oidc/.well-known/openid-configuration': () => ({
          body: { issuer: 'https://else.example.com' },
        }),
      },
      /names another issuer/,
    ],
  ])('%s: %#', async (part, how, told) => {
    changed = how;
    const finding = (await diagnose()).get(part);
    expect(finding).toMatchObject({ ok: false, detail: expect.stringMatching(told) });
  });

  it.each<[part: string, change: object, told: RegExp]>([
    ['access: people', { access: {} }, /add access\.people/],
    [
      'access: people',
      { access: { people: [{ id: 'ghost', name: 'Ghost' }] } },
      /ghost cannot be told from anybody/,
    ],
    ['access: commanders', { access: {} }, /access\.rules\.commander/],
    ['access: approvers', { access: {} }, /nobody could approve/],
    ['paging', { paging: {} }, /configure paging\.roles/],
    ['watchdog', { paging: {} }, /paging\.watchdog/],
    [
      'pager pagerduty of ml-oncall',
      {
        paging: { roles: { 'ml-oncall': { channels: [{ type: 'pagerduty', routingKey: 'env:NOTHING' }] } } },
      },
      /env:NOTHING is not set/,
    ],
    [
      'on call: ml-oncall',
      {
        access: {
          people: [
            { id: 'maria', name: 'Maria', email: 'maria@example.com', groups: ['ml-oncall'] },
            { id: 'ana', name: 'Ana', slackUserId: 'U0ANA', groups: ['ml-oncall'] },
            { id: 'zoe', name: 'Zoe', slackUserId: 'U0ZOE', groups: ['ml-oncall'] },
            { id: 'left', name: 'Left', groups: ['ml-oncall'], active: false },
          ],
          pagerduty: { apiToken: 'env:PDAPI', url: 'http://127.0.0.1:1' },
          onCall: { 'ml-oncall': { pagerduty: { schedules: ['PSCHED1'] } } },
        },
      },
      /^ana, zoe of ml-oncall: without an e-mail .* never on call/,
    ],
    ['records: postgresql', { records: { postgresUrl: 'env:NOTHING' } }, /env:NOTHING is not set/],
    [
      'pager jsm-operations of ml-oncall',
      {
        paging: {
          roles: {
            'ml-oncall': {
              channels: [
                {
                  type: 'webhook',
                  template: 'jsm-operations',
                  url: 'http://127.0.0.1:1/alerts',
                  bearerToken: 'env:JSM',
                },
              ],
            },
          },
        },
      },
      /did not reach/,
    ],
  ])('%s by configuration: %#', async (part, change, told) => {
    const finding = (await diagnose(change)).get(part);
    expect(finding).toMatchObject({ ok: false, detail: expect.stringMatching(told) });
  });
});
