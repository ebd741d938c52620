/** Bursts, against the emulator behind Slack's documented rate limits, which the emulator itself does not have. */

import { text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { type Listening, listening } from '../../test/vendors/listening.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import type { ChatMessageRef } from '../contract.ts';
import { createSlackChat } from './index.ts';

/** "1 message per second per channel", short bursts beside: https://docs.slack.dev/apis/web-api/rate-limits */
const WINDOW_MS = 2_000;
const MOST_IN_WINDOW: Record<string, number> = {
  // Two in two seconds, and one of a burst.
  'chat.postMessage': 3,
  // Tier 3, 50 a minute, and one of a burst.
  'chat.update': 3,
};

let emulators: Emulators;
let apiUrl: string;
let limiter: Listening;
const calls: { method: string; atMs: number; limited: boolean }[] = [];

beforeAll(async () => {
  emulators = await startEmulators();
  limiter = await listening(async (request, response) => {
    const body = await readText(request);
    const method = String(request.url).replace('/api/', '');
    const nowMs = Date.now();
    const recent = calls.filter((call) => call.method === method && call.atMs > nowMs - WINDOW_MS).length;
    const most = MOST_IN_WINDOW[method];
    const limited = most !== undefined && recent >= most;
    calls.push({ method, atMs: nowMs, limited });
    if (limited) {
      response.writeHead(429, { 'retry-after': '2' });
      return response.end();
    }
    const answer = await fetch(`${emulators.slack.apiUrl}${method}`, {
      method: 'POST',
      headers: {
        authorization: String(request.headers.authorization),
        'content-type': String(request.headers['content-type']),
      },
      body,
    });
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    return response.end(await answer.text());
  });
  apiUrl = `${limiter.url}/api/`;
});
afterAll(async () => {
  await limiter?.close();
  await emulators?.close();
});

function incident(number: number, entries: number): IncidentView {
  const timeline = Array.from({ length: entries }, (_, seq) => ({
    seq,
    atMs: Date.UTC(2026, 2, 1, 10) + seq,
    kind: 'step' as const,
    text: `Entry ${seq} of incident ${number}`,
    actor: 'firebreak',
  }));
  return viewOf({ incidentId: `inc-00000000000b-${String(number).padStart(8, '0')}`, timeline });
}

describe('five incidents that change at once, one of them with 500 new entries', () => {
  it('stay below the limits together, lose nothing, and show the newest state', async () => {
    const { token, channel } = emulators.slack;
    const chat = createSlackChat({ token, channel, apiUrl });
    const views = Array.from({ length: 5 }, (_, number) => incident(number, number === 0 ? 500 : 3));
    const lastTitle = (number: number) => `Newest title of ${number}`;

    /** As the workflow does it: what is newest then, when the answer says. */
    async function follow(view: IncidentView, number: number): Promise<ChatMessageRef | undefined> {
      let message: ChatMessageRef | undefined;
      for (let round = 0; ; round += 1) {
        const title = round < 2 ? `Title ${round} of ${number}` : lastTitle(number);
        const current = {
          ...view,
          title,
          timeline: view.timeline.filter(({ seq }) => seq > (message?.postedSeq ?? -1)),
        };
        const published = await chat.publishIncident({ view: current, ...(message && { message }) });
        message = published.message ?? message;
        if (published.againAfterMs === undefined && round >= 2) return message;
        await delay(published.againAfterMs ?? 500);
      }
    }
    const refs = await Promise.all(views.map(follow));

    expect(refs.map((ref) => ref?.postedSeq)).toEqual([499, 2, 2, 2, 2]);
    expect(calls.filter(({ limited }) => limited)).toEqual([]);
    const messages = await emulators.slack.messages();
    const big = messages.filter(({ thread_ts, ts }) => thread_ts === refs[0]?.ts && ts !== thread_ts);
    expect(big.length).toBeLessThanOrEqual(5);
    const lines = big.flatMap(({ blocks }) =>
      (blocks as { text?: { text?: string } }[]).flatMap(({ text }) => (text?.text ?? '').split('\n')),
    );
    expect(lines.map((line) => Number(/Entry (\d+)/.exec(line)?.[1]))).toEqual(
      Array.from({ length: 500 }, (_, seq) => seq),
    );
    for (const [number, ref] of refs.entries()) {
      const parent = messages.find(({ ts }) => ts === ref?.ts);
      expect(JSON.stringify(parent?.blocks)).toContain(lastTitle(number));
    }
    // The thread is the thread's: nothing of it is broadcast to the channel.
    expect(JSON.stringify(messages)).not.toContain('thread_broadcast');
  }, 60_000);
});
