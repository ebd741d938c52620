import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ExpressionFacts, MeasurementActivities, VerifyOptions } from '../../activities/contract.ts';
import type { PodReader } from '../../activities/kubernetes/index.ts';
import {
  createMeasurementActivities,
  createPrometheusClient,
  createServedBy,
} from '../../activities/prometheus/index.ts';
import { type AttachedStack, attachStack } from '../../demo/stack/attach-stack.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import { until } from './kubernetes-fixture.ts';

const CLUSTER = 'local';
const NAMESPACE = `measure-${process.pid}`;
const SCRAPE_MS = 1_000;
const TICK_MS = 100;
const FACTS: TargetFacts = { exists: true, mode: 'approve', images: [], riskTier: 'high' };

/** A model's counters: what each pod adds in a tick of 100 ms. */
interface Pod {
  deployment: string;
  pod: string;
  classified: number;
  harmful: number;
  requests: number;
}

/** Exposes counters as a model would: over HTTP, scraped by the real Prometheus. */
class ModelMetrics {
  readonly pods: Pod[] = [];
  readonly #totals = new Map<string, number>();
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#server = createServer((_request, response) => response.end(this.#text()));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  add(deployment: string, pod: string, rates: Partial<Pod>): Pod {
    const added = { deployment, pod, classified: 0, harmful: 0, requests: 0, ...rates };
    this.pods.push(added);
    return added;
  }

  remove(pod: Pod): void {
    this.pods.splice(this.pods.indexOf(pod), 1);
  }

  #tick(): void {
    for (const pod of this.pods) {
      for (const name of ['classified', 'harmful', 'requests'] as const) {
        const key = `${pod.pod}/${name}`;
        this.#totals.set(key, (this.#totals.get(key) ?? 0) + pod[name]);
      }
    }
  }

  #text(): string {
    const names = {
      requests: 'ai_requests_total',
      classified: 'ai_outputs_classified_total',
      harmful: 'ai_harmful_outputs_total',
    };
    return Object.entries(names)
      .flatMap(([name, metric]) => [
        `# TYPE ${metric} counter`,
        ...this.pods.map(
          ({ deployment, pod }) =>
            `${metric}{namespace="${NAMESPACE}",deployment="${deployment}",pod="${pod}"} ${this.#totals.get(`${pod}/${name}`) ?? 0}`,
        ),
      ])
      .join('\n')
      .concat('\n');
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const LABELS = { namespace: 'target.namespace', deployment: 'target.name' };
const METRICS: Record<string, MetricSpec> = {
  harmful: { type: 'counter', counter: 'ai_harmful_outputs_total', labels: LABELS, windowMs: 5_000 },
  classified: { type: 'counter', counter: 'ai_outputs_classified_total', labels: LABELS, windowMs: 5_000 },
  requests: { type: 'counter', counter: 'ai_requests_total', labels: LABELS, windowMs: 5_000 },
  harmRate: { type: 'ratio', of: ['harmful', 'classified'], windowMs: 5_000 },
  byPod: {
    type: 'promql',
    promql: 'sum by (pod) (ai_requests_total{deployment=$d})',
    bind: { d: 'target.name' },
  },
  pods: {
    type: 'promql',
    promql: 'count(ai_requests_total{deployment=$d,namespace=$n,pod=~"pod.*$"})',
    bind: { d: 'target.name', n: 'target.namespace' },
  },
};

let stack: AttachedStack;
let model: ModelMetrics;
let noPods: PodReader;
beforeAll(async () => {
  stack = attachStack(inject('stack'));
  noPods = async () => ({ pods: [] });
  model = new ModelMetrics();
  model.add('steady', 'pod-s1', { classified: 10, harmful: 1, requests: 10 });
  model.add('steady', 'pod-s2', { classified: 10, harmful: 0, requests: 20 });
  model.add('idle', 'pod-i1', {});
  const address = await model.listen();
  await stack.prometheus.writeTargets(NAMESPACE, [{ address }]);
  await stack.prometheus.awaitTargetsUp([address]);
  await scraped('pod-s1', 6);
  await scraped('pod-i1', 6);
});
afterAll(async () => {
  await stack?.prometheus.writeTargets(NAMESPACE, []);
  await model?.close();
});

async function query(promql: string): Promise<number | undefined> {
  const client = createPrometheusClient({ url: stack.prometheus.url });
  return (await client.queryVector(promql, await client.nowMs())).result[0]?.value;
}

/** Waits until Prometheus has so many samples of a pod: rates need at least two. */
async function scraped(pod: string, samples: number): Promise<void> {
  const promql = `count_over_time(ai_requests_total{pod="${pod}",namespace="${NAMESPACE}"}[5m])`;
  await until(`${samples} samples of ${pod}`, async () => ((await query(promql)) ?? 0) >= samples);
}

function target(name: string): Target {
  return { cluster: CLUSTER, namespace: NAMESPACE, kind: 'Deployment', name };
}

function activities(readPods: PodReader = noPods, url = stack.prometheus.url) {
  const prometheus = { [CLUSTER]: createPrometheusClient({ url, timeoutMs: 5_000 }) };
  return createMeasurementActivities({ prometheus, readPods });
}

const EXPRESSION_FACTS: ExpressionFacts = {
  steps: { snapshot: { revision: 2 } },
  inputs: {},
  incident: { severity: 'SEV1', round: 1, acknowledged: false, firing: 1 },
  alert: { labels: { severity: 'critical' } },
};

function evaluate(name: string, expressions: Record<string, string>, url?: string) {
  return activities(noPods, url).evaluate({
    target: target(name),
    facts: FACTS,
    metrics: METRICS,
    expressions,
    context: EXPRESSION_FACTS,
  });
}

describe('evaluate', () => {
  it('measures counters, ratios and PromQL of the target alone, and shows the evidence', async () => {
    const { results, evidence } = await evaluate('steady', {
      severity: 'metrics.harmRate > 0.03 && target.riskTier == "high" ? "SEV1" : "SEV2"',
      rate: 'metrics.harmRate',
      perSecond: 'metrics.requests',
      pods: 'metrics.pods',
      outputs: 'steps.snapshot.revision == 2.0 && alert.labels.severity == "critical"',
    });
    expect(results.severity).toEqual({ known: true, value: 'SEV1' });
    expect(results.pods).toEqual({ known: true, value: 2 });
    expect(results.outputs).toEqual({ known: true, value: true });
    expect(evidence.harmRate?.value).toBeCloseTo(0.05, 2);
    expect(evidence.requests?.value).toBeGreaterThan(200);
    expect(evidence.requests?.value).toBeLessThan(400);
    expect(evidence.harmRate?.promql).toContain(`deployment="steady"`);
    expect(Object.keys(evidence).sort()).toEqual(['harmRate', 'pods', 'requests']);
    expect(Math.abs((evidence.harmRate?.atMs ?? 0) - Date.now())).toBeLessThan(10_000);
  });

  it('calls unknown what has no traffic, no series, or several answers, and decides where it does not matter', async () => {
    const nothing = await evaluate('idle', {
      rate: 'metrics.harmRate',
      either: 'metrics.harmRate > 0.5 || true',
    });
    expect(nothing.results.rate).toMatchObject({
      known: false,
      reason: expect.stringMatching(/nothing was counted/),
    });
    expect(nothing.results.either).toEqual({ known: true, value: true });
    const absent = await evaluate('absent', { rate: 'metrics.harmRate', pods: 'metrics.pods' });
    expect(absent.results.rate).toMatchObject({
      known: false,
      reason: expect.stringMatching(/no current series/),
    });
    expect(absent.results.pods).toMatchObject({
      known: false,
      reason: expect.stringMatching(/gave nothing/),
    });
    const several = await evaluate('steady', { byPod: 'metrics.byPod' });
    expect(several.results.byPod).toMatchObject({
      known: false,
      reason: expect.stringMatching(/2 series instead of one/),
    });
  });

  it('binds names as literals: what looks like PromQL stays a name', async () => {
    const hostile = 'steady"} or vector(1) or ai_requests_total{deployment="steady';
    const { evidence } = await evaluate(hostile, { pods: 'metrics.pods', rate: 'metrics.harmRate' });
    expect(evidence.pods?.reason).toMatch(/gave nothing/);
    expect(evidence.harmRate?.reason).toMatch(/no current series/);
  });

  it('calls everything unknown where Prometheus does not answer', async () => {
    const { results, evidence } = await evaluate(
      'steady',
      { rate: 'metrics.harmRate', one: '1 == 1' },
      'http://127.0.0.1:9',
    );
    expect(results.rate).toMatchObject({ known: false, reason: expect.stringMatching(/ECONNREFUSED/) });
    expect(results.one).toEqual({ known: true, value: true });
    expect(evidence.harmRate?.value).toBeUndefined();
  });

  it('no longer believes a series that is gone', async () => {
    const pod = model.add('leaving', 'pod-l1', { classified: 10, harmful: 5, requests: 10 });
    await scraped('pod-l1', 4);
    expect((await evaluate('leaving', { rate: 'metrics.harmRate' })).evidence.harmRate?.value).toBeCloseTo(
      0.5,
      1,
    );
    model.remove(pod);
    await until(
      'the series to end',
      async () => (await query('ai_requests_total{pod="pod-l1"}')) === undefined,
    );
    const { results } = await evaluate('leaving', { rate: 'metrics.harmRate' });
    expect(results.rate).toMatchObject({ known: false, reason: expect.stringMatching(/no current series/) });
  });
});

describe('readMeasurementClock', () => {
  it('gives Prometheus` time and the spacing of the target`s samples, or what Prometheus says of its scrapes', async () => {
    const clock = await activities().readMeasurementClock({ target: target('steady') });
    expect(Math.abs(clock.nowMs - Date.now())).toBeLessThan(2_000);
    expect(Math.abs(clock.scrapeIntervalMs - SCRAPE_MS)).toBeLessThan(100);
    expect((await activities().readMeasurementClock({ target: target('absent') })).scrapeIntervalMs).toBe(
      SCRAPE_MS,
    );
    const nowhere = activities(noPods, 'http://127.0.0.1:9').readMeasurementClock({
      target: target('steady'),
    });
    await expect(nowhere).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });
});

describe('judgeRecovery', () => {
  const OPTIONS: VerifyOptions = {
    threshold: 0.05,
    confidence: 0.99,
    minExposure: 300,
    minBlocks: 3,
    minDurationMs: 3_000,
    maxSampleAgeMs: 5_000,
    minCoverage: 0.9,
    designEffect: 1,
    guards: [],
    allowRequestsAsDenominator: false,
  };

  async function judgeUntilDecided(name: string, readPods: PodReader, options = OPTIONS, forMs = 15_000) {
    const measurement = activities(readPods);
    const t0Ms = (await measurement.readMeasurementClock({ target: target(name) })).nowMs;
    const untilMs = Date.now() + forMs;
    for (;;) {
      const verdict = await measurement.judgeRecovery({
        target: target(name),
        metrics: METRICS,
        t0Ms,
        options,
        facts: FACTS,
        context: EXPRESSION_FACTS,
      });
      if (verdict.outcome !== 'undecided' || Date.now() > untilMs) return verdict;
      await delay(SCRAPE_MS);
    }
  }

  it('proves recovery by the pods of the target, not by an old pod that is still scraped', async () => {
    model.add('good', 'good-old-aaaaa', { classified: 5, harmful: 5, requests: 5 });
    model.add('good', 'good-new-bbbbb', { classified: 20, harmful: 0, requests: 20 });
    await scraped('good-new-bbbbb', 3);
    const pods: PodReader = async () => ({
      pods: [{ name: 'good-new-bbbbb', startedAtMs: 1 }],
      replicaSet: 'good-new',
    });
    const verdict = await judgeUntilDecided('good', pods);
    expect(verdict).toMatchObject({ outcome: 'recovered', harmful: 0, denominator: 'classified' });
    expect(verdict.classified).toBeGreaterThan(300);
    expect(verdict.gates.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('proves that a revision is not recovered, counting pods that are gone again too', async () => {
    model.add('bad', 'bad-rs-aaaaa', { classified: 20, harmful: 5, requests: 20 });
    await scraped('bad-rs-aaaaa', 3);
    const verdict = await judgeUntilDecided('bad', async () => ({ pods: [], replicaSet: 'bad-rs' }));
    expect(verdict.outcome).toBe('not-recovered');
    expect(verdict.harmful / verdict.classified).toBeCloseTo(0.25, 1);
  });

  it('stays undecided by name without traffic, without series, and when a guard cannot be told', async () => {
    const failed = async (name: string, options = OPTIONS, readPods: PodReader = noPods) => {
      const { outcome, gates } = await judgeUntilDecided(name, readPods, options, 4_000);
      return { outcome, names: gates.filter(({ ok }) => !ok).map((gate) => gate.name) };
    };
    const idle = await failed('idle', OPTIONS, async () => ({ pods: [{ name: 'pod-i1' }] }));
    expect(idle.outcome).toBe('undecided');
    expect(idle.names).toContain('no-classified-outputs');
    const absent = await failed('absent');
    expect(absent.names).toEqual(
      expect.arrayContaining(['no-classified-outputs', 'classifier-silent', 'sample-age']),
    );
    const guarded = await failed('idle', { ...OPTIONS, guards: ['metrics.harmRate < 0.5'] });
    expect(guarded.names).toContain('guard-failed');
  });

  it('turns failures of Prometheus and of Kubernetes into a gate', async () => {
    const input = {
      target: target('good'),
      metrics: METRICS,
      t0Ms: Date.now(),
      options: OPTIONS,
      facts: FACTS,
      context: EXPRESSION_FACTS,
    };
    const noKubernetes: PodReader = async () => {
      throw new Error('secret detail');
    };
    for (const measurement of [activities(noPods, 'http://127.0.0.1:9'), activities(noKubernetes)]) {
      const verdict = await measurement.judgeRecovery(input);
      expect(verdict.outcome).toBe('undecided');
      expect(verdict.gates.find(({ name }) => name === 'query-failed')).toMatchObject({ ok: false });
      expect(JSON.stringify(verdict)).not.toContain('secret');
    }
  });
});

describe('judgeHarm', () => {
  const LIMITS = { harmRate: 0.1, minExposure: 100 };

  function look(
    name: string,
    more: Partial<Parameters<MeasurementActivities['judgeHarm']>[0]> = {},
    url?: string,
  ) {
    return activities(noPods, url).judgeHarm({
      target: target(name),
      metrics: METRICS,
      windowMs: 5_000,
      limits: LIMITS,
      ...more,
    });
  }

  it('tells a workload that harms from one that does not, whichever Deployment it is', async () => {
    model.add('harming', 'pod-h1', { classified: 10, harmful: 5, requests: 10 });
    await scraped('pod-h1', 7);
    const bad = await look('harming');
    expect(bad).toMatchObject({ verdict: 'exceeded', reasons: [expect.stringMatching(/harmful of/)] });
    expect(bad.harmRate).toBeCloseTo(0.5, 1);
    expect(Math.abs(bad.atMs - Date.now())).toBeLessThan(5_000);
    const good = await look('steady');
    expect(good).toMatchObject({ verdict: 'within', reasons: [] });
    expect(good.classified).toBeGreaterThan(500);
    expect(good.harmRate).toBeCloseTo(0.05, 2);
    // The same look with a stricter limit: it is the limit that decides.
    expect(await look('steady', { limits: { ...LIMITS, harmRate: 0.02 } })).toMatchObject({
      verdict: 'exceeded',
    });
  });

  it('looks no further back than asked', async () => {
    const pod = model.add('mended', 'pod-m1', { classified: 10, harmful: 10, requests: 10 });
    await scraped('pod-m1', 5);
    pod.harmful = 0;
    await delay(2 * SCRAPE_MS);
    const sinceMs = (await activities().readMeasurementClock({ target: target('mended') })).nowMs;
    const later = await query(`count_over_time(ai_requests_total{pod="pod-m1"}[5m])`);
    await scraped('pod-m1', (later ?? 0) + 4);
    expect(await look('mended', { windowMs: 60_000 })).toMatchObject({ verdict: 'exceeded' });
    expect(await look('mended', { windowMs: 60_000, sinceMs })).toMatchObject({
      verdict: 'within',
      harmful: 0,
    });
    expect(await look('mended', { sinceMs: Date.now() + 60_000 })).toMatchObject({
      verdict: 'unknown',
      reasons: [expect.stringMatching(/not begun/)],
    });
  });

  it('judges errors by counters, or by a metric of its own', async () => {
    const limits = { ...LIMITS, errorRate: 0.3 };
    const errors: MetricSpec = {
      type: 'counter',
      counter: 'ai_harmful_outputs_total',
      labels: LABELS,
      windowMs: 5_000,
    };
    expect(await look('steady', { metrics: { ...METRICS, errors }, limits })).toMatchObject({
      verdict: 'within',
    });
    expect(
      await look('steady', { metrics: { ...METRICS, errors }, limits: { ...LIMITS, errorRate: 0.01 } }),
    ).toMatchObject({ verdict: 'exceeded', reasons: [expect.stringMatching(/errors of .* requests/)] });
    const byRate = (promql: string) =>
      look('steady', { metrics: { ...METRICS, errorRate: { type: 'promql', promql, bind: {} } }, limits });
    expect(await byRate('vector(0.31)')).toMatchObject({ verdict: 'exceeded' });
    expect(await byRate('vector(0.29)')).toMatchObject({ verdict: 'within' });
    expect(await byRate('absent_metric')).toMatchObject({ verdict: 'unknown' });
  });

  it('knows nothing without traffic, without series, and without Prometheus, and does not throw', async () => {
    expect(await look('idle')).toMatchObject({ verdict: 'unknown', classified: 0, harmRate: null });
    expect(await look('absent')).toMatchObject({ verdict: 'unknown', classified: null });
    expect(await look('steady', {}, 'http://127.0.0.1:9')).toMatchObject({
      verdict: 'unknown',
      classified: null,
      reasons: [expect.stringMatching(/ECONNREFUSED/)],
    });
    const { harmful: _none, ...others } = METRICS;
    expect(await look('steady', { metrics: others })).toMatchObject({
      verdict: 'unknown',
      reasons: [expect.stringMatching(/no current series of harmful/)],
    });
  });
});

describe('awaitDiverted', () => {
  function awaitDiverted(name: string, timeoutMs: number) {
    return activities().awaitDiverted({ target: target(name), metrics: METRICS, maxShare: 0.01, timeoutMs });
  }

  it('sees requests stop, and says so when they do not', async () => {
    const pod = model.add('diverting', 'pod-d1', { classified: 10, requests: 10 });
    await scraped('pod-d1', 4);
    const waiting = awaitDiverted('diverting', 20_000);
    await scraped('pod-d1', 6);
    pod.requests = 0;
    const stoppedMs = Date.now();
    const seen = await waiting;
    expect(seen).toMatchObject({
      effect: 'measured',
      detail: expect.stringMatching(/^0\.0 requests per scrape, [1-9]/),
    });
    expect(seen.atMs).toBeGreaterThan(stoppedMs);
    expect(await awaitDiverted('steady', 6_000)).toMatchObject({ effect: 'not-seen' });
  });

  it('does not claim to know without a requests series', async () => {
    expect(await awaitDiverted('absent', 5_000)).toMatchObject({ effect: 'unknown' });
    const { requests: _none, ...others } = METRICS;
    const input = { target: target('steady'), metrics: others, maxShare: 0.01, timeoutMs: 5_000 };
    expect(await activities().awaitDiverted(input)).toMatchObject({ effect: 'unknown' });
  });
});

describe('servedBy', () => {
  it('tells what the pods of one ReplicaSet served, and how long', async () => {
    model.add('served', 'served-6d5f-abcde', { classified: 10, harmful: 1, requests: 10 });
    model.add('served', 'served-6d5f7-fghij', { classified: 1_000, harmful: 1_000, requests: 1_000 });
    await scraped('served-6d5f7-fghij', 8);
    const servedBy = createServedBy({ [CLUSTER]: createPrometheusClient({ url: stack.prometheus.url }) });
    const criteria = { forMs: 5_000, minClassified: 1, harmRateBelow: 1, metrics: METRICS };
    const served = await servedBy(target('served'), 'served-6d5f', criteria);
    expect(served?.classified).toBeGreaterThan(400);
    expect(served?.classified).toBeLessThan(2_000);
    expect((served?.harmful ?? 0) / (served?.classified ?? 1)).toBeCloseTo(0.1, 1);
    expect(served?.seconds).toBeGreaterThan(4);
    expect(served?.seconds).toBeLessThan(20);
    expect(await servedBy(target('served'), 'served-none', criteria)).toBeUndefined();
  });
});

describe('deploy/prometheus/firebreak.rules.yml', () => {
  it('passes its rule tests', async () => {
    const promtool = inject('stack').prometheus.promtoolPath;
    await promisify(execFile)(promtool, ['check', 'rules', 'deploy/prometheus/firebreak.rules.yml']);
    await promisify(execFile)(promtool, ['test', 'rules', 'deploy/prometheus/firebreak.rules.test.yml']);
  });
});
