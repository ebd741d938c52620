import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiException } from '@kubernetes/client-node';
import { defaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import axios from 'axios';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fail, fromAxios, fromKubernetes } from './failure.ts';

const SECRET = 'hunter2';

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((request, response) => {
    const status = Number(request.url?.slice(1));
    if (status === 0) return;
    if (status === 1) {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setImmediate(() => response.destroy());
      return;
    }
    response
      .writeHead(status, { 'retry-after': '7', 'x-token': SECRET })
      .end(JSON.stringify({ error: SECRET }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function failureOf(path: string, config = {}, base = url) {
  const headers = { authorization: `Bearer ${SECRET}` };
  try {
    await axios.post(
      `${base}/${path}`,
      { text: SECRET },
      { headers, timeout: 300, maxRedirects: 0, ...config },
    );
  } catch (error) {
    return fromAxios(error, 'the call');
  }
  throw new Error('the call succeeded');
}

describe('fromAxios', () => {
  it.each([
    [429, 'RateLimited', false],
    [500, 'Unavailable', false],
    [503, 'Unavailable', false],
    [408, 'Unavailable', false],
    [401, 'Unauthorized', true],
    [403, 'Unauthorized', true],
    [404, 'NotFound', true],
    [409, 'Conflict', false],
    [400, 'InvalidInput', true],
    [422, 'InvalidInput', true],
    [302, 'InvalidInput', true],
  ])('calls %i %s', async (status, type, nonRetryable) => {
    const failure = await failureOf(String(status));
    expect(failure).toMatchObject({ type, nonRetryable });
    expect(failure.message).toContain(`the call was answered ${status}`);
  });

  it('waits as long as the vendor asks, and not for ever', async () => {
    expect((await failureOf('429')).nextRetryDelay).toBe(7_000);
    const error = (header: string) =>
      new axios.AxiosError('x', 'ERR', undefined, undefined, {
        status: 429,
        statusText: '',
        data: null,
        headers: { 'retry-after': header },
        config: { headers: new axios.AxiosHeaders() },
      });
    const inAMinute = fromAxios(
      error(new Date(Date.now() + 60_000).toUTCString()),
      'the call',
    ).nextRetryDelay;
    expect(inAMinute).toBeGreaterThan(57_000);
    expect(fromAxios(error('86400'), 'the call').nextRetryDelay).toBeUndefined();
    expect(fromAxios(error('soon'), 'the call').nextRetryDelay).toBeUndefined();
  });

  it('retries what got no whole answer', async () => {
    expect(await failureOf('0')).toMatchObject({
      type: 'Unavailable',
      message: expect.stringMatching(/no answer in time/),
    });
    const signal = AbortSignal.timeout(100);
    expect(await failureOf('0', { signal })).toMatchObject({
      type: 'Unavailable',
      message: expect.stringMatching(/in time/),
    });
    expect(await failureOf('1')).toMatchObject({ type: 'Unavailable' });
    const refused = await failureOf('200', {}, 'http://127.0.0.1:9');
    expect(refused).toMatchObject({ type: 'Unavailable', message: expect.stringMatching(/ECONNREFUSED/) });
    expect(await failureOf('500', { maxContentLength: 3 })).toMatchObject({ type: 'InvalidInput' });
  });

  it('lets no body, header or token into what is stored', async () => {
    for (const path of ['400', '401', '500', '1']) {
      const stored = defaultFailureConverter.errorToFailure(await failureOf(path), defaultPayloadConverter);
      expect(JSON.stringify(stored)).not.toContain(SECRET);
    }
  });
});

describe('fromKubernetes', () => {
  it('goes by the status, and keeps the body that the client puts into its messages out', () => {
    const error = new ApiException(403, SECRET, { message: SECRET }, { 'Audit-Id': SECRET });
    const failure = fromKubernetes(error, 'patch Deployment ai/llm');
    expect(failure).toMatchObject({ type: 'Unauthorized', nonRetryable: true });
    const stored = JSON.stringify(defaultFailureConverter.errorToFailure(failure, defaultPayloadConverter));
    expect(stored).toContain('patch Deployment ai/llm was answered 403');
    expect(stored).not.toContain(SECRET);
    const limited = new ApiException(429, '', null, { 'Retry-After': '1' });
    expect(fromKubernetes(limited, 'x')).toMatchObject({ type: 'RateLimited', nextRetryDelay: 1_000 });
  });

  it('retries timeouts and lost connections, whose errors have codes of other kinds', () => {
    const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
    expect(fromKubernetes(timeout, 'x')).toMatchObject({
      type: 'Unavailable',
      message: 'x: no answer in time (TimeoutError)',
    });
    const refused = new TypeError('fetch failed', {
      cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
    });
    expect(fromKubernetes(refused, 'x')).toMatchObject({
      type: 'Unavailable',
      message: 'x: no answer (ECONNREFUSED)',
    });
  });

  it('passes failures of our own on as they are', () => {
    const own = fail('Refused', 'no', { details: [1] });
    expect(fromKubernetes(own, 'x')).toBe(own);
    expect(own).toMatchObject({ nonRetryable: true, details: [1] });
  });
});
