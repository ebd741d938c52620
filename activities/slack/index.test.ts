import type { IncomingMessage, RequestListener } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { WebClient } from '@slack/web-api';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Emulators, OTHER_APP_TOKEN, startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { listening } from '../../test/vendors/listening.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import { createSlackChat } from './index.ts';

const HOSTILE = '@channel <!channel> # heading [x](http://e) <script>';

let emulators: Emulators;
const closing: (() => unknown)[] = [];
let nextId = 0;

beforeAll(async () => {
  emulators = await startEmulators();
});
afterAll(() => emulators.close());
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

/** A new one each time, as a worker that restarted has it. */
function chat(change: Partial<{ token: string; channel: string; apiUrl: string }> = {}) {
  const { token, channel, apiUrl } = emulators.slack;
  return createSlackChat({ token, channel, apiUrl, ...change });
}

function incident(change: Partial<IncidentView> = {}): IncidentView {
  nextId += 1;
  const incidentId = `inc-000000000000-${String(nextId).padStart(8, '0')}`;
  return viewOf({ incidentId, title: `Title of ${incidentId}`, ...change });
}

/** The incident's message and its thread. */
async function messagesOf(view: IncidentView) {
  const all = await emulators.slack.messages();
  const parents = all.filter(
    ({ blocks, thread_ts }) => !thread_ts && JSON.stringify(blocks).includes(view.incidentId),
  );
  const thread = all.filter(({ ts, thread_ts }) =>
    parents.some((parent) => parent.ts === thread_ts && ts !== thread_ts),
  );
  return { parents, thread };
}

function withEntry(view: IncidentView, entryText: string): IncidentView {
  const seq = (view.timeline.at(-1)?.seq ?? -1) + 1;
  const atMs = Date.UTC(2026, 2, 1, 10, 1, seq);
  return {
    ...view,
    timeline: [...view.timeline, { seq, atMs, kind: 'step', text: entryText, actor: 'firebreak' }],
  };
}

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure))
    throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
  return error;
}

async function answering(listener: RequestListener): Promise<string> {
  const { url, close } = await listening(listener);
  closing.push(close);
  return `${url}/api/`;
}

/** Passes calls to the emulator; `lose` says whose answers get lost on the way back. */
async function losingAnswers(lose: (method: string, body: URLSearchParams) => boolean): Promise<string> {
  return answering(async (request: IncomingMessage, response) => {
    const body = await readText(request);
    const method = String(request.url).replace('/api/', '');
    const answer = await fetch(`${emulators.slack.apiUrl}${method}`, {
      method: 'POST',
      headers: {
        authorization: String(request.headers.authorization),
        'content-type': String(request.headers['content-type']),
      },
      body,
    });
    if (lose(method, new URLSearchParams(body))) return request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    return response.end(await answer.text());
  });
}

describe('publishIncident', () => {
  it('posts nothing where chat is not configured', async () => {
    expect(await createSlackChat(undefined).publishIncident({ view: incident() })).toEqual({});
  });

  it('posts one message and its timeline to the thread, then updates it in place', async () => {
    const view = incident();
    const { message } = await chat().publishIncident({ view });
    expect(message).toEqual({
      channel: emulators.slack.channel,
      ts: expect.any(String),
      postedSeq: 1,
      digest: expect.stringMatching(/^[0-9a-f]{16}$/),
    });

    const later = withEntry({ ...view, state: 'verifying', pendingApprovals: [] }, 'Rolled back');
    const second = await chat().publishIncident({ view: later, message });
    expect(second.message).toEqual({ ...message, postedSeq: 2, digest: expect.any(String) });
    expect(second.message?.digest).not.toBe(message?.digest);

    const { parents, thread } = await messagesOf(view);
    expect(parents).toHaveLength(1);
    expect(parents[0]?.ts).toBe(message?.ts);
    expect(JSON.stringify(parents[0]?.blocks)).toContain('State\\nverifying');
    expect(JSON.stringify(parents[0]?.blocks)).not.toContain('firebreak_approve');
    expect(thread).toHaveLength(2);
    expect(JSON.stringify(thread[0]?.blocks)).toContain('Opened by an alert');
    expect(JSON.stringify(thread[0]?.blocks)).toContain('Paged ml-oncall');
    expect(JSON.stringify(thread[1]?.blocks)).toContain('Rolled back');
    expect(JSON.stringify(thread[1]?.blocks)).not.toContain('Opened');
  });

  it('posts nothing to the thread when there is nothing new', async () => {
    const view = incident();
    const { message } = await chat().publishIncident({ view });
    expect(await chat().publishIncident({ view, message })).toEqual({ message });
    expect((await messagesOf(view)).thread).toHaveLength(1);
  });

  it('does not double a first post whose answer was lost', async () => {
    const view = incident();
    const apiUrl = await losingAnswers((method) => method === 'chat.postMessage');
    expect(await failureOf(chat({ apiUrl }).publishIncident({ view }))).toMatchObject({
      type: 'Unavailable',
    });
    expect((await messagesOf(view)).parents).toHaveLength(1);

    const { message } = await chat().publishIncident({ view });
    const { parents, thread } = await messagesOf(view);
    expect(parents.map(({ ts }) => ts)).toEqual([message?.ts]);
    expect(thread).toHaveLength(1);
  });

  it('does not double entries of the thread whose answer was lost, and posts those that are new since', async () => {
    const view = incident();
    const { message } = await chat().publishIncident({ view });
    const second = withEntry(view, 'Second');
    const apiUrl = await losingAnswers(
      (method, body) => method === 'chat.postMessage' && body.has('thread_ts'),
    );
    const lost = await chat({ apiUrl }).publishIncident({ view: second, message });
    expect(lost).toMatchObject({ message: { postedSeq: 1, uncertain: true }, problem: expect.any(String) });

    const third = withEntry(second, 'Third');
    const after = await chat().publishIncident({
      view: third,
      ...(lost.message && { message: lost.message }),
    });
    expect(after.message?.uncertain).toBeUndefined();
    expect(after.message?.postedSeq).toBe(3);
    const texts = (await messagesOf(view)).thread.map(({ blocks }) => JSON.stringify(blocks));
    expect(texts).toHaveLength(3);
    expect(texts.filter((entry) => entry.includes('Second'))).toHaveLength(1);
    expect(texts.filter((entry) => entry.includes('Third'))).toHaveLength(1);
  });

  it('posts anew when somebody deleted the message, without the entries posted before', async () => {
    const view = incident();
    const { message } = await chat().publishIncident({ view });
    const client = new WebClient(emulators.slack.token, { slackApiUrl: emulators.slack.apiUrl });
    await client.chat.delete({ channel: emulators.slack.channel, ts: message?.ts ?? '' });

    const changed = withEntry({ ...view, state: 'verifying' }, 'Later');
    const again = await chat().publishIncident({ view: changed, message });
    expect(again.message?.ts).not.toBe(message?.ts);
    const { parents, thread } = await messagesOf(view);
    expect(parents.map(({ ts }) => ts)).toEqual([again.message?.ts]);
    expect(thread.filter(({ thread_ts }) => thread_ts === again.message?.ts)).toHaveLength(1);
    expect(JSON.stringify(thread)).toContain('Later');
  });

  it('takes nobody else for itself: metadata like ours from another app', async () => {
    const view = incident();
    const other = new WebClient(OTHER_APP_TOKEN, { slackApiUrl: emulators.slack.apiUrl });
    const { user_id: otherUser } = await other.auth.test();
    const { user_id: ourUser } = await new WebClient(emulators.slack.token, {
      slackApiUrl: emulators.slack.apiUrl,
    }).auth.test();
    expect(otherUser).not.toBe(ourUser);
    const { message } = await chat().publishIncident({ view });
    const { channel } = emulators.slack;
    const payload = { incident_id: view.incidentId, last_seq: 99 };
    for (const event_type of ['firebreak_incident', 'firebreak_timeline']) {
      const metadata = { event_type, event_payload: payload };
      await other.chat.postMessage({ channel, text: 'forged', metadata });
      await other.chat.postMessage({ channel, text: 'forged', metadata, thread_ts: message?.ts ?? '' });
    }
    // As a retry whose first answer was lost: ours must be found behind the forged ones.
    const retried = await chat().publishIncident({ view: withEntry(view, 'Not to be held back') });
    expect(retried.message).toEqual({ ...message, postedSeq: 2 });
    const { parents, thread } = await messagesOf(view);
    expect(parents).toHaveLength(1);
    expect(JSON.stringify(thread)).toContain('Not to be held back');
  });

  it('posts and updates in place with the right to post alone', async () => {
    const view = incident();
    const { message } = await chat({ token: OTHER_APP_TOKEN }).publishIncident({ view });
    const later = withEntry({ ...view, state: 'mitigated' }, 'Recovered');
    const again = await chat({ token: OTHER_APP_TOKEN }).publishIncident({ view: later, message });
    expect(again.message).toMatchObject({ ts: message?.ts, postedSeq: 2 });
    const { parents, thread } = await messagesOf(view);
    expect(JSON.stringify(parents)).toContain('mitigated');
    expect(parents).toHaveLength(1);
    expect(thread).toHaveLength(2);
  });

  it('names the scope that posting needs', async () => {
    const apiUrl = await answering((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"ok":false,"error":"missing_scope"}');
    });
    const failure = await failureOf(chat({ apiUrl }).publishIncident({ view: incident() }));
    expect(failure).toMatchObject({ type: 'Unauthorized', message: expect.stringContaining('chat:write') });
  });

  it('shows a hostile title inert, without previews', async () => {
    const view = withEntry(incident({ title: HOSTILE, humanNeeded: [HOSTILE] }), HOSTILE);
    await chat().publishIncident({ view });
    const { parents, thread } = await messagesOf(view);
    for (const message of [...parents, ...thread]) {
      expect(message.text).not.toMatch(/[<>]/);
      expect(message).toMatchObject({ text: expect.stringContaining('&lt;!channel&gt;') });
      expect(JSON.stringify(message.blocks)).not.toContain('<!channel>');
      expect(JSON.stringify(message.blocks)).not.toContain('mrkdwn');
    }
    const client = new WebClient(emulators.slack.token, { slackApiUrl: emulators.slack.apiUrl });
    const { messages } = await client.conversations.history({ channel: emulators.slack.channel, limit: 1 });
    expect(messages?.[0]).toMatchObject({
      parse: 'none',
      link_names: false,
      unfurl_links: false,
      unfurl_media: false,
    });
  });
});

describe('failures', () => {
  it('says what to do about a channel that is not there', async () => {
    const failure = await failureOf(chat({ channel: 'CNOWHERE' }).publishIncident({ view: incident() }));
    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    expect(failure.message).toContain('set chat.slack.channel to the id of a channel');
  });

  it.each([
    ['invalid_auth', 'Unauthorized', 'chat.slack.botToken'],
    ['token_revoked', 'Unauthorized', 'chat.slack.botToken'],
    ['not_in_channel', 'InvalidInput', '/invite'],
    ['is_archived', 'InvalidInput', 'chat.slack.channel'],
    ['invalid_blocks', 'InvalidInput', 'invalid_blocks'],
    ['internal_error', 'Unavailable', 'internal_error'],
    ['ratelimited', 'RateLimited', 'ratelimited'],
  ])('makes %s to %s', async (error, type, part) => {
    const apiUrl = await answering((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ ok: false, error }));
    });
    const failure = await failureOf(chat({ apiUrl }).publishIncident({ view: incident() }));
    expect(failure).toMatchObject({ type, message: expect.stringContaining(part) });
  });

  it("comes again when Slack's Retry-After says, after one request, and keeps every incident from asking before", async () => {
    let requests = 0;
    const apiUrl = await answering((request, response) => {
      if (String(request.url).includes('conversations.history')) {
        response.writeHead(200, { 'content-type': 'application/json' });
        return response.end('{"ok":true,"messages":[]}');
      }
      requests += 1;
      response.writeHead(429, { 'retry-after': '17' });
      return response.end();
    });
    const limited = chat({ apiUrl });
    expect(await limited.publishIncident({ view: incident() })).toEqual({ againAfterMs: 17_000 });
    const { againAfterMs } = await limited.publishIncident({ view: incident() });
    expect(againAfterMs).toBeGreaterThan(15_000);
    expect(againAfterMs).toBeLessThanOrEqual(17_000);
    expect(requests).toBe(1);
  });

  it.each([
    [500, 'Unavailable'],
    [404, 'InvalidInput'],
  ])('makes HTTP %i to %s, after one request and without what was answered', async (status, type) => {
    let requests = 0;
    const apiUrl = await answering((_, response) => {
      requests += 1;
      response.writeHead(status);
      response.end('a page with s3cret');
    });
    const failure = await failureOf(chat({ apiUrl }).publishIncident({ view: incident() }));
    expect(failure).toMatchObject({ type });
    expect(JSON.stringify([failure.message, failure.cause?.message])).not.toContain('s3cret');
    expect(requests).toBe(1);
  });

  it('is Unavailable where something else than Slack answers, or nothing', async () => {
    const apiUrl = await answering((_, response) => response.end('<html>captive portal</html>'));
    const failure = await failureOf(chat({ apiUrl }).publishIncident({ view: incident() }));
    expect(failure).toMatchObject({ type: 'Unavailable' });
    expect(failure.message).not.toContain('captive');
    const nothing = chat({ apiUrl: 'http://127.0.0.1:1/api/' });
    expect(await failureOf(nothing.publishIncident({ view: incident() }))).toMatchObject({
      type: 'Unavailable',
    });
  });
});
