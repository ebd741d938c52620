import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { renderHarmPlot } from '../../activities/plot/harm-plot.ts';
import { createMeasurementActivities, createPrometheusClient } from '../../activities/prometheus/index.ts';
import { type AttachedStack, attachStack } from '../../demo/stack/attach-stack.ts';
import { keepHistory } from '../../domain/harm-history/history.ts';
import { sparkline } from '../../domain/harm-history/sparkline.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import { until } from './kubernetes-fixture.ts';

const NAMESPACE = `history-${process.pid}`;
const TARGET = { cluster: 'local', namespace: NAMESPACE, kind: 'Deployment', name: 'llm' } as const;
const LABELS = { namespace: 'target.namespace', deployment: 'target.name' };
const METRICS: Record<string, MetricSpec> = {
  harmful: { type: 'counter', counter: 'ai_harmful_outputs_total', labels: LABELS, windowMs: 60_000 },
  classified: { type: 'counter', counter: 'ai_outputs_classified_total', labels: LABELS, windowMs: 60_000 },
};

/** Counters of pods, as the test sets them; each scrape of one that serves adds to it. */
interface Pod {
  name: string;
  classified: number;
  harmful: number;
  /** What a scrape adds. */
  adds: { classified: number; harmful: number };
}

let stack: AttachedStack;
let server: Server;
let scrapes = 0;
let pods: Pod[] = [];

function exposition(): string {
  scrapes += 1;
  for (const pod of pods) {
    pod.classified += pod.adds.classified;
    pod.harmful += pod.adds.harmful;
  }
  const lines = (counter: string, of: (pod: Pod) => number) => [
    `# TYPE ${counter} counter`,
    ...pods.map(
      (pod) => `${counter}{namespace="${NAMESPACE}",deployment="llm",pod="${pod.name}"} ${of(pod)}`,
    ),
  ];
  return [
    ...lines('ai_harmful_outputs_total', (pod) => pod.harmful),
    ...lines('ai_outputs_classified_total', (pod) => pod.classified),
    '',
  ].join('\n');
}

beforeAll(async () => {
  stack = attachStack(inject('stack'));
  server = createServer((_request, response) => response.end(exposition()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await stack.prometheus.writeTargets(NAMESPACE, [
    { address: `127.0.0.1:${(server.address() as AddressInfo).port}` },
  ]);
});
afterAll(async () => {
  await stack?.prometheus.writeTargets(NAMESPACE, []);
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
});

async function scraped(times: number): Promise<void> {
  const wanted = scrapes + times;
  await until(`${times} scrapes`, async () => scrapes >= wanted);
}

describe('readHarmHistory on the real Prometheus', () => {
  it('shows harm, the gap while nothing is served, and the healthy revision after it', async () => {
    const bad: Pod = {
      name: 'llm-bad',
      classified: 5_000,
      harmful: 50,
      adds: { classified: 20, harmful: 4 },
    };
    pods = [bad];
    await scraped(2);
    const fromMs = Date.now();
    await scraped(10);
    bad.adds = { classified: 0, harmful: 0 };
    await scraped(10);
    pods = [{ name: 'llm-good', classified: 0, harmful: 0, adds: { classified: 20, harmful: 0 } }];
    await scraped(10);

    const prometheus = { local: createPrometheusClient({ url: stack.prometheus.url }) };
    const measurement = createMeasurementActivities({ prometheus, readPods: async () => ({ pods: [] }) });
    const input = { target: TARGET, metrics: METRICS, fromMs, toMs: Date.now() };
    const reading = await measurement.readHarmHistory(input);

    const rates = reading.points.map(({ harmful, classified }) =>
      classified > 0 ? harmful / classified : null,
    );
    const firstGap = rates.indexOf(null, 1);
    expect(Math.max(...rates.slice(0, firstGap).map((rate) => rate ?? 0))).toBeCloseTo(0.2, 5);
    expect(rates.filter((rate) => rate === null).length).toBeGreaterThanOrEqual(2);
    expect(rates.at(-2)).toBe(0);
    // Exactly what was counted in the range: neither the 5,000 before it nor an extrapolated share.
    const total = (name: 'harmful' | 'classified') =>
      reading.points.reduce((sum, point) => sum + point[name], 0);
    expect(total('classified') % 20).toBe(0);
    expect(total('classified')).toBeGreaterThan(200);
    expect(total('classified')).toBeLessThanOrEqual(20 * 24);
    expect(total('harmful')).toBeGreaterThanOrEqual(4 * 8);
    expect(total('harmful')).toBeLessThanOrEqual(4 * 12);

    const harmHistory = keepHistory(undefined, reading);
    expect(harmHistory && sparkline(harmHistory, { unicode: true })?.line).toMatch(/█.*··.*▁/);
    expect(await renderHarmPlot(viewOf({ harmHistory, milestones: { triggered: fromMs } }))).toMatch(
      /^<svg /,
    );
  });

  it('is empty, with a reason, for a target of which Prometheus knows nothing', async () => {
    const prometheus = { local: createPrometheusClient({ url: stack.prometheus.url }) };
    const measurement = createMeasurementActivities({ prometheus, readPods: async () => ({ pods: [] }) });
    const reading = await measurement.readHarmHistory({
      target: { ...TARGET, name: 'llm"} or vector(1)' },
      metrics: METRICS,
      fromMs: Date.now() - 60_000,
      toMs: Date.now(),
    });
    expect(reading.points.every(({ classified }) => classified === 0)).toBe(true);
    expect(reading.reason).toBe('nothing was classified in the range');
    expect(keepHistory(undefined, reading)).toBeUndefined();
  });
});
