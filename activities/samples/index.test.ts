import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fail } from '../failure.ts';
import { createSampleActivities } from './index.ts';

/** What a harmful output says; it may be neither in the summary nor in an error. */
const CANARY = 'CANARY-7c1e harmful text';
const TOKEN = 'samples-token-0123456789';
const FROM_MS = Date.parse('2025-03-01T12:00:00Z');
const TO_MS = Date.parse('2025-03-01T12:15:00Z');
const SHORT_TIMEOUT_MS = 200;

const REQUEST = {
  incidentId: 'inc-1',
  source: 'outputs',
  target: { cluster: 'prod', namespace: 'ai', kind: 'Deployment' as const, name: 'llm-api' },
  fromMs: FROM_MS,
  toMs: TO_MS,
  limit: 50,
};

function sampleAt(minute: number, rest: object = {}) {
  const at = new Date(FROM_MS + minute * 60_000).toISOString();
  return {
    id: `out-${minute}`,
    requestId: `req-${minute}`,
    at,
    categories: ['hate'],
    text: textOf(minute),
    ...rest,
  };
}

/** No two resemble each other: near-duplicates would be one sample. */
function textOf(what: number | string): string {
  return `${CANARY} ${sha256(String(what))}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

describe('collecting samples', () => {
  let server: Server;
  let url: string;
  let asked: { query: Record<string, string>; authorization?: string }[];
  /** Undefined: never answers. */
  let answer: { status?: number; body: unknown; headers?: Record<string, string> } | undefined;

  beforeEach(async () => {
    asked = [];
    server = createServer((incoming, response) => {
      const { searchParams } = new URL(incoming.url ?? '/', 'http://localhost');
      asked.push({ query: Object.fromEntries(searchParams), authorization: incoming.headers.authorization });
      if (answer === undefined) return;
      response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json', ...answer.headers });
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    url = `http://127.0.0.1:${address.port}/samples?tenant=a`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function collect(input: Partial<typeof REQUEST> = {}, timeoutMs?: number) {
    const sources = { outputs: { url, bearerToken: TOKEN } };
    return createSampleActivities({ sources, timeoutMs }).collectSamples({ ...REQUEST, ...input });
  }

  it('gives the summary without texts where they cannot be kept for good, and tries again where they may be', async () => {
    answer = { body: { items: [sampleAt(1)] } };
    const sources = { outputs: { type: 'http-json' as const, url, text: 'keep' as const } };
    const collecting = (failure: ApplicationFailure) =>
      createSampleActivities({ sources, keepTexts: () => Promise.reject(failure) }).collectSamples(REQUEST);
    const refused = await collecting(fail('Unauthorized', 'the records refuse the password'));
    expect(refused).toMatchObject({ count: 1, textsProblem: 'the records refuse the password' });
    expect(refused.items.some((item) => item.kept)).toBe(false);
    await expect(collecting(fail('Unavailable', 'the records are away'))).rejects.toThrow('away');
  });

  async function failureOf(collecting: Promise<unknown>) {
    const error: unknown = await collecting.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    const { message, stack, cause, details } = error as Error & { details?: unknown };
    const told = JSON.stringify({
      message,
      stack,
      details,
      cause: cause instanceof Error ? [cause.message, cause.stack] : cause,
    });
    expect(told).not.toContain('CANARY');
    expect(told).not.toContain(TOKEN);
    return error;
  }

  it('asks for the target’s harmful outputs of the window', async () => {
    answer = { body: { items: [] } };
    expect(await collect()).toEqual({ count: 0, from: 'outputs', byCategory: {}, items: [] });
    const query = {
      tenant: 'a',
      namespace: 'ai',
      deployment: 'llm-api',
      from: '2025-03-01T12:00:00.000Z',
      to: '2025-03-01T12:15:00.000Z',
      limit: '500',
      harmful: 'true',
    };
    expect(asked).toEqual([{ query, authorization: `Bearer ${TOKEN}` }]);
  });

  it('keeps hashes and lengths instead of the text, newest first', async () => {
    answer = { body: { items: [sampleAt(1), sampleAt(3, { categories: ['hate', 'pii'] }), sampleAt(2)] } };
    const summary = await collect();
    expect(summary).toMatchObject({ count: 3, byCategory: { hate: 3, pii: 1 } });
    expect(summary.items.map(({ id }) => id)).toEqual(['out-3', 'out-2', 'out-1']);
    expect(summary.items[0]).toEqual({
      id: 'out-3',
      requestId: 'req-3',
      categories: ['hate', 'pii'],
      sha256: sha256(textOf(3)),
      length: textOf(3).length,
      ref: `s-${sha256('outputs\nout-3').slice(0, 10)}`,
    });
    expect(JSON.stringify(summary)).not.toContain('CANARY');
  });

  it('measures a text itself, whatever the source says of it', async () => {
    answer = { body: { items: [sampleAt(1, { sha256: 'a'.repeat(64), length: 1 })] } };
    expect((await collect()).items[0]).toMatchObject({
      sha256: sha256(textOf(1)),
      length: textOf(1).length,
    });
  });

  it('takes hash and length of a source that keeps the text to itself', async () => {
    answer = { body: { items: [sampleAt(1, { text: undefined, sha256: 'A'.repeat(64), length: 9 })] } };
    expect((await collect()).items[0]).toMatchObject({ sha256: 'a'.repeat(64), length: 9 });
  });

  it('keeps at most the limit, each sample once, and only the window', async () => {
    const items = [
      sampleAt(-1),
      sampleAt(16),
      sampleAt(5),
      sampleAt(5),
      sampleAt(4),
      sampleAt(3),
      sampleAt(2),
    ];
    answer = { body: { items } };
    const summary = await collect({ limit: 3 });
    expect(summary.items.map(({ id }) => id)).toEqual(['out-5', 'out-4', 'out-3']);
    expect(summary).toMatchObject({ count: 3, byCategory: { hate: 3 } });
  });

  it('stays small however many the source and the caller want', async () => {
    const many = Array.from({ length: 1_000 }, (_, number) =>
      sampleAt(1, {
        id: `out-${number}`,
        text: textOf(number),
        categories: Array.from(
          { length: 50 },
          (_unused, index) => `category-${number}-${index}-${'x'.repeat(20)}`,
        ),
        link: `https://store.example.com/${'a'.repeat(900)}`,
      }),
    );
    answer = { body: { items: many } };
    const summary = await collect({ limit: 1_000_000 });
    expect(summary.count).toBe(200);
    expect(summary.items.every(({ categories }) => categories.length === 10)).toBe(true);
    expect(Object.keys(summary.byCategory)).toHaveLength(50);
    expect(summary.byCategory.other).toBeGreaterThan(0);
    expect(Buffer.byteLength(JSON.stringify(summary))).toBeLessThan(1024 * 1024);
  });

  it('makes names of hostile categories', async () => {
    const categories = [
      'Self Harm!',
      '__proto__',
      'constructor',
      '<script>alert(1)</script>',
      '\u202e\u0000語',
      '../../etc',
      'x'.repeat(1_000_000),
      'self harm',
    ];
    answer = { body: { items: [sampleAt(1, { categories })] } };
    const summary = await collect();
    // What is longer than a name could be a part of the output.
    const names = ['self_harm', 'proto', 'constructor', 'script_alert_1_script', 'etc', 'other'];
    expect(summary.items[0]?.categories).toEqual(names);
    expect(summary.byCategory).toEqual(Object.fromEntries(names.map((name) => [name, 1])));
    for (const name of Object.keys(summary.byCategory)) expect(name).toMatch(/^[a-z0-9_.-]{1,40}$/);
  });

  it('keeps a digest in place of an id that is none', async () => {
    const long = 'i'.repeat(201);
    answer = {
      body: { items: [sampleAt(2, { id: CANARY, requestId: 'a\u0000b' }), sampleAt(1, { id: long })] },
    };
    const [first, second] = (await collect()).items;
    expect(first).toMatchObject({
      id: `sha256:${sha256(CANARY)}`,
      requestId: `sha256:${sha256('a\u0000b')}`,
    });
    expect(second?.id).toBe(`sha256:${sha256(long)}`);
  });

  it.each([
    ['https://store.example.com/out-1?x=1', 'https://store.example.com/out-1?x=1'],
    ['javascript:alert(1)', undefined],
    ['data:text/html,hello', undefined],
    ['/relative', undefined],
    ['https://user:secret@store.example.com/', undefined],
    [`https://store.example.com/${'a'.repeat(1_000)}`, undefined],
    [`https://store.example.com/${'語'.repeat(300)}`, undefined],
  ])('keeps links to web pages only (case %#)', async (link, kept) => {
    answer = { body: { items: [sampleAt(1, { link })] } };
    expect((await collect()).items[0]?.link).toBe(kept);
  });

  it.each([
    ['no JSON', `${CANARY} is not JSON`, 'the answer is no JSON'],
    ['JSON that is cut off', `{"items":[{"text":"${CANARY}`, 'the answer is no JSON'],
    ['no list', { items: CANARY }, 'items is not as documented'],
    ['another shape', [CANARY], 'the answer is not as documented'],
    ['a time that is none', { items: [sampleAt(1, { at: CANARY })] }, 'items[0].at is not as documented'],
    [
      'a hash that is none',
      { items: [sampleAt(1, { sha256: CANARY })] },
      'items[0].sha256 is not as documented',
    ],
    ['categories that are no list', { items: [sampleAt(2, { categories: CANARY })] }, 'items[0].categories'],
    [
      'neither text nor hash',
      { items: [sampleAt(1, { text: undefined })] },
      'text, or sha256 and length is needed',
    ],
  ])('says what is wrong with an answer that has %s, without quoting it', async (_name, body, message) => {
    answer = { body };
    expect(await failureOf(collect())).toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
      message: expect.stringContaining(message),
    });
  });

  it('counts rows that are not as documented, and takes the others', async () => {
    answer = { body: { items: [sampleAt(1), sampleAt(2, { categories: CANARY }), CANARY] } };
    const summary = await collect();
    expect(summary).toMatchObject({ count: 1, malformed: 2, items: [{ id: 'out-1' }] });
    expect(JSON.stringify(summary)).not.toContain('CANARY');
  });

  it('keeps a digest in place of ids that tell who asked, or open something', async () => {
    const token = `glpat-${'x7Qk2mN9pLw4'.repeat(2)}`;
    const uuid = '7f9c24e8-3b12-4a6f-9d1e-0c5b8a7e6f43';
    const items = [
      sampleAt(3, { id: 'out/maria@example.com', requestId: token }),
      sampleAt(2, { id: uuid, requestId: 'token' }),
      sampleAt(1, { id: 'arn:aws:s3:::outputs/2025/03/01/1.json', requestId: 'req_0123456789' }),
    ];
    answer = { body: { items } };
    const summary = await collect();
    expect(summary.items.map(({ id, requestId }) => [id, requestId])).toEqual([
      [`sha256:${sha256('out/maria@example.com')}`, `sha256:${sha256(token)}`],
      [uuid, 'token'],
      ['arn:aws:s3:::outputs/2025/03/01/1.json', 'req_0123456789'],
    ]);
  });

  it('says how many texts were not kept, and keeps the others', async () => {
    answer = { body: { items: [sampleAt(1), sampleAt(2)] } };
    const sources = { outputs: { type: 'http-json' as const, url, text: 'keep' as const } };
    const summary = await createSampleActivities({
      sources,
      keepTexts: async ({ texts }) => ({
        keptRefs: new Set(texts.slice(0, 1).map(({ ref }) => ref)),
        destroyAtMs: 1,
        problem: '1 of 2 texts were not kept: 1 could not be redacted',
      }),
    }).collectSamples(REQUEST);
    expect(summary.items.map(({ kept }) => kept === true)).toEqual([true, false]);
    expect(summary.textsProblem).toContain('1 of 2');
  });

  it.each<{ status: number; headers?: Record<string, string>; type: string; nextRetryDelay?: number }>([
    { status: 500, type: 'Unavailable' },
    { status: 429, headers: { 'Retry-After': '3' }, type: 'RateLimited', nextRetryDelay: 3_000 },
    { status: 401, type: 'Unauthorized' },
    { status: 404, type: 'NotFound' },
    { status: 400, type: 'InvalidInput' },
    { status: 302, headers: { Location: 'http://127.0.0.1:1/' }, type: 'InvalidInput' },
  ])('fails with $type when answered $status, without the body', async ({ status, headers, ...failure }) => {
    answer = { status, headers, body: { message: CANARY } };
    expect(await failureOf(collect())).toMatchObject(failure);
  });

  it('names the query where Loki refuses it, and no status else', async () => {
    const loki = { type: 'loki' as const, url, query: '{namespace=$namespace}', fields: {} };
    const asking = () => createSampleActivities({ sources: { outputs: loki } }).collectSamples(REQUEST);
    answer = { status: 400, body: `parse error : ${CANARY}` };
    expect(await failureOf(asking())).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringMatching(/answered 400: check samples\.outputs\.query$/),
    });
    answer = { body: { data: { resultType: 'matrix', result: [] } } };
    expect(await failureOf(asking())).toMatchObject({
      message: expect.stringContaining('check samples.outputs.query'),
    });
    answer = { status: 401, body: '' };
    expect(((await failureOf(asking())) as Error).message).not.toContain('query');
  });

  it('does not read an answer without end', async () => {
    answer = { body: { items: [sampleAt(1, { text: CANARY.repeat(1_000_000) })] } };
    expect(await failureOf(collect())).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('larger than'),
    });
  });

  it('is Unavailable when the answer breaks off', async () => {
    answer = { body: { items: [sampleAt(1)] }, headers: { 'Content-Length': '100000' } };
    const collecting = collect();
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    server.closeAllConnections();
    expect(await failureOf(collecting)).toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });

  it('is Unavailable when nothing is answered in time', async () => {
    answer = undefined;
    expect(await failureOf(collect({}, SHORT_TIMEOUT_MS))).toMatchObject({ type: 'Unavailable' });
  });

  it.each(['unknown', 'constructor'])('says what to configure for source "%s"', async (source) => {
    expect(await failureOf(collect({ source }))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining(`samples.${source}`),
    });
    expect(asked).toEqual([]);
  });
});
