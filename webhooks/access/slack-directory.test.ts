import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../worker/config/schema.ts';
import { createAccess } from './access.ts';
import { createSlackDirectory, type SlackDirectory } from './slack-directory.ts';

const TOKEN = 'xoxb-for-tests';
const TEAM = 'T0TEAM';

/** As https://docs.slack.dev/reference/objects/user-object shows one. */
function userOf(change: object = {}, email: string | undefined = 'mara@example.com') {
  return {
    id: 'U0MARA',
    team_id: TEAM,
    deleted: false,
    is_bot: false,
    is_app_user: false,
    is_restricted: false,
    is_ultra_restricted: false,
    is_email_confirmed: true,
    profile: email === undefined ? {} : { email },
    ...change,
  };
}

let apiUrl: string;
let users: Record<string, object>;
let asked: string[];
let instead: ((response: ServerResponse) => void) | undefined;
let nowMs: number;
let directory: SlackDirectory;

/** users.info and auth.test: the token in the header, users by id, errors by Slack's words. */
const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const method = request.url?.replace('/api/', '') ?? '';
  asked.push(method);
  const send = (body: object) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  if (instead !== undefined) return instead(response);
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return send({ ok: false, error: 'invalid_auth' });
  if (method === 'auth.test') return send({ ok: true, team_id: TEAM, user_id: 'U0BOT' });
  const user = users[new URLSearchParams(Buffer.concat(chunks).toString()).get('user') ?? ''];
  return send(user === undefined ? { ok: false, error: 'user_not_found' } : { ok: true, user });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  users = { U0MARA: userOf() };
  asked = [];
  instead = undefined;
  nowMs = 1_000_000;
  directory = createSlackDirectory({
    botToken: TOKEN,
    apiUrl,
    teamId: TEAM,
    timeoutMs: 300,
    now: () => nowMs,
  });
});

describe('the e-mail of a Slack user', () => {
  it('is told of a full member whose address is confirmed', async () => {
    expect(await directory.verifiedEmail('U0MARA')).toEqual({ ok: true, email: 'mara@example.com' });
  });

  it('is told of a member of an Enterprise organization who is in our workspace', async () => {
    users.U0MARA = userOf({ team_id: 'E0ORG', enterprise_user: { teams: ['T0OTHER', TEAM] } });
    expect((await directory.verifiedEmail('U0MARA')).ok).toBe(true);
  });

  it.each<[string, object, RegExp]>([
    ['an address that is not confirmed', userOf({ is_email_confirmed: false }), /not confirmed/],
    ['nothing said of the address', userOf({ is_email_confirmed: undefined }), /not confirmed/],
    ['no address', userOf({}, ''), /users:read.email/],
    ['a bot', userOf({ is_bot: true }), /bots/],
    ['an app', userOf({ is_app_user: true }), /bots/],
    ['a workflow', userOf({ is_workflow_bot: true }), /bots/],
    ['somebody deactivated', userOf({ deleted: true }), /deactivated/],
    ['a guest', userOf({ is_restricted: true }), /guest/],
    ['a guest of one channel', userOf({ is_ultra_restricted: true }), /guest/],
    ['a stranger of a shared channel', userOf({ is_stranger: true }), /another organization/],
    ['somebody of another workspace', userOf({ team_id: 'T0OTHER' }), /another workspace/],
    ['somebody of no workspace', userOf({ team_id: undefined }), /another workspace/],
  ])('is refused of %s', async (_what, user, reason) => {
    users.U0MARA = user;
    expect(await directory.verifiedEmail('U0MARA')).toEqual({
      ok: false,
      reason: expect.stringMatching(reason),
    });
  });

  it('is refused of somebody Slack does not know', async () => {
    expect(await directory.verifiedEmail('U0OTHER')).toEqual({
      ok: false,
      reason: 'Slack does not know this user',
    });
  });

  it('without a configured workspace is of the one that the token belongs to', async () => {
    const own = createSlackDirectory({ botToken: TOKEN, apiUrl });
    expect((await own.verifiedEmail('U0MARA')).ok).toBe(true);
    users.U0BEN = userOf({ team_id: 'T0OTHER' });
    expect((await own.verifiedEmail('U0BEN')).ok).toBe(false);
    expect(asked.filter((method) => method === 'auth.test')).toHaveLength(1);
  });

  it('is kept for five minutes, a refusal for half a minute', async () => {
    await Promise.all([directory.verifiedEmail('U0MARA'), directory.verifiedEmail('U0MARA')]);
    nowMs += 299_000;
    await directory.verifiedEmail('U0MARA');
    expect(asked).toHaveLength(1);
    users.U0MARA = userOf({ deleted: true });
    nowMs += 2_000;
    expect((await directory.verifiedEmail('U0MARA')).ok).toBe(false);
    users.U0MARA = userOf();
    nowMs += 31_000;
    expect((await directory.verifiedEmail('U0MARA')).ok).toBe(true);
  });

  it.each<[string, (response: ServerResponse) => void, RegExp]>([
    ['never answers', () => undefined, /does not answer/],
    ['fails', (response) => response.writeHead(500).end(), /does not answer/],
    ['limits our calls', (response) => response.writeHead(429, { 'retry-after': '30' }).end(), /limiting/],
    [
      'misses a scope',
      (response) => response.end('{"ok":false,"error":"missing_scope","needed":"users:read"}'),
      /users:read and users:read.email/,
    ],
  ])(
    'is not known when Slack %s, within the time that a person waits, and is asked again',
    async (_what, breakIt, reason) => {
      instead = breakIt;
      const startMs = performance.now();
      expect(await directory.verifiedEmail('U0MARA')).toEqual({
        ok: false,
        unavailable: true,
        reason: expect.stringMatching(reason),
      });
      expect(performance.now() - startMs).toBeLessThan(2_000);
      instead = undefined;
      expect((await directory.verifiedEmail('U0MARA')).ok).toBe(true);
    },
  );
});

describe('the person behind a Slack user', () => {
  const { access: config } = configSchema.parse({
    access: {
      people: [
        { id: 'mara', name: 'Mara', email: 'Mara@example.com' },
        { id: 'ben', name: 'Ben', email: 'ben@example.com', slackUserId: 'U0BEN' },
        { id: 'gone', name: 'Gone', email: 'gone@example.com', active: false },
      ],
    },
  });
  const who = (userId: string) => createAccess(config, {}, { slack: directory }).bySlackUser(userId);

  it('is who has the verified e-mail', async () => {
    expect(await who('U0MARA')).toMatchObject({ ok: true, person: { id: 'mara' } });
  });

  it('is who is named, whatever Slack says or does not say', async () => {
    instead = (response) => response.writeHead(500).end();
    expect(await who('U0BEN')).toMatchObject({ ok: true, person: { id: 'ben' } });
    expect(asked).toEqual([]);
    expect(await who('U0MARA')).toMatchObject({ ok: false, unavailable: true });
  });

  it('is not who is named with another Slack user, although the e-mail fits', async () => {
    users.U0OTHER = userOf({}, 'ben@example.com');
    expect(await who('U0OTHER')).toEqual({
      ok: false,
      reason: 'ben has another Slack user in the access file',
    });
  });

  it('is nobody who is not active, and nobody without an entry', async () => {
    users.U0GONE = userOf({}, 'gone@example.com');
    users.U0X = userOf({}, 'mara+x@example.com');
    expect(await who('U0GONE')).toEqual({ ok: false, reason: 'gone is not active' });
    expect(await who('U0X')).toEqual({
      ok: false,
      reason: 'neither the Slack user nor its e-mail is in the access file',
    });
  });
});
