import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MetricSpec } from '../../domain/runbook.ts';
import { createPrometheusClient } from './client.ts';
import { readHarmHistory } from './harm-history.ts';

const TARGET = { cluster: 'local', namespace: 'ai', kind: 'Deployment', name: 'llm-api' } as const;
const LABELS = { deployment: 'target.name' };
const METRICS: Record<string, MetricSpec> = {
  harmful: { type: 'counter', counter: 'harmful_total', labels: LABELS, windowMs: 60_000 },
  classified: { type: 'counter', counter: 'classified_total', labels: LABELS, windowMs: 60_000 },
};
/** What a rule of alerts and a rollback take together. */
const RANGE_MS = 20 * 60_000;

/** Answers as the API of Prometheus does, of counters that rise by 1 and 50 in each step; its clock may be off. */
let server: Server;
let url: string;
let clockOffMs: number;
let warnings: string[];
let asked: URLSearchParams[];
let status: number;

beforeEach(async () => {
  clockOffMs = 0;
  warnings = [];
  asked = [];
  status = 200;
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const fields = new URLSearchParams(body);
    const answer = (resultType: string, result: unknown) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify({ status: 'success', data: { resultType, result }, warnings }));
    const nowMs = Date.now() + clockOffMs;
    if (request.url === '/api/v1/query' && fields.get('query') === 'time()') {
      return answer('scalar', [nowMs / 1_000, String(nowMs / 1_000)]);
    }
    if (request.url === '/api/v1/query') {
      const values = [0, 1, 2].map((scrape) => [nowMs / 1_000 - 45 + scrape * 15, '1']);
      return answer('matrix', [{ metric: {}, values }]);
    }
    asked.push(fields);
    const [start, end, step] = ['start', 'end', 'step'].map((name) => Number(fields.get(name)));
    const rise = fields.get('query')?.startsWith('harmful_total') ? 1 : 50;
    const values: [number, string][] = [];
    for (let at = start ?? 0, step_ = 0; at <= (end ?? 0) + 1e-6; at += step ?? 1, step_ += 1) {
      values.push([at, String(step_ * rise)]);
    }
    return answer('matrix', [{ metric: { pod: 'a' }, values }]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function read(change: Partial<Parameters<typeof readHarmHistory>[1]> = {}) {
  const clients = { local: createPrometheusClient({ url, timeoutMs: 2_000 }) };
  const toMs = Date.now();
  return readHarmHistory(clients, {
    target: TARGET,
    metrics: METRICS,
    fromMs: toMs - RANGE_MS,
    toMs,
    ...change,
  });
}

describe('readHarmHistory', () => {
  it('reads increments in buckets of two scrapes, from the range API', async () => {
    const { stepMs, points, reason } = await read();
    expect(reason).toBeUndefined();
    expect(stepMs).toBe(30_000);
    expect(points).toHaveLength(40);
    for (const point of points) expect(point).toMatchObject({ harmful: 1, classified: 50 });
    expect(asked.map((fields) => [fields.get('query'), fields.get('step')])).toEqual([
      ['harmful_total{deployment="llm-api"}', '30'],
      ['classified_total{deployment="llm-api"}', '30'],
    ]);
  });

  it("asks by Prometheus' clock and answers by that of the asker, where the two differ", async () => {
    for (const offMs of [600_000, -600_000]) {
      clockOffMs = offMs;
      asked = [];
      const toMs = Date.now();
      const { points, stepMs } = await read({ fromMs: toMs - RANGE_MS, toMs });
      const askedUntilMs = Number(asked[0]?.get('end')) * 1_000;
      expect(Math.abs(askedUntilMs - (toMs + offMs))).toBeLessThan(5_000);
      expect(Math.abs((points.at(-1)?.atMs ?? 0) + stepMs - toMs)).toBeLessThan(5_000);
    }
  });

  it('reads nothing of the future', async () => {
    const toMs = Date.now() + 3_600_000;
    const { points, stepMs } = await read({ toMs });
    expect((points.at(-1)?.atMs ?? 0) + stepMs).toBeLessThanOrEqual(Date.now());
  });

  it('says that a part of the data is missing, and shows the rest', async () => {
    warnings = ['store eu-2 is away'];
    const { points, reason } = await read();
    expect(points).toHaveLength(40);
    expect(reason).toBe('a part of the data could not be reached');
  });

  it.each([
    ['a runbook without the counters', { metrics: {} }, /no counters named harmful and classified/],
    ['an empty range', { fromMs: Date.now(), toMs: 0 }, /range is empty/],
    ['a cluster that the worker does not know', { target: { ...TARGET, cluster: 'eu-9' } }, /no Prometheus/],
  ])('gives a reason for %s', async (_name, change, reason) => {
    expect(await read(change)).toEqual({ stepMs: 0, points: [], reason: expect.stringMatching(reason) });
  });

  it('gives a reason where Prometheus fails or is away', async () => {
    status = 500;
    expect(await read()).toMatchObject({ points: [], reason: expect.any(String) });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await read()).toMatchObject({ points: [], reason: expect.stringMatching(/Prometheus/) });
  });
});
