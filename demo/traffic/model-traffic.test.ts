import { describe, expect, it } from 'vitest';
import type { GatewayBreaker } from './breakers.ts';
import { HarmfulSamples } from './harmful-samples.ts';
import { TrafficMetrics } from './metrics.ts';
import type { ModelPod } from './model-pods.ts';
import { ModelTraffic } from './model-traffic.ts';
import { type TrafficChange, trafficOptionsSchema } from './options.ts';
import { seededRandom } from './random.ts';

const CANARY = 'canary-1f6e9d';
const GOOD = 'demo.invalid/llm:v1';
const BAD = 'demo.invalid/llm:v2';
const T0_MS = Date.parse('2026-01-01T00:00:00Z');
const TICK_MS = 50;

function pod(name: string, change: Partial<ModelPod> = {}): ModelPod {
  return {
    uid: `uid-${name}`,
    name,
    deployment: 'llm-api',
    revision: '1',
    image: GOOD,
    ready: true,
    ...change,
  };
}

function world(pods: ModelPod[]) {
  const state = { pods, breakers: {} as Record<string, GatewayBreaker> };
  const metrics = new TrafficMetrics();
  const random = seededRandom(11);
  const samples = new HarmfulSamples(CANARY, random, 'run');
  const settings = trafficOptionsSchema.parse({
    kubeconfig: 'unused',
    namespace: 'ai',
    deployments: [{ name: 'llm-api' }],
    rps: 600,
    fallback: 'llm-fallback',
    canary: CANARY,
    images: { [GOOD]: { harmRate: 0, errorRate: 0 }, [BAD]: { harmRate: 0.12, errorRate: 0 } },
  });
  const traffic = new ModelTraffic(
    settings,
    { pods: { current: () => state.pods }, breakers: { of: (name) => state.breakers[name] } },
    metrics,
    samples,
    random,
  );
  let nowMs = T0_MS;
  return {
    samples,
    setPods: (next: ModelPod[]) => {
      state.pods = next;
    },
    setBreaker: (breaker: GatewayBreaker) => {
      state.breakers['llm-api'] = breaker;
    },
    change: (change: TrafficChange) => traffic.change(change),
    run: (seconds: number) => {
      for (let i = 0; i < (seconds * 1_000) / TICK_MS; i += 1) {
        nowMs += TICK_MS;
        traffic.tick(TICK_MS, nowMs);
      }
    },
    jump: (ms: number) => traffic.tick(ms, nowMs),
    /** Sum of a metric's series by one of their labels. */
    sums: async (metric: string, by = 'pod') => {
      const { values } = (await metrics.registry.getSingleMetric(metric)?.get()) ?? { values: [] };
      const sums: Record<string, number> = {};
      for (const { labels, value } of values) {
        const key = String((labels as Record<string, unknown>)[by]);
        sums[key] = (sums[key] ?? 0) + value;
      }
      return sums;
    },
  };
}

describe('model traffic', () => {
  it('reaches every ready pod, and no other, at the rate that was asked for', async () => {
    const { run, sums } = world([pod('a'), pod('b'), pod('starting', { ready: false })]);
    run(10);
    const requests = await sums('ai_requests_total');
    expect((requests.a ?? 0) + (requests.b ?? 0)).toBe(6_000);
    expect(requests.a).toBeGreaterThan(2_500);
    expect(requests.b).toBeGreaterThan(2_500);
    expect(requests.starting).toBe(0);
  });

  it('shows every counter of a running pod at zero before it gets any traffic', async () => {
    const { run, sums } = world([pod('a', { ready: false })]);
    run(TICK_MS / 1_000);
    for (const name of ['requests', 'outputs_classified', 'harmful_outputs', 'errors', 'refusals']) {
      expect(await sums(`ai_${name}_total`)).toEqual({ a: 0 });
    }
  });

  it('does harm by the image, and keeps each harmful output as a sample with the canary', async () => {
    const { run, sums, samples } = world([pod('good'), pod('bad', { image: BAD, revision: '2' })]);
    run(10);
    const harmful = await sums('ai_harmful_outputs_total');
    expect(harmful.good).toBe(0);
    expect(harmful.bad).toBeGreaterThan(250);
    expect(harmful.bad).toBeLessThan(470);
    const found = samples.find({ limit: 500 });
    expect(found).toHaveLength(harmful.bad ?? 0);
    expect(
      found.every(({ text, pod: name, length }) => text.includes(CANARY) && name === 'bad' && length > 0),
    ).toBe(true);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
  });

  it('obeys the breaker: all to the fallback when open, the share when half-open', async () => {
    const { run, sums, setBreaker } = world([pod('a'), pod('f', { deployment: 'llm-fallback' })]);
    setBreaker({ state: 'open', share: 0, fallback: 'llm-fallback' });
    run(10);
    expect(await sums('ai_requests_total')).toEqual({ a: 0, f: 6_000 });
    setBreaker({ state: 'half-open', share: 0.1, fallback: 'llm-fallback' });
    run(10);
    const requests = await sums('ai_requests_total');
    expect((requests.a ?? 0) + (requests.f ?? 0)).toBe(12_000);
    expect(requests.a).toBeGreaterThan(500);
    expect(requests.a).toBeLessThan(700);
    setBreaker({ state: 'closed', share: 1, fallback: null });
    run(10);
    expect((await sums('ai_requests_total')).a).toBe((requests.a ?? 0) + 6_000);
  });

  it('blocks what has no fallback, and tells apart what has no ready pod', async () => {
    const { run, sums, setBreaker } = world([pod('a')]);
    setBreaker({ state: 'open', share: 0, fallback: null });
    run(1);
    expect(await sums('ai_gateway_unserved_total', 'reason')).toEqual({ blocked: 600 });
    setBreaker({ state: 'open', share: 0, fallback: 'llm-fallback' });
    run(1);
    expect(await sums('ai_gateway_unserved_total', 'reason')).toEqual({ blocked: 600, 'no-ready-pod': 600 });
    expect(await sums('ai_requests_total')).toEqual({ a: 0 });
  });

  it('counts for a fallback that only the breaker names', async () => {
    const { run, sums, setBreaker } = world([pod('a'), pod('x', { deployment: 'llm-other' })]);
    run(1);
    expect(await sums('ai_requests_total')).toEqual({ a: 600 });
    setBreaker({ state: 'open', share: 0, fallback: 'llm-other' });
    run(1);
    expect(await sums('ai_requests_total')).toEqual({ a: 600, x: 600 });
  });

  it('drops the series of a pod that is gone and keeps the revision of one that stays', async () => {
    const { run, sums, setPods } = world([pod('a'), pod('b')]);
    run(1);
    setPods([pod('b', { revision: '3' }), pod('c', { revision: '3' })]);
    run(1);
    expect(Object.keys(await sums('ai_requests_total')).sort()).toEqual(['b', 'c']);
    expect(Object.keys(await sums('ai_requests_total', 'revision')).sort()).toEqual(['1', '3']);
  });

  it('can be directed: no classifying, no traffic on a share, another harm', async () => {
    const { run, sums, setBreaker, change } = world([pod('a'), pod('f', { deployment: 'llm-fallback' })]);
    change({ classifying: false });
    run(1);
    expect(await sums('ai_outputs_classified_total')).toEqual({ a: 0, f: 0 });
    expect((await sums('ai_requests_total')).a).toBe(600);

    setBreaker({ state: 'half-open', share: 0.5, fallback: 'llm-fallback' });
    change({ classifying: true, halfOpenTraffic: false });
    run(1);
    expect(await sums('ai_requests_total')).toEqual({ a: 600, f: 600 });

    setBreaker({ state: 'closed', share: 1, fallback: null });
    change({ images: { [GOOD]: { harmRate: 1 } }, rps: 100 });
    run(1);
    // The error rate that the image had stays as it was.
    expect(await sums('ai_harmful_outputs_total')).toEqual({ a: 100, f: 0 });
  });

  it('makes no burst after the process was suspended', async () => {
    const { jump, sums } = world([pod('a')]);
    jump(60_000);
    expect(await sums('ai_requests_total')).toEqual({ a: 600 });
  });
});
