import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_ANSWER_BYTES } from './answer.ts';
import { createEndpointActivities, type Endpoint } from './index.ts';

const TOKEN = 'token-that-nobody-may-see';
/** What an endpoint answers and nothing of ours may repeat. */
const SECRET_BODY = 'body-that-nobody-may-see';

interface Received {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

let received: Received[] = [];
let respond: (response: ServerResponse, request: Received) => void;
let base: string;
let close: () => Promise<void>;

beforeEach(async () => {
  received = [];
  respond = (response) => json(response, 200, { ok: true });
  const server = createServer(async (incoming, response) => {
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, headers, body: await readText(incoming) };
    received.push(request);
    respond(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
});
afterEach(() => close());

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

const CALL = {
  incidentId: 'inc-1',
  key: 'inc-1.1.block',
  endpoint: 'gate',
  method: 'POST',
  path: '/models/block',
  expectStatus: [] as number[],
};

function call(change: Partial<typeof CALL & { json: unknown }> = {}, endpoint: Partial<Endpoint> = {}) {
  const gate = {
    url: `${base}/base`,
    bearerToken: TOKEN,
    methods: ['GET', 'POST'],
    timeoutMs: 5_000,
    ...endpoint,
  };
  return createEndpointActivities({ endpoints: { gate } }).callEndpoint({ ...CALL, ...change });
}

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure))
    throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
  // Whatever went wrong: neither our token nor the endpoint's answer is in the failure or its causes.
  const whole = JSON.stringify([error.message, error.stack, error.details, (error.cause as Error)?.message]);
  expect(whole).not.toContain(TOKEN);
  expect(whole).not.toContain(SECRET_BODY);
  return error;
}

describe('callEndpoint', () => {
  it('sends JSON below the configured address, with token and key, and returns the JSON of the answer', async () => {
    respond = (response) => json(response, 201, { blocked: ['v2'], count: 1 });
    const answer = await call({ json: { model: 'llm', rate: 0.12 } });
    expect(answer).toEqual({ status: 201, body: { blocked: ['v2'], count: 1 } });
    expect(received).toHaveLength(1);
    const [{ method, url, headers, body }] = received as [Received];
    expect([method, url]).toEqual(['POST', '/base/models/block']);
    expect(JSON.parse(body)).toEqual({ model: 'llm', rate: 0.12 });
    expect(headers['content-type']).toBe('application/json');
    expect(headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(headers['idempotency-key']).toBe('inc-1.1.block');
  });

  it('sends the same key with every attempt, and none with a GET', async () => {
    await call();
    await call();
    await call({ method: 'GET' });
    expect(received.map(({ headers }) => headers['idempotency-key'])).toEqual([
      'inc-1.1.block',
      'inc-1.1.block',
      undefined,
    ]);
    expect(received[0]?.body).toBe('');
    expect(received[0]?.headers['content-type']).toBeUndefined();
  });

  it.each([
    ['', '', '/base'],
    ['/', '/x?a=1&b=%2F', '/x?a=1&b=%2F'],
    ['/hook?code=1', '', '/hook?code=1'],
    ['/hook?code=1', '/x?a=1', '/hook/x?code=1&a=1'],
  ])('joins %j and %j', async (address, path, expected) => {
    await call({ path }, address === '' ? {} : { url: `${base}${address}` });
    expect(received[0]?.url).toBe(expected);
  });

  it.each([
    '/../admin',
    '/%2e%2e/admin',
    '/.%2E/a',
    '//evil.example',
    '/a//b',
    'x',
    '@evil.example',
    '/a\\b',
    '/a%2fb',
    `/\${{ target.name }}`,
  ])('sends nothing for the path %s', async (path) => {
    expect((await failureOf(call({ path }))).type).toBe('InvalidInput');
    expect(received).toEqual([]);
  });

  it('sends nothing to what is not configured, and by no method that is not allowed', async () => {
    const unknown = await failureOf(call({ endpoint: 'constructor' }));
    expect(unknown).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('configure http.constructor'),
    });
    const method = await failureOf(call({ method: 'DELETE' }));
    expect(method).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('http.gate.methods'),
    });
    expect(received).toEqual([]);
  });

  it('follows no redirect: what it tells stays with the configured host', async () => {
    respond = (response) => json(response, 302, '', { location: `${base}/elsewhere` });
    const failure = await failureOf(call());
    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    expect(failure.message).toContain('302');
    expect(received).toHaveLength(1);
  });

  it.each([
    [400, 'InvalidInput', true],
    [401, 'Unauthorized', true],
    [404, 'NotFound', true],
    [409, 'Conflict', false],
    [429, 'RateLimited', false],
    [500, 'Unavailable', false],
    [503, 'Unavailable', false],
  ])('turns %i into %s', async (status, type, nonRetryable) => {
    respond = (response) => json(response, status, { error: SECRET_BODY }, { 'retry-after': '7' });
    const failure = await failureOf(call());
    expect(failure).toMatchObject({ type, nonRetryable });
    expect(failure.message).toContain(String(status));
    if (status === 429) expect(failure.nextRetryDelay).toBe(7_000);
  });

  it('takes the statuses that are expected for success, and no others', async () => {
    respond = (response) => json(response, 409, { already: true });
    expect(await call({ expectStatus: [201, 409] })).toEqual({ status: 409, body: { already: true } });
    respond = (response) => json(response, 202, SECRET_BODY);
    const failure = await failureOf(call({ expectStatus: [201] }));
    expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    expect(failure.message).toContain('202');
  });

  it('gives up on an endpoint that does not answer, or not to the end', async () => {
    respond = () => undefined;
    expect(await failureOf(call({}, { timeoutMs: 100 }))).toMatchObject({
      type: 'Unavailable',
      nonRetryable: false,
    });
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"a":');
    };
    expect((await failureOf(call({}, { timeoutMs: 100 }))).type).toBe('Unavailable');
    respond = (response) => void response.destroy();
    expect((await failureOf(call())).type).toBe('Unavailable');
  });

  it.each([
    ['no JSON', '<html>no</html>'],
    ['nothing', ''],
    ['more than is kept', JSON.stringify('x'.repeat(MAX_ANSWER_BYTES))],
    ['a tower of lists', `${'['.repeat(5_000)}${']'.repeat(5_000)}`],
    ['a key that means something else to JavaScript', '{"__proto__":{"a":1}}'],
  ])('keeps nothing of an answer with %s, whose status counts all the same', async (_what, body) => {
    respond = (response) => json(response, 200, body);
    expect(await call()).toEqual({ status: 200, body: null });
  });

  it('does not read an endless answer to its end', async () => {
    let ended = false;
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(8_192)));
        if (!response.destroyed) response.once('drain', write);
      };
      response.once('close', () => {
        ended = true;
      });
      write();
    };
    expect(await call()).toEqual({ status: 200, body: null });
    await expect.poll(() => ended).toBe(true);
  });
});
