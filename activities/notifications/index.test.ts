import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import { MAX_TEXT_CHARS } from './channel.ts';
import { createNotificationActivities, type NotificationChannelOptions } from './index.ts';

const TOKEN = 'token-that-nobody-may-see';
const HOSTILE = '@channel <!channel> <http://evil.example|click> *bold* \u202egnp.exe\u0007 # heading';

type Handler = (
  response: ServerResponse,
  request: { headers: IncomingMessage['headers']; body: string },
) => void;

let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

async function serve(handler: Handler): Promise<string> {
  const server = createServer(async (incoming, response) => {
    handler(response, { headers: incoming.headers, body: await readText(incoming) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

let next = 0;

function notification(change: { text?: string; key?: string; channel?: string; title?: string } = {}) {
  next += 1;
  return {
    incidentId: 'inc-1',
    key: `inc-1.1.tell-${next}`,
    channel: 'ml',
    title: 'AiHarmfulOutputRateHigh: ai/llm-api',
    severity: 'SEV2' as const,
    text: `Harm rate 0.12 (${next})`,
    ...change,
  };
}

function activities(channel: NotificationChannelOptions, timeoutMs?: number) {
  return createNotificationActivities({
    channels: { ml: channel },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure))
    throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
  expect(JSON.stringify([error.message, error.details, (error.cause as Error)?.message])).not.toContain(
    TOKEN,
  );
  return error;
}

it('names the setting where a channel is missing', async () => {
  const { sendNotification } = createNotificationActivities({ channels: {} });
  const failure = await failureOf(sendNotification(notification({ channel: 'toString' })));
  expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  expect(failure.message).toContain('notifications.toString');
});

describe('a webhook', () => {
  it('gets plain text under one key for every attempt', async () => {
    const got: { headers: IncomingMessage['headers']; body: string }[] = [];
    const url = await serve((response, request) => {
      got.push(request);
      json(response, 202, { id: 42 });
    });
    const { sendNotification } = activities({ type: 'webhook', url, bearerToken: TOKEN });
    const told = notification({ text: `first line\n${HOSTILE}`, title: HOSTILE });
    expect(await sendNotification(told)).toEqual({ reference: '42' });
    await sendNotification(told);
    await sendNotification({ ...told, key: 'another' });
    const keys = got.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
    expect(got[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    const body = JSON.parse(got[0]?.body ?? '');
    expect(body).toMatchObject({ version: 1, action: 'notify', incidentId: 'inc-1', severity: 'SEV2' });
    expect(body.text.split('\n')).toHaveLength(2);
    expect(`${body.text}${body.title}`.replace('\n', '')).not.toMatch(/\p{C}/u);
  });

  it('gets a text of bounded length', async () => {
    let body = '';
    const url = await serve((response, request) => {
      body = request.body;
      json(response, 200, {});
    });
    const { reference } = await activities({ type: 'webhook', url }).sendNotification(
      notification({ text: '😀'.repeat(100_000) }),
    );
    expect(reference).toMatch(/^[0-9a-f]{64}$/);
    const { text } = JSON.parse(body);
    expect(text.length).toBeLessThanOrEqual(MAX_TEXT_CHARS);
    expect(text.isWellFormed()).toBe(true);
  });

  it.each([
    [429, 'RateLimited', false],
    [503, 'Unavailable', false],
    [401, 'Unauthorized', true],
    [400, 'InvalidInput', true],
  ])('that answers %i is %s', async (status, type, nonRetryable) => {
    const url = await serve((response) => json(response, status, { error: TOKEN }, { 'retry-after': '3' }));
    const failure = await failureOf(
      activities({ type: 'webhook', url, bearerToken: TOKEN }).sendNotification(notification()),
    );
    expect(failure).toMatchObject({ type, nonRetryable });
    expect(failure.message).toContain('notifications.ml');
    if (status === 429) expect(failure.nextRetryDelay).toBe(3_000);
  });

  it('that does not answer is unavailable', async () => {
    const url = await serve(() => undefined);
    const failure = await failureOf(
      activities({ type: 'webhook', url }, 100).sendNotification(notification()),
    );
    expect(failure).toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });
});

describe('a channel in Slack', () => {
  let emulators: Emulators;
  beforeAll(async () => {
    emulators = await startEmulators();
  });
  afterAll(() => emulators.close());

  function slack(change: { channel?: string; apiUrl?: string } = {}) {
    const { token, channel, apiUrl } = emulators.slack;
    return { type: 'slack' as const, token, channel, apiUrl, ...change };
  }

  async function messagesWith(text: string) {
    const all = await emulators.slack.messages();
    return all.filter((message) => JSON.stringify(message.blocks).includes(text));
  }

  it('shows the text once, however often it is tried', async () => {
    const told = notification();
    const first = await activities(slack()).sendNotification(told);
    // Another worker, whose predecessor's answer got lost.
    const second = await activities(slack()).sendNotification(told);
    expect(second).toEqual(first);
    expect(await messagesWith(told.text)).toHaveLength(1);
  });

  it('shows two notifications of the same text under different keys', async () => {
    const told = notification();
    await activities(slack()).sendNotification(told);
    await activities(slack()).sendNotification({ ...told, key: `${told.key}.2` });
    expect(await messagesWith(told.text)).toHaveLength(2);
  });

  it('shows hostile text literally: no mention, link, formatting or direction of its own', async () => {
    const marker = `marker-${++next}`;
    await activities(slack()).sendNotification(
      notification({ text: `${HOSTILE} ${marker}`, title: HOSTILE }),
    );
    const [message] = await messagesWith(marker);
    expect(message?.blocks.length).toBeGreaterThan(0);
    for (const block of (message?.blocks ?? []) as { type: string; text: { type: string; text: string } }[]) {
      expect(block.text.type).toBe('plain_text');
      expect(block.text.text).not.toMatch(/[<>]/);
      expect(block.text.text.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
    }
    expect(message?.text).not.toMatch(/[<>]/);
  });

  it('is sent no more than Slack takes', async () => {
    const bodies: URLSearchParams[] = [];
    const apiUrl = `${await serve((response, { body }) => {
      bodies.push(new URLSearchParams(body));
      json(response, 200, { ok: true, ts: '1.2', channel: 'C1', messages: [] });
    })}/`;
    await activities(slack({ apiUrl })).sendNotification(notification({ text: '<&>'.repeat(50_000) }));
    const posted = bodies.find((body) => body.has('blocks'));
    for (const block of JSON.parse(posted?.get('blocks') ?? '[]'))
      expect(block.text.text.length).toBeLessThanOrEqual(3_000);
    expect(posted?.get('text')?.length).toBeLessThanOrEqual(500);
    expect(posted?.get('parse')).toBe('none');
    expect(posted?.get('link_names')).toBe('false');
  });

  it('still shows the text where the app may not read the channel', async () => {
    let posts = 0;
    const apiUrl = `${await serve((response, { body }) => {
      if (body.includes('blocks=')) {
        posts += 1;
        json(response, 200, { ok: true, ts: '1.2' });
      } else json(response, 200, { ok: false, error: 'missing_scope' });
    })}/`;
    const { reference } = await activities(slack({ apiUrl, channel: 'C9' })).sendNotification(notification());
    expect(reference).toBe('C9/1.2');
    expect(posts).toBe(1);
  });

  it.each([
    ['channel_not_found', 'InvalidInput', /set notifications\.ml\.channel/],
    ['not_in_channel', 'InvalidInput', /invite/],
    ['invalid_auth', 'Unauthorized', /chat\.slack\.botToken/],
    ['internal_error', 'Unavailable', /chat\.postMessage/],
  ])('that answers %s is %s, and the failure says what to do', async (error, type, expected) => {
    const apiUrl = `${await serve((response, { body }) =>
      json(response, 200, body.includes('blocks=') ? { ok: false, error } : { ok: true, messages: [] }),
    )}/`;
    const failure = await failureOf(activities(slack({ apiUrl })).sendNotification(notification()));
    expect(failure.type).toBe(type);
    expect(failure.message).toMatch(expected);
  });

  it('that limits the rate is tried again after what it asks for', async () => {
    const apiUrl = `${await serve((response, { body }) => {
      if (body.includes('blocks=')) json(response, 429, {}, { 'retry-after': '11' });
      else json(response, 200, { ok: true, messages: [] });
    })}/`;
    const failure = await failureOf(activities(slack({ apiUrl })).sendNotification(notification()));
    expect(failure).toMatchObject({ type: 'RateLimited', nonRetryable: false, nextRetryDelay: 11_000 });
  });
});
