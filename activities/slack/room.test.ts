/** An incident's own channel, against the stateful emulator with the scopes that docs/slack-messages.md names. */
import { text as readText } from 'node:stream/consumers';
import { WebClient } from '@slack/web-api';
import type { Emulator } from 'emulate';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startSlackEmulator } from '../../demo/vendors/slack-emulator.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { listening } from '../../test/vendors/listening.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import type { ChatMessageRef } from '../contract.ts';
import { createSlackChat } from './index.ts';
import { inviteesOf } from './invitees.ts';
import type { RoomOptions } from './room.ts';
import { roomNames } from './room-name.ts';

const TOKEN = 'xoxb-rooms';
/** May post, and nothing else. */
const POSTING_TOKEN = 'xoxb-posting';
const OTHER_TOKEN = 'xoxb-other';
const SCOPES = ['chat:write', 'channels:history', 'channels:read', 'channels:manage', 'users:read.email'];

let emulator: Emulator;
let apiUrl: string;
let client: WebClient;
let channel: string;
const closing: (() => unknown)[] = [];
let nextId = 0;

beforeAll(async () => {
  emulator = await startSlackEmulator({
    users: ['firebreak', 'maria', 'other'],
    channel: { name: 'ai-incidents', topic: 'Incidents' },
    tokens: [
      { token: TOKEN, user: 'firebreak', scopes: SCOPES },
      { token: POSTING_TOKEN, user: 'firebreak', scopes: ['chat:write', 'channels:history'] },
      { token: OTHER_TOKEN, user: 'other', scopes: [...SCOPES, 'channels:read'] },
    ],
  });
  apiUrl = `${emulator.url}/api/`;
  client = new WebClient(TOKEN, { slackApiUrl: apiUrl, retryConfig: { retries: 0 } });
  channel = (await channels()).find(({ name }) => name === 'ai-incidents')?.id ?? '';
});
afterAll(() => emulator.close());
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

function options(change: Partial<RoomOptions> = {}): RoomOptions {
  return {
    prefix: 'inc-',
    severities: ['SEV1'],
    private: false,
    invite: [{ email: 'maria@acme.example' }, { email: 'nobody@acme.example' }],
    archiveWhenClosed: false,
    ...change,
  };
}

function chat(rooms: RoomOptions = options(), change: { token?: string; apiUrl?: string } = {}) {
  return createSlackChat({ token: TOKEN, channel, apiUrl, rooms, ...change });
}

function incident(change: Partial<IncidentView> = {}): IncidentView {
  nextId += 1;
  return viewOf({ incidentId: `inc-000000000000-${String(nextId).padStart(8, 'a')}`, ...change });
}

/** Publishes as the workflow does: again, with what is known, while there is more to do. */
async function settle(
  publish: ReturnType<typeof chat>,
  view: IncidentView,
  known?: ChatMessageRef,
): Promise<ChatMessageRef | undefined> {
  let message = known;
  for (let rounds = 0; rounds < 5; rounds += 1) {
    const published = await publish.publishIncident({ view, ...(message && { message }) });
    message = published.message ?? message;
    if ((published.againAfterMs ?? published.wakeAfterMs ?? Number.POSITIVE_INFINITY) > 5_000) break;
  }
  return message;
}

async function channels() {
  const { channels: all } = await client.conversations.list({ limit: 999, exclude_archived: false });
  return all ?? [];
}

async function roomsOf(view: IncidentView) {
  const names: string[] = roomNames(view, 'inc-');
  return (await channels()).filter(({ name }) => names.includes(name ?? ''));
}

async function blocksIn(channelId: string): Promise<string> {
  const { messages } = await client.conversations.history({ channel: channelId, limit: 100 });
  return JSON.stringify((messages ?? []).map(({ blocks }) => blocks));
}

/** Passes calls on, and loses the answers that `lose` says. */
async function losing(lose: (method: string) => boolean): Promise<string> {
  const { url, close } = await listening(async (request, response) => {
    const body = await readText(request);
    const method = String(request.url).replace('/api/', '');
    const answer = await fetch(`${apiUrl}${method}`, {
      method: 'POST',
      headers: {
        authorization: String(request.headers.authorization),
        'content-type': String(request.headers['content-type']),
      },
      body,
    });
    if (lose(method)) return request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    return response.end(await answer.text());
  });
  closing.push(close);
  return `${url}/api/`;
}

describe('the channel of an incident', () => {
  it('is made with its topic and people, shows the message, and is linked from the main one', async () => {
    const view = incident({ title: 'Harm <!channel>' });
    const message = await settle(chat(), view);
    const [room] = await roomsOf(view);
    expect(room?.name).toBe(`inc-llm-api-${view.incidentId.slice(-8)}`);
    expect(room?.topic?.value).toBe('[SEV1] Harm &lt;!channel&gt;');
    expect(room?.purpose?.value).toBe(`Firebreak incident ${view.incidentId}`);
    const { members } = await client.conversations.members({ channel: room?.id ?? '' });
    const { user } = await client.users.lookupByEmail({ email: 'maria@acme.example' });
    expect(members).toContain(user?.id);
    expect(message?.room).toMatchObject({ channel: room?.id, described: true, invited: true });
    expect(await blocksIn(room?.id ?? '')).toContain('firebreak_approve');
    expect(await blocksIn(channel)).toContain(`{"type":"channel","channel_id":"${room?.id}"}`);
  });

  it('follows the incident, in place, and is archived only where that is configured', async () => {
    const view = incident();
    const message = await settle(chat(), view);
    const closed: IncidentView = { ...view, state: 'closed', outcome: 'recovered', pendingApprovals: [] };
    const after = await settle(chat(), closed, message);
    const [room] = await roomsOf(view);
    expect(room?.is_archived).toBe(false);
    const shown = await blocksIn(room?.id ?? '');
    expect(shown).toContain('closed (recovered)');
    expect(shown).not.toContain('firebreak_approve');
    expect(shown.match(/"header"/g)).toHaveLength(1);
    const archived = await settle(
      chat(options({ archiveWhenClosed: true })),
      { ...closed, ticketUrl: 'https://example.com/1' },
      after,
    );
    expect(archived?.room?.archived).toBe(true);
    expect((await roomsOf(view))[0]?.is_archived).toBe(true);
  });

  it('is not made for an incident that is less severe, until it becomes severe', async () => {
    const view = incident({ severity: 'SEV3' });
    const message = await settle(chat(), view);
    expect(message?.room).toBeUndefined();
    expect(await roomsOf(view)).toEqual([]);
    await settle(chat(), { ...view, severity: 'SEV1' }, message);
    expect(await roomsOf(view)).toHaveLength(1);
  });

  it.each([
    'conversations.create',
    'conversations.setTopic',
    'conversations.setPurpose',
    'conversations.invite',
    'chat.getPermalink',
  ])('is one, with one message, where the answer to %s got lost', async (lost) => {
    const view = incident();
    const publish = chat(options(), { apiUrl: await losing((method) => method === lost) });
    const first = await publish.publishIncident({ view });
    expect(first.message?.room?.problem).toContain(lost);
    // As after a worker that was killed: nothing of the first attempt is known.
    const message = await settle(chat(), view);
    const rooms = await roomsOf(view);
    expect(rooms.map(({ id }) => id)).toEqual([message?.room?.channel]);
    expect((await blocksIn(rooms[0]?.id ?? '')).match(/"header"/g)).toHaveLength(1);
    const all = await blocksIn(channel);
    expect(all.split(`${view.incidentId} ·`).length - 1).toBe(1);
  });

  it('takes the longer name where somebody else has the short one', async () => {
    const view = incident();
    const [short, whole] = roomNames(view, 'inc-');
    const other = new WebClient(OTHER_TOKEN, { slackApiUrl: apiUrl, retryConfig: { retries: 0 } });
    await other.conversations.create({ name: short });
    const message = await settle(chat(), view);
    const room = (await roomsOf(view)).find(({ id }) => id === message?.room?.channel);
    expect(room?.name).toBe(whole);
  });

  it('does not hold up the message where the app may not make it, and says which scope is missing', async () => {
    const view = incident();
    const publish = chat(options(), { token: POSTING_TOKEN });
    const first = await publish.publishIncident({ view });
    expect(first.message?.postedSeq).toBe(1);
    expect(first.message?.room?.problem).toContain('channels:manage');
    const again = await publish.publishIncident({ view, ...(first.message && { message: first.message }) });
    expect(await blocksIn(channel)).toContain('The channel of this incident is not up to date');
    // Not asked for again before people can have mended it.
    expect(again.wakeAfterMs).toBeGreaterThan(9 * 60_000);
    // What else changes need not wait for that.
    expect(again.againAfterMs).toBeUndefined();
  });
});

describe('whom to invite', () => {
  const people = [
    { id: 'maria', groups: ['ml-oncall'], active: true, slackUserId: 'U0MARIA' },
    { id: 'kim', groups: ['ml-oncall'], active: true, email: 'kim@acme.example' },
    { id: 'gone', groups: ['ml-oncall'], active: false, slackUserId: 'U0GONE' },
  ];

  it('is whom groups, people and ids of Slack name; the inactive are nobody', () => {
    expect(inviteesOf(['ml-oncall'], people)).toEqual([
      { slackUserId: 'U0MARIA', email: undefined },
      { slackUserId: undefined, email: 'kim@acme.example' },
    ]);
    expect(inviteesOf(['maria', 'U01234567', 'S01234567', 'nobody'], people)).toEqual([
      { slackUserId: 'U0MARIA', email: undefined },
      { slackUserId: 'U01234567' },
      { userGroupId: 'S01234567' },
    ]);
  });
});
