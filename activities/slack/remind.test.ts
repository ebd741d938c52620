/** Direct messages, against the stateful emulator with the scopes of the app's manifest and no others. */
import type { RequestListener } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { WebClient } from '@slack/web-api';
import type { Emulator } from 'emulate';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startSlackEmulator } from '../../demo/vendors/slack-emulator.ts';
import { listening } from '../../test/vendors/listening.ts';
import { createSlackChat } from './index.ts';
import type { SlackPerson } from './invitees.ts';

const TOKEN = 'xoxb-reminding';
/** May read what the app wrote to people, which the app itself may not. */
const READING_TOKEN = 'xoxb-reading';
const HOSTILE = 'due: <!channel> @here <https://e.example|x> *bold*';

let emulator: Emulator;
let apiUrl: string;
let reader: WebClient;
let mariaId: string;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  emulator = await startSlackEmulator({
    users: ['firebreak', 'maria'],
    channel: { name: 'ai-incidents', topic: 'Incidents' },
    tokens: [
      { token: TOKEN, user: 'firebreak', scopes: ['chat:write', 'users:read.email'] },
      {
        token: READING_TOKEN,
        user: 'firebreak',
        scopes: ['im:write', 'im:history', 'im:read', 'users:read', 'users:read.email'],
      },
    ],
  });
  apiUrl = `${emulator.url}/api/`;
  reader = new WebClient(READING_TOKEN, { slackApiUrl: apiUrl, retryConfig: { retries: 0 } });
  mariaId = (await reader.users.lookupByEmail({ email: 'maria@acme.example' })).user?.id ?? '';
});
afterAll(() => emulator.close());
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

const person = (change: Partial<SlackPerson> = {}): SlackPerson => ({
  id: 'maria',
  groups: [],
  active: true,
  email: 'maria@acme.example',
  ...change,
});
const chat = (people: SlackPerson[], url = apiUrl) =>
  createSlackChat({ token: TOKEN, channel: 'C0INC', apiUrl: url, people });
const reminder = (key: string, change: object = {}) => ({
  incidentId: 'inc-000000000000-1',
  key,
  person: 'maria',
  text: `${key} ${HOSTILE}`,
  ...change,
});

/** What the app has written to Maria under this key. */
async function told(key: string) {
  const { channel } = await reader.conversations.open({ users: mariaId });
  const { messages } = await reader.conversations.history({ channel: channel?.id ?? '' });
  return (messages ?? []).filter(({ blocks }) => JSON.stringify(blocks).includes(`${key} due`));
}

async function answering(listener: RequestListener): Promise<string> {
  const { url, close } = await listening(listener);
  closing.push(close);
  return `${url}/api/`;
}

it.each([
  ['by Slack user', () => person({ slackUserId: mariaId, email: undefined })],
  ['by e-mail', () => person()],
])('tells the person %s directly, in plain text', async (how, who) => {
  expect(await chat([who()]).remindPerson(reminder(how))).toEqual({ told: true });
  const [message, ...more] = await told(how);
  expect(more).toEqual([]);
  expect(message?.blocks).toMatchObject([{ type: 'section', text: { type: 'plain_text' } }]);
  expect(message?.text).not.toContain('<!channel>');
});

it('tells nobody else: not the members of a group of that name, nor who has left, nor where chat is not configured', async () => {
  const people = [
    person({ id: 'lee', groups: ['maria'], slackUserId: mariaId }),
    person({ active: false }),
    person({ id: 'nobody', email: 'nobody@acme.example' }),
  ];
  expect(await chat(people).remindPerson(reminder('k-none'))).toEqual({ told: false });
  expect(await chat(people).remindPerson(reminder('k-none', { person: 'nobody' }))).toEqual({ told: false });
  expect(await createSlackChat(undefined).remindPerson(reminder('k-none'))).toEqual({ told: false });
  expect(await told('k-none')).toEqual([]);
});

it('tells once where the same reminder is asked for again', async () => {
  const activities = chat([person()]);
  expect(await activities.remindPerson(reminder('k-again'))).toEqual({ told: true });
  expect(await activities.remindPerson(reminder('k-again'))).toEqual({ told: true });
  expect(await told('k-again')).toHaveLength(1);
});

it('is not tried again where it may have arrived', async () => {
  const url = await answering(async (request, response) => {
    const body = await readText(request);
    const { authorization = '', 'content-type': type = '' } = request.headers;
    const method = String(request.url).replace('/api/', '');
    const answer = await fetch(`${apiUrl}${method}`, {
      method: 'POST',
      headers: { authorization, 'content-type': type },
      body,
    });
    if (method === 'chat.postMessage') return request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    return response.end(await answer.text());
  });
  await expect(chat([person()], url).remindPerson(reminder('k-lost'))).rejects.toMatchObject({
    type: 'Unavailable',
    nonRetryable: true,
    message: expect.stringContaining('may have arrived'),
  });
  expect(await told('k-lost')).toHaveLength(1);
});

it('is tried again where nothing was sent', async () => {
  const who = [person({ slackUserId: mariaId })];
  const nobodyThere = await answering(() => undefined);
  await Promise.all(closing.splice(0).map((close) => close()));
  await expect(chat(who, nobodyThere).remindPerson(reminder('k-refused'))).rejects.toMatchObject({
    type: 'Unavailable',
    nonRetryable: false,
  });
  const limited = await answering((_request, response) => {
    response.writeHead(429, { 'retry-after': '7' }).end();
  });
  await expect(chat(who, limited).remindPerson(reminder('k-limited'))).rejects.toMatchObject({
    type: 'RateLimited',
    nonRetryable: false,
    nextRetryDelay: 7_000,
  });
});

it('says what to switch on where the app takes no direct messages', async () => {
  const url = await answering((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ok: false, error: 'messages_tab_disabled' }));
  });
  await expect(
    chat([person({ slackUserId: mariaId })], url).remindPerson(reminder('k-tab')),
  ).rejects.toMatchObject({
    nonRetryable: true,
    message: expect.stringContaining('Messages tab under App Home'),
  });
});
