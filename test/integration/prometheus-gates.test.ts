/** Every gate of a verdict, by its name, on a real Prometheus: closed by what it is there for, and open without it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { VerifyOptions } from '../../activities/contract.ts';
import type { TargetPods } from '../../activities/kubernetes/pod-reader.ts';
import { createMeasurementActivities, createPrometheusClient } from '../../activities/prometheus/index.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target } from '../../domain/target.ts';
import type { GateName } from '../../domain/verification/types.ts';
import { remoteWrite, startWritablePrometheus, type WrittenSeries } from './prometheus-remote-write.ts';

const SCRAPE_MS = 15_000;
const MINUTE_MS = 60_000;
/** T0 before now. */
const SINCE_MS = 4 * MINUTE_MS;
const CLOCK_MS = 10 * MINUTE_MS;

const LABELS = { namespace: 'target.namespace', deployment: 'target.name' };
const counter = (name: string): MetricSpec => ({
  type: 'counter',
  counter: name,
  labels: LABELS,
  windowMs: MINUTE_MS,
});
const METRICS: Record<string, MetricSpec> = {
  requests: counter('ai_requests_total'),
  classified: counter('ai_outputs_classified_total'),
  harmful: counter('ai_harmful_outputs_total'),
  two: { type: 'promql', promql: 'vector(2)', bind: {} },
  nothing: { type: 'promql', promql: 'no_such_metric', bind: {} },
};
const OPTIONS: VerifyOptions = {
  threshold: 0.02,
  confidence: 0.99,
  minExposure: 500,
  minBlocks: 6,
  minDurationMs: MINUTE_MS,
  maxSampleAgeMs: MINUTE_MS,
  minCoverage: 0.9,
  designEffect: 1,
  guards: ['metrics.two > 1.0'],
  allowRequestsAsDenominator: false,
};

let prometheus: Awaited<ReturnType<typeof startWritablePrometheus>>;
beforeAll(async () => {
  prometheus = await startWritablePrometheus();
});
afterAll(() => prometheus?.stop());
afterEach(() => vi.useRealTimers());

type Counter = 'requests' | 'classified' | 'harmful';
const NAMES = {
  requests: 'ai_requests_total',
  classified: 'ai_outputs_classified_total',
  harmful: 'ai_harmful_outputs_total',
};

interface Traffic {
  /** What a pod adds in a scrape; `atMs` is before now, negative. Default: 60 of each, none harmful. */
  adds?: (counter: Counter, atMs: number) => number;
  counters?: Counter[];
  /** Scrapes from and until, before now. */
  fromMs?: number;
  untilMs?: number;
  pods?: string[];
  labels?: Record<string, string>;
  /** By how much the clock that stamps samples is ahead. */
  stampsAheadMs?: number;
  /** Where counters are at the first scrape. */
  startAt?: number;
}

const steady = (counterName: Counter) => (counterName === 'harmful' ? 0 : 60);

function series(target: Target, nowMs: number, traffic: Traffic): WrittenSeries[] {
  const {
    adds = steady,
    counters = ['requests', 'classified', 'harmful'],
    fromMs = -SINCE_MS - 2 * MINUTE_MS,
    untilMs = 0,
    pods = ['new-rs-a', 'new-rs-b'],
    stampsAheadMs = 0,
    startAt = 0,
  } = traffic;
  return pods.flatMap((pod) =>
    counters.map((name) => {
      let value = name === 'harmful' ? 0 : startAt;
      const samples: WrittenSeries['samples'] = [];
      for (let atMs = fromMs; atMs <= untilMs; atMs += SCRAPE_MS) {
        const added = adds(name, atMs);
        // What is no number spoils one sample.
        value += Number.isNaN(added) ? 0 : added;
        samples.push({ tMs: nowMs + atMs + stampsAheadMs, value: Number.isNaN(added) ? added : value });
      }
      const { namespace, name: deployment } = target;
      const labels = {
        job: 'models',
        namespace,
        deployment,
        pod,
        instance: `${pod}:8080`,
        ...traffic.labels,
      };
      return { labels: { ...labels, __name__: NAMES[name] }, samples };
    }),
  );
}

let cases = 0;

interface Case {
  traffic?: Traffic[];
  options?: Partial<VerifyOptions>;
  metrics?: Record<string, MetricSpec>;
  sinceMs?: number;
  pods?: (nowMs: number) => TargetPods;
  url?: string;
  more?: (target: Target, nowMs: number) => WrittenSeries[];
  replicaLabels?: string[];
  /** Of Firebreak's own clock. */
  ownClockAheadMs?: number;
}

async function judge({ traffic = [{}], options, metrics = METRICS, sinceMs = SINCE_MS, ...rest }: Case) {
  cases += 1;
  const target: Target = { cluster: 'local', namespace: 'gates', kind: 'Deployment', name: `case-${cases}` };
  const nowMs = Date.now() - 500;
  const written = traffic.flatMap((one) => series(target, nowMs, one));
  await remoteWrite(prometheus.url, [...written, ...(rest.more?.(target, nowMs) ?? [])]);
  const { url = prometheus.url, replicaLabels } = rest;
  const activities = createMeasurementActivities({
    prometheus: { local: createPrometheusClient({ url, replicaLabels, timeoutMs: 2_000 }) },
    readPods: async () => rest.pods?.(nowMs) ?? { pods: [], replicaSet: 'new-rs' },
  });
  if (rest.ownClockAheadMs !== undefined)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + rest.ownClockAheadMs });
  const verdict = await activities.judgeRecovery({
    target,
    metrics,
    t0Ms: nowMs - sinceMs,
    options: { ...OPTIONS, ...options },
    facts: { exists: true, mode: 'approve', images: [] },
    context: {
      steps: {},
      inputs: {},
      incident: { severity: 'SEV1', round: 1, acknowledged: true, firing: 1 },
      alert: { labels: {} },
    },
    alertedAtMs: nowMs - sinceMs - 5 * MINUTE_MS,
  });
  const closed = [...new Set(verdict.gates.filter(({ ok }) => !ok).map(({ name }) => name))];
  return { verdict, closed, activities, target };
}

/** Something in front of Prometheus that changes its answers, as gateways of Thanos and Mimir can. */
async function inFront(
  change: (request: IncomingMessage, answer: unknown) => { status: number; body: string } | 'hang',
  use: (url: string) => Promise<void>,
): Promise<void> {
  const forward = async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const answer = await fetch(`${prometheus.url}${request.url}`, {
      method: request.method,
      headers: { 'Content-Type': request.headers['content-type'] ?? '' },
      ...(request.method === 'POST' ? { body: Buffer.concat(parts) } : {}),
    });
    const changed = change(request, await answer.json());
    if (changed !== 'hang') response.writeHead(changed.status).end(changed.body);
  };
  const server = createServer((request, response) => void forward(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('with nothing wrong', () => {
  it('every gate is open and recovery is proved', async () => {
    const { verdict, closed } = await judge({});
    expect(closed).toEqual([]);
    expect(verdict).toMatchObject({
      outcome: 'recovered',
      harmful: 0,
      classified: 2 * 60 * 16,
      requests: 2 * 60 * 16,
    });
    const names: GateName[] = [
      'query-failed',
      'partial-response',
      'not-a-number',
      'duplicate-series',
      'impossible-counts',
      'no-classified-outputs',
      'minimum-exposure',
      'too-few-blocks',
      'minimum-duration',
      'sample-age',
      'coverage',
      'classifier-silent',
      'classifier-changed',
      'guard-failed',
    ];
    expect(verdict.gates.map(({ name }) => name)).toEqual(names);
  });

  it('harm is proved just as well', async () => {
    const adds = (name: Counter) => (name === 'harmful' ? 6 : 60);
    const { verdict } = await judge({ traffic: [{ adds }] });
    expect(verdict).toMatchObject({ outcome: 'not-recovered', harmful: 2 * 6 * 16 });
  });
});

/** What closes a gate, and nothing else does. */
const CLOSES: [gate: GateName, what: string, given: Case][] = [
  [
    'not-a-number',
    'a NaN among the samples of one pod',
    {
      traffic: [
        {
          adds: (name, atMs) => (name === 'classified' && atMs === -MINUTE_MS ? Number.NaN : steady(name)),
          pods: ['new-rs-b'],
        },
        { pods: ['new-rs-a'] },
      ],
    },
  ],
  [
    'not-a-number',
    'a counter below zero',
    { traffic: [{ adds: (name, atMs) => (name === 'harmful' && atMs === 0 ? -1 : steady(name)) }] },
  ],
  [
    'duplicate-series',
    'two replicas of Prometheus of which nobody said',
    { traffic: [{ labels: { prometheus_replica: 'a' } }, { labels: { prometheus_replica: 'b' } }] },
  ],
  [
    'duplicate-series',
    'one endpoint that two jobs scrape',
    { traffic: [{ labels: { job: 'a', service: 'a' } }, { labels: { job: 'b', service: 'b' } }] },
  ],
  [
    'no-classified-outputs',
    'a pod that serves nobody',
    { traffic: [{ adds: () => 0 }], options: { minExposure: 0, minBlocks: 0, minCoverage: 0 } },
  ],
  [
    'minimum-exposure',
    'more outputs asked for than there were',
    { options: { minExposure: 2 * 60 * 16 + 1 } },
  ],
  ['minimum-duration', 'more time asked for than has passed', { options: { minDurationMs: SINCE_MS + 1 } }],
  [
    'too-few-blocks',
    'all traffic in three scrapes',
    {
      traffic: [{ adds: (name, atMs) => (name === 'harmful' || Math.abs(atMs + 90_000) > 20_000 ? 0 : 600) }],
      options: { maxSampleAgeMs: 120_000 },
    },
  ],
  ['sample-age', 'samples that ended a while ago', { traffic: [{ untilMs: -75_000 }] }],
  [
    'sample-age',
    'one counter that is behind the others',
    { traffic: [{ counters: ['requests', 'classified'] }, { counters: ['harmful'], untilMs: -75_000 }] },
  ],
  [
    'coverage',
    'a fifth that is not classified',
    { traffic: [{ adds: (name) => ({ requests: 60, classified: 48, harmful: 0 })[name] }] },
  ],
  [
    'coverage',
    'no counter of requests to compare with',
    { metrics: { ...METRICS, requests: { type: 'promql', promql: 'vector(1)', bind: {} } } },
  ],
  [
    'classifier-silent',
    'a classifier that stopped while requests are served',
    {
      traffic: [{ adds: (name, atMs) => (name === 'classified' && atMs > -90_000 ? 0 : steady(name)) }],
      options: { minCoverage: 0 },
    },
  ],
  ['guard-failed', 'a guard that does not hold', { options: { guards: ['metrics.two < 1.0'] } }],
  ['guard-failed', 'a guard that cannot be told', { options: { guards: ['metrics.nothing < 1.0'] } }],
];

describe('the gate', () => {
  it.each(CLOSES)('%s is closed, alone, by %s', async (gate, _, given) => {
    const { verdict, closed } = await judge(given);
    expect(closed).toEqual([gate]);
    expect(verdict.outcome).not.toBe('recovered');
  });

  it('no-classified-outputs is closed by no classified counter at all', async () => {
    const { verdict, closed } = await judge({ traffic: [{ counters: ['requests', 'harmful'] }] });
    expect(closed).toEqual(expect.arrayContaining(['no-classified-outputs', 'classifier-silent']));
    expect(verdict.outcome).toBe('undecided');
    const options = { allowRequestsAsDenominator: true };
    const allowed = await judge({ traffic: [{ counters: ['requests', 'harmful'] }], options });
    expect(allowed.verdict).toMatchObject({ outcome: 'recovered', denominator: 'requests' });
  });

  it('impossible-counts is closed by more harm than outputs, which is called harm all the same', async () => {
    const adds = (name: Counter) => (name === 'harmful' ? 61 : 60);
    const { verdict, closed } = await judge({ traffic: [{ adds }] });
    expect(closed).toEqual(['impossible-counts']);
    expect(verdict.outcome).toBe('not-recovered');
  });

  it('classifier-silent is closed by a harmful counter that is not exposed', async () => {
    const { verdict, closed } = await judge({ traffic: [{ counters: ['requests', 'classified'] }] });
    expect(closed).toEqual(['classifier-silent']);
    expect(verdict.outcome).toBe('undecided');
  });

  it('duplicate-series is open where the replica label is configured, and nothing counts twice', async () => {
    const replicas = ['a', 'b'].map((name) => ({ labels: { prometheus_replica: name } }));
    const { verdict, closed } = await judge({ traffic: replicas, replicaLabels: ['prometheus_replica'] });
    expect(closed).toEqual([]);
    expect(verdict).toMatchObject({ outcome: 'recovered', classified: 2 * 60 * 16 });
  });

  it('duplicate-series lets no proof of harm stand either', async () => {
    const adds = (name: Counter) => (name === 'harmful' ? 6 : 60);
    const replicas = ['a', 'b'].map((name) => ({ adds, labels: { prometheus_replica: name } }));
    expect((await judge({ traffic: replicas })).verdict.outcome).toBe('undecided');
  });

  it('partial-response is closed by a warning of the store in front', async () => {
    const warns = (_: IncomingMessage, answer: unknown) => ({
      status: 200,
      body: JSON.stringify({ ...(answer as object), warnings: ['store is down'] }),
    });
    await inFront(warns, async (url) => {
      const { closed, verdict } = await judge({ url });
      expect(closed).toContain('partial-response');
      expect(verdict.outcome).toBe('undecided');
    });
    const silent = (_: IncomingMessage, answer: unknown) => ({ status: 200, body: JSON.stringify(answer) });
    await inFront(silent, async (url) => expect((await judge({ url })).closed).toEqual([]));
  });

  it.each([
    ['an error', { status: 503, body: 'away' }],
    ['something that is not the API', { status: 200, body: '<html>' }],
    ['no answer', 'hang' as const],
  ])('query-failed is closed by %s', async (_, answer) => {
    await inFront(
      () => answer,
      async (url) => {
        const { closed, verdict } = await judge({ url });
        expect(closed).toContain('query-failed');
        expect(verdict.outcome).toBe('undecided');
      },
    );
  });
});

describe('the gate classifier-changed', () => {
  const metrics: Record<string, MetricSpec> = { ...METRICS, classifier: counter('ai_classifier_info') };

  /** `version: [from, until]`, before now. */
  function versions(times: Record<string, [fromMs: number, untilMs: number]>) {
    return (target: Target, nowMs: number): WrittenSeries[] =>
      Object.entries(times).map(([version, [fromMs, untilMs]]) => {
        const samples: WrittenSeries['samples'] = [];
        for (let atMs = fromMs; atMs <= untilMs; atMs += SCRAPE_MS)
          samples.push({ tMs: nowMs + atMs, value: 1 });
        if (untilMs < 0) samples.push({ tMs: nowMs + untilMs + SCRAPE_MS, value: 'stale' });
        const { namespace, name: deployment } = target;
        return { labels: { __name__: 'ai_classifier_info', namespace, deployment, version }, samples };
      });
  }
  const ALERTED_MS = -SINCE_MS - 5 * MINUTE_MS;
  const BEGIN_MS = ALERTED_MS - MINUTE_MS;

  it('is open while one version classifies, and where the runbook does not track it', async () => {
    const { closed, verdict } = await judge({ metrics, more: versions({ v3: [BEGIN_MS, 0] }) });
    expect(closed).toEqual([]);
    expect(verdict.outcome).toBe('recovered');
    expect((await judge({ more: versions({ v3: [BEGIN_MS, -120_000], v4: [-120_000, 0] }) })).closed).toEqual(
      [],
    );
  });

  it('is open for a query that gives the version, as for a counter', async () => {
    const promql = 'max by (version) (ai_classifier_info{deployment=$d})';
    const classifier: MetricSpec = { type: 'promql', promql, bind: { d: 'target.name' } };
    const one = versions({ v3: [BEGIN_MS, 0] });
    expect((await judge({ metrics: { ...METRICS, classifier }, more: one })).closed).toEqual([]);
  });

  it.each<[string, Record<string, [number, number]>]>([
    [
      'another one since the alert',
      { v3: [BEGIN_MS, -SINCE_MS - MINUTE_MS], v4: [-SINCE_MS - MINUTE_MS, 0] },
    ],
    ['another one since T0', { v3: [BEGIN_MS, -MINUTE_MS], v4: [-MINUTE_MS, 0] }],
    ['another one for a while', { v3: [BEGIN_MS, 0], v4: [-3 * MINUTE_MS, -MINUTE_MS] }],
    ['none now', { v3: [BEGIN_MS, -MINUTE_MS] }],
    ['none before', { v3: [-SINCE_MS + MINUTE_MS, 0] }],
    ['none at all', {}],
    ['one that does not say its version', { '': [BEGIN_MS, 0] }],
  ])('is closed by %s', async (_, times) => {
    const { closed, verdict } = await judge({ metrics, more: versions(times) });
    expect(closed).toEqual(['classifier-changed']);
    expect(verdict.outcome).toBe('undecided');
  });
});

describe('clocks that are ten minutes apart', () => {
  /** A gateway counts for all revisions: healthy until 5 minutes ago, harmful ever since. */
  const nowHarmful: Traffic = {
    adds: (name, atMs) => (name === 'harmful' && atMs > -5 * MINUTE_MS ? 30 : steady(name)),
    fromMs: -20 * MINUTE_MS,
  };

  it('samples stamped ahead: those of before the harm are not taken for those since T0', async () => {
    const { verdict, closed, activities, target } = await judge({
      traffic: [{ ...nowHarmful, stampsAheadMs: CLOCK_MS }],
    });
    expect(closed).toContain('sample-age');
    expect(verdict).toMatchObject({ outcome: 'undecided', harmful: 0 });
    expect(verdict.gates.find(({ name }) => name === 'sample-age')?.detail).toMatch(/ahead of Prometheus/);
    const look = await activities.judgeHarm({
      target,
      metrics: METRICS,
      windowMs: SINCE_MS,
      limits: { harmRate: 0.02, minExposure: 100 },
    });
    expect(look).toMatchObject({
      verdict: 'unknown',
      reasons: expect.arrayContaining([expect.stringMatching(/ahead/)]),
    });
    // The same, stamped as it should be, is harm.
    expect((await judge({ traffic: [nowHarmful] })).verdict.outcome).toBe('not-recovered');
  });

  it('samples stamped behind: nothing is current', async () => {
    const { verdict, closed } = await judge({
      traffic: [{ fromMs: -20 * MINUTE_MS, stampsAheadMs: -CLOCK_MS }],
    });
    expect(closed).toContain('sample-age');
    expect(verdict.outcome).toBe('undecided');
  });

  it.each([CLOCK_MS, -CLOCK_MS])(
    'Firebreak`s own clock, by %i ms: nothing depends on it',
    async (ownClockAheadMs) => {
      const { verdict, closed } = await judge({ ownClockAheadMs });
      expect(closed).toEqual([]);
      expect(verdict).toMatchObject({ outcome: 'recovered', classified: 2 * 60 * 16 });
      vi.useRealTimers();
      const harmful = await judge({ traffic: [nowHarmful], ownClockAheadMs });
      expect(harmful.verdict.outcome).toBe('not-recovered');
    },
  );

  // A pod that has served without harm for long, scraped from a minute after T0 on only.
  const seenLate: Traffic = { fromMs: -SINCE_MS + MINUTE_MS, startAt: 100_000, pods: ['new-rs-a'] };
  const started = (beforeMs: number, aheadMs: number) => (nowMs: number) => ({
    pods: [{ name: 'new-rs-a', startedAtMs: nowMs - SINCE_MS + beforeMs + aheadMs }],
  });

  it('Kubernetes ahead: what a pod did before T0 does not prove its health', async () => {
    const { verdict } = await judge({ traffic: [seenLate], pods: started(-MINUTE_MS, CLOCK_MS) });
    expect(verdict.classified).toBe(60 * 12);
    // The same start by clocks that agree.
    const agreed = await judge({ traffic: [seenLate], pods: started(-MINUTE_MS, 0) });
    expect(agreed.verdict.classified).toBe(60 * 12);
  });

  it('Kubernetes behind: a pod that started after T0 counts from its first sample on', async () => {
    const fresh = { ...seenLate, startAt: 0 };
    const agreed = await judge({ traffic: [fresh], pods: started(30_000, 0) });
    expect(agreed.verdict.classified).toBe(60 * 13);
    const behind = await judge({ traffic: [fresh], pods: started(30_000, -CLOCK_MS) });
    expect(behind.verdict.classified).toBe(60 * 12);
  });
});
