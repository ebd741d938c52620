import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OutageProxy, startOutageProxy } from './outage-proxy.ts';
import { type JsonListener, listenForJson } from './webhook-sink.ts';

/** Long against loopback, short against what is answered after a minute or never ends. */
const PATIENCE_MS = 1_500;

let vendor: JsonListener;
let proxy: OutageProxy;

beforeEach(async () => {
  vendor = await listenForJson({
    maxBodyBytes: 1_000,
    handle: ({ path }) => ({ status: 201, body: { path } }),
    failure: () => undefined,
  });
  proxy = await startOutageProxy(`${vendor.url}/api/`);
});
afterEach(async () => {
  await proxy.close();
  await vendor.close();
});

async function ask(): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await fetch(`${proxy.url}messages?x=1`, {
    method: 'POST',
    body: '{}',
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

const passed = { status: 201, text: '{"path":"/api/messages?x=1"}' };

describe('a vendor behind the proxy', () => {
  it('is asked as it would be, path and all, until an outage begins and after it has ended', async () => {
    expect(await ask()).toMatchObject(passed);
    await proxy.set('error-500');
    expect(await ask()).toMatchObject({ status: 500 });
    await proxy.set(undefined);
    expect(await ask()).toMatchObject(passed);
    expect([vendor.requests(), proxy.disturbed(), proxy.received().length]).toEqual([2, 1, 3]);
  });

  it.each(['refused', 'reset'] as const)('gives no answer when it is %s, and does later', async (outage) => {
    await proxy.set(outage);
    await expect(ask()).rejects.toThrow('fetch failed');
    expect(vendor.requests()).toBe(0);
    await proxy.set(undefined);
    expect(await ask()).toMatchObject(passed);
  });

  it('does what it is asked when it is late', async () => {
    await proxy.set('late');
    await expect(ask()).rejects.toThrow('timeout');
    expect(vendor.requests()).toBe(1);
  });

  it('never ends its answer when it trickles', async () => {
    await proxy.set('trickle');
    await expect(ask()).rejects.toThrow('timeout');
    expect(vendor.requests()).toBe(0);
  });

  it('breaks what it has held back when the outage ends', async () => {
    await proxy.set('late');
    const asked = ask();
    const broken = expect(asked).rejects.toThrow('fetch failed');
    await expect.poll(() => vendor.requests()).toBe(1);
    await proxy.set(undefined);
    await broken;
  });

  it.each([
    ['html', 200, /^<!doctype/],
    ['wrong-json', 200, /unexpected/],
    ['not-found', 404, /^<!doctype/],
    ['rate-limited', 429, /slow down/],
    ['huge', 200, /"padding":"x{100}/],
    ['not-ok', 200, /"ok":false/],
  ] as const)('is not heard when something else answers: %s', async (outage, status, text) => {
    await proxy.set(outage);
    const answer = await ask();
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(text);
    if (outage === 'huge') expect(answer.text.length).toBeGreaterThan(10 * 1024 * 1024);
    if (outage === 'rate-limited') expect(answer.headers.get('retry-after')).toBe('86400');
    expect(vendor.requests()).toBe(0);
  });
});
