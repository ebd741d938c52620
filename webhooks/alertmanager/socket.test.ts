import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { alertOf, deliveryOf } from '../test-support/deliveries.ts';
import { ALERTMANAGER_TOKEN, createTestEdge, noRecords } from '../test-support/edge.ts';
import { IntakeCapacity } from './capacity.ts';

/** What inject cannot show: what happens on the wire before a body has arrived. */
let app: FastifyInstance;
afterEach(() => app?.close());

async function listen(change = {}) {
  const made = await createTestEdge({ records: noRecords, ...change });
  app = made.app;
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return { ...made, port, url: `http://127.0.0.1:${port}/webhooks/alertmanager` };
}

/** Sends head only; resolves with everything the server sends until it closes. */
async function sendHead(port: number, headers: Record<string, string>): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const lines = Object.entries({ host: 'firebreak', ...headers }).map(([name, value]) => `${name}: ${value}`);
  socket.write(`POST /webhooks/alertmanager HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    answer += chunk;
    // The answer is complete with its body; nothing of ours has been sent.
    if (answer.includes('\r\n\r\n{') && answer.trimEnd().endsWith('}')) socket.end();
  });
  await once(socket, 'close');
  return answer;
}

const json = { 'content-type': 'application/json' };
const known = { ...json, authorization: `Bearer ${ALERTMANAGER_TOKEN}` };
const HUGE = String(20 * 1024 * 1024);

describe('on the wire', () => {
  it('refuses a wrong secret before a byte of a huge body has been sent', async () => {
    const { port } = await listen();
    const answer = await sendHead(port, { ...json, authorization: 'Bearer wrong', 'content-length': HUGE });
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    expect(answer).toContain('"code":"unauthenticated"');
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(answer.toLowerCase()).toContain('x-content-type-options: nosniff');
  });

  it('asks for the secret first: no hint about size or type without it', async () => {
    const { port } = await listen();
    const answer = await sendHead(port, { 'content-type': 'text/plain', 'content-length': HUGE });
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('refuses 20 MiB by its length, before they are sent', async () => {
    const { port } = await listen();
    expect(await sendHead(port, { ...known, 'content-length': HUGE })).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('lets a client that sends all of 20 MiB first read why it is refused', async () => {
    const { url, gateway } = await listen();
    const body = Buffer.alloc(20 * 1024 * 1024, 0x20);
    for (const headers of [known, { ...json, authorization: 'Bearer wrong' }]) {
      const response = await fetch(url, { method: 'POST', headers, body });
      expect(response.status).toBe(headers === known ? 413 : 401);
      expect(await response.json()).toHaveProperty('error.code');
    }
    expect(gateway.started).toEqual([]);
  });

  it('refuses 20 MiB without a length once they have become too many', async () => {
    const { url } = await listen();
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        sent += 1;
        if (sent > 20) controller.close();
        else controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
      },
    });
    const response = await fetch(url, {
      method: 'POST',
      headers: known,
      body,
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(413);
  });

  it('takes 15 MiB', async () => {
    const { url, gateway } = await listen();
    const alerts = Array.from({ length: 1_500 }, (_, index) =>
      alertOf(
        { fingerprint: `f${index}`, annotations: { description: 'd'.repeat(10_000) } },
        { pod: `p${index}` },
      ),
    );
    const response = await fetch(url, {
      method: 'POST',
      headers: known,
      body: JSON.stringify(deliveryOf(alerts)),
    });
    expect(response.status).toBe(200);
    expect(gateway.started.flatMap(({ alerts: part }) => part.alerts)).toHaveLength(1_500);
  });

  it('takes 200 identical deliveries at once', async () => {
    const { url, gateway } = await listen();
    const body = JSON.stringify(deliveryOf());
    const statuses = await Promise.all(
      Array.from(
        { length: 200 },
        async () => (await fetch(url, { method: 'POST', headers: known, body })).status,
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(gateway.started).toHaveLength(200);
  });

  it('answers 503 with Retry-After above its capacity, and takes deliveries again afterwards', async () => {
    const capacity = new IntakeCapacity({ maxDeliveries: 2 });
    const { url, gateway } = await listen({ capacity });
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.gate = promise;
    const body = JSON.stringify(deliveryOf());
    const post = () => fetch(url, { method: 'POST', headers: known, body });
    const held = [post(), post()];
    while (capacity.inFlight < 2) await new Promise(setImmediate);
    const refused = await post();
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toHaveProperty('error.code', 'overloaded');
    resolve();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
    expect((await post()).status).toBe(200);
    while (capacity.inFlight > 0) await new Promise(setImmediate);
  });

  it('gives its place back when a sender goes away in the middle of a body', async () => {
    const capacity = new IntakeCapacity();
    const { port } = await listen({ capacity });
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const head = Object.entries({ host: 'f', ...known, 'content-length': '1000' });
    socket.write(
      `POST /webhooks/alertmanager HTTP/1.1\r\n${head.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n{"ver`,
    );
    while (capacity.inFlight === 0) await new Promise(setImmediate);
    socket.destroy();
    while (capacity.inFlight > 0) await new Promise(setImmediate);
  });
});
