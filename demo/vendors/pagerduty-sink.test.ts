import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PagerDutySink, startPagerDutySink } from './pagerduty-sink.ts';

const KEY = 'a'.repeat(32);
const TRIGGER = {
  routing_key: KEY,
  dedup_key: 'page-1',
  event_action: 'trigger',
  payload: { summary: 'Something is wrong', source: 'llm-api', severity: 'critical' },
};

describe('the PagerDuty sink', () => {
  let sink: PagerDutySink;
  beforeEach(async () => {
    sink = await startPagerDutySink();
  });
  afterEach(() => sink.close());

  async function post(body: unknown) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${sink.url}/v2/enqueue`, { method: 'POST', body: text });
    const answer = await response.text();
    return { status: response.status, body: answer === '' ? undefined : JSON.parse(answer) };
  }

  it('accepts with 202 and names the key, its own where none was given', async () => {
    const success = { status: 'success', message: 'Event processed' };
    expect(await post(TRIGGER)).toEqual({ status: 202, body: { ...success, dedup_key: 'page-1' } });
    const { body } = await post({ ...TRIGGER, dedup_key: undefined });
    expect(body.dedup_key).toMatch(/^[0-9a-f-]{36}$/);
    expect(sink.pages()).toHaveLength(2);
  });

  it.each([
    ['no JSON', '{', 'JSON'],
    ['a short routing key', { ...TRIGGER, routing_key: 'short' }, "Length of 'routing_key' is incorrect"],
    ['an unknown action', { ...TRIGGER, event_action: 'shout' }, 'event_action'],
    ['a long key', { ...TRIGGER, dedup_key: 'k'.repeat(256) }, 'dedup_key'],
    ['no key to resolve', { routing_key: KEY, event_action: 'resolve' }, 'dedup_key'],
    ['no payload', { ...TRIGGER, payload: undefined }, "'payload'"],
    [
      'a long summary',
      { ...TRIGGER, payload: { ...TRIGGER.payload, summary: 's'.repeat(1_025) } },
      'summary',
    ],
    ['no source', { ...TRIGGER, payload: { ...TRIGGER.payload, source: '' } }, 'source'],
    ['another severity', { ...TRIGGER, payload: { ...TRIGGER.payload, severity: 'SEV1' } }, 'severity'],
    ['links of text', { ...TRIGGER, links: ['https://example.com'] }, 'links'],
    ['more than 512 KB', { ...TRIGGER, client: 'c'.repeat(512 * 1024) }, 'larger than'],
  ])('refuses an event with %s', async (_name, event, problem) => {
    const { status, body } = await post(event);
    expect(status).toBe(400);
    expect(body).toEqual({
      status: 'invalid event',
      message: 'Event object is invalid',
      errors: [expect.stringContaining(problem)],
    });
    expect(sink.events()).toEqual([]);
  });

  it('shows one page a key until it is resolved', async () => {
    const other = { ...TRIGGER, routing_key: 'b'.repeat(32) };
    const resolve = { routing_key: KEY, dedup_key: 'page-1', event_action: 'resolve' };
    const acknowledge = { ...resolve, event_action: 'acknowledge' };
    for (const event of [acknowledge, TRIGGER, TRIGGER, other, acknowledge, resolve, TRIGGER])
      await post(event);
    expect(sink.events().map(({ event_action }) => event_action)).toHaveLength(7);
    expect(sink.pages()).toMatchObject([
      { routingKey: KEY, triggers: 2, acknowledged: true, resolved: true },
      { routingKey: other.routing_key, triggers: 1, acknowledged: false, resolved: false },
      { routingKey: KEY, triggers: 1, acknowledged: false, resolved: false },
    ]);
  });

  it('answers as it is told, as often as it is told, and takes nothing meanwhile', async () => {
    sink.respondWith({ status: 429, retryAfterSeconds: 5, times: 2 });
    expect((await post(TRIGGER)).status).toBe(429);
    expect((await post(TRIGGER)).status).toBe(429);
    expect(sink.events()).toEqual([]);
    expect((await post(TRIGGER)).status).toBe(202);
    sink.respondWith({ status: 429, times: 5 });
    sink.respondWith(undefined);
    expect((await post(TRIGGER)).status).toBe(202);
  });
});
