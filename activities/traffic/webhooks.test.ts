import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BreakerProjection } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { createBreakerWebhooks } from './webhooks.ts';

const SECRET = `whsec_${Buffer.from('a key of more than twenty-four bytes').toString('base64')}`;
const TARGET: Target = { cluster: 'eu-1', namespace: 'ai', kind: 'Deployment', name: 'llm-api' };
const OPEN: BreakerProjection = {
  state: 'open',
  since: '2026-01-01T12:00:00.000Z',
  reason: 'incident inc-1',
  fallback: 'llm-fallback',
  share: 0,
  commandId: 'inc-1.divert',
  validUntil: null,
};
const BUDGET_MS = 5_000;

let received: { headers: IncomingHttpHeaders; body: string }[] = [];
let respond: (response: ServerResponse) => void;
let url: string;
let close: () => Promise<void>;

beforeEach(async () => {
  received = [];
  respond = (response) => response.writeHead(204).end();
  const server = createServer(async (incoming, response) => {
    received.push({ headers: incoming.headers, body: await readText(incoming) });
    respond(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/path-that-nobody-may-see`;
  close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
});
afterEach(() => close());

function sender(timeoutMs = 2_000) {
  return createBreakerWebhooks('eu-1', [{ url, secret: SECRET, timeoutMs }]);
}

describe('the breaker as a webhook', () => {
  it('is signed so that the standard`s own library accepts it, and no other body', async () => {
    expect(await sender().send(TARGET, OPEN, BUDGET_MS)).toEqual([]);
    expect(received).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: '' }] = received;
    const webhook = new Webhook(SECRET);
    expect(webhook.verify(body, headers as Record<string, string>)).toEqual({
      target: TARGET,
      projection: OPEN,
    });
    const forged = body.replace('"open"', '"closed"');
    expect(() => webhook.verify(forged, headers as Record<string, string>)).toThrow(/signature/);
    expect(headers['content-type']).toBe('application/json');
    expect(headers['webhook-id']).toMatch(/^msg_[0-9a-f]{32}$/);
  });

  it('has one id for all attempts of a message, and another for the next state and for a renewed lease', async () => {
    let answers = 0;
    respond = (response) => response.writeHead(++answers < 3 ? 503 : 200).end();
    expect(await sender().send(TARGET, OPEN, BUDGET_MS)).toEqual([]);
    expect(received).toHaveLength(3);
    const half: BreakerProjection = { ...OPEN, state: 'half-open', validUntil: '2026-01-01T12:05:00.000Z' };
    await sender().send(TARGET, half, BUDGET_MS);
    await sender().send(TARGET, { ...half, validUntil: '2026-01-01T12:06:00.000Z' }, BUDGET_MS);
    const ids = received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(new Set(ids).size).toBe(3);
  });

  it('tells a receiver that has taken a message nothing twice, and one that has not again', async () => {
    const hooks = sender();
    await hooks.send(TARGET, OPEN, BUDGET_MS);
    await hooks.send(TARGET, OPEN, BUDGET_MS);
    expect(received).toHaveLength(1);
    respond = (response) => response.writeHead(400).end('words that nobody may see');
    const next = { ...OPEN, commandId: 'inc-1.again' };
    expect(await hooks.send(TARGET, next, BUDGET_MS)).toEqual([expect.stringMatching(/answered 400/)]);
    respond = (response) => response.writeHead(200).end();
    expect(await hooks.send(TARGET, next, BUDGET_MS)).toEqual([]);
    expect(received).toHaveLength(3);
  });

  it.each([
    [
      'a refusal, which is not repeated',
      (response: ServerResponse) => response.writeHead(401).end(),
      1,
      5_000,
    ],
    ['errors, a few times', (response: ServerResponse) => response.writeHead(500).end(), 3, 5_000],
    ['silence, a few times', () => undefined, 3, 500],
    [
      'a redirect, which is not followed',
      (r: ServerResponse) => r.writeHead(307, { location: url }).end(),
      1,
      5_000,
    ],
  ])('names %s, without address or answer', async (_what, answer, attempts, timeoutMs) => {
    respond = answer as typeof respond;
    const problems = await sender(timeoutMs).send(TARGET, OPEN, 15_000);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/clusters\.eu-1\.traffic\.webhooks\[0\] \(127\.0\.0\.1:\d+\)/);
    expect(problems[0]).not.toMatch(/nobody-may-see/);
    expect(received).toHaveLength(attempts);
  });

  it('gives up when its time is over, whatever the receiver asks for', async () => {
    respond = (response) => response.writeHead(429, { 'retry-after': '60' }).end();
    expect(await sender().send(TARGET, OPEN, 1_000)).toEqual([expect.stringMatching(/answered 429/)]);
    expect(received).toHaveLength(1);
  });

  it('lets no receiver wait for another', async () => {
    const hooks = createBreakerWebhooks('eu-1', [
      { url: 'http://127.0.0.1:9/', secret: SECRET, timeoutMs: 500 },
      { url, secret: SECRET, timeoutMs: 500 },
    ]);
    const problems = await hooks.send(TARGET, OPEN, BUDGET_MS);
    expect(problems).toEqual([expect.stringContaining('webhooks[0]')]);
    expect(received).toHaveLength(1);
  });

  it.each(['', 'whsec_', 'a-password', 'whsec_c2hvcnQ=', 'whsec_%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%'])(
    'is not made with %j for a key',
    (secret) => {
      expect(() => createBreakerWebhooks('eu-1', [{ url, secret, timeoutMs: 500 }])).toThrow(
        /clusters\.eu-1\.traffic\.webhooks\[0\]\.secret is no key/,
      );
    },
  );
});
