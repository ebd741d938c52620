/** Counts by the real Prometheus against streams of events whose truth is known. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VerifyOptions } from '../../activities/contract.ts';
import { createMeasurementActivities, createPrometheusClient } from '../../activities/prometheus/index.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target } from '../../domain/target.ts';
import type { Verdict } from '../../domain/verification/types.ts';
import {
  type Counts,
  countableFrom,
  happened,
  type ServedPod,
  type Stream,
  seen,
  seriesOf,
  serve,
  streamArb,
} from './prometheus-event-stream.ts';
import { remoteWrite, startWritablePrometheus, type WrittenSeries } from './prometheus-remote-write.ts';

/** Enough for every pair of what can happen to a pod to meet; a case takes about 50 ms. */
const CASES = 150;
const SEED = 5;

const LABELS = { namespace: 'target.namespace', deployment: 'target.name' };
const counter = (name: string): Extract<MetricSpec, { type: 'counter' }> => ({
  type: 'counter',
  counter: name,
  labels: LABELS,
  windowMs: 60_000,
});
const METRICS = {
  requests: counter('ai_requests_total'),
  classified: counter('ai_outputs_classified_total'),
  harmful: counter('ai_harmful_outputs_total'),
};
const OPTIONS: VerifyOptions = {
  threshold: 0.05,
  confidence: 0.99,
  minExposure: 1,
  minBlocks: 1,
  minDurationMs: 0,
  maxSampleAgeMs: 60_000,
  minCoverage: 0,
  designEffect: 1,
  guards: [],
  allowRequestsAsDenominator: false,
};

let prometheus: Awaited<ReturnType<typeof startWritablePrometheus>>;
beforeAll(async () => {
  prometheus = await startWritablePrometheus();
});
afterAll(() => prometheus?.stop());

let cases = 0;
/** A Deployment of its own for every case: cases share one Prometheus. */
function newTarget(): { target: Target; labels: Record<string, string>; t0Ms: (atMs: number) => number } {
  cases += 1;
  const target: Target = { cluster: 'local', namespace: 'counts', kind: 'Deployment', name: `case-${cases}` };
  const nowMs = Date.now() - 1_000;
  return {
    target,
    labels: { job: 'models', namespace: target.namespace, deployment: target.name },
    t0Ms: (atMs) => nowMs - atMs,
  };
}

/** Judges as of a time, with the real client: a query names its time. */
function judgeAt(
  target: Target,
  pods: ServedPod[],
  { t0Ms, atMs, replicaLabels }: { t0Ms: number; atMs: number; replicaLabels?: string[] },
): Promise<Verdict> {
  const client = createPrometheusClient({ url: prometheus.url, replicaLabels });
  const activities = createMeasurementActivities({
    prometheus: { local: { ...client, nowMs: async () => t0Ms + atMs } },
    readPods: async () => ({
      pods: pods
        .filter(({ alive }) => alive)
        .map(({ name, startedAtMs }) => ({
          name,
          ...(startedAtMs === undefined ? {} : { startedAtMs: startedAtMs + t0Ms }),
        })),
      replicaSet: 'new-rs',
    }),
  });
  return activities.judgeRecovery({
    target,
    metrics: METRICS,
    t0Ms,
    options: OPTIONS,
    facts: { exists: true, mode: 'approve', images: [] },
    context: {
      steps: {},
      inputs: {},
      incident: { severity: 'SEV1', round: 1, acknowledged: true, firing: 1 },
      alert: { labels: {} },
    },
  });
}

const countsOf = ({ harmful, classified, requests }: Verdict): Counts => ({
  harmful,
  classified,
  requests: requests ?? 0,
});

/** Pods that belong to the target: those that are there, and those of its revision that are gone. */
const counted = (pods: ServedPod[]) => pods.filter(({ alive, pod }) => alive || pod.revision === 'new');

/** Every total that the scrapes allow: one choice for each pod, the same for all its counters. */
function possibleCounts(pods: ServedPod[], stream: Stream, series: WrittenSeries[]): Counts[] {
  const endMs = commonEnd(series, stream.atMs);
  let totals: Counts[] = [{ harmful: 0, classified: 0, requests: 0 }];
  for (const pod of pods) {
    const choices = countableFrom(pod, stream).map((fromMs) => ({
      harmful: seen(pod, 'harmful', fromMs, endMs),
      classified: seen(pod, 'classified', fromMs, endMs),
      requests: seen(pod, 'requests', fromMs, endMs),
    }));
    totals = totals.flatMap((total) =>
      choices.map((choice) => ({
        harmful: total.harmful + choice.harmful,
        classified: total.classified + choice.classified,
        requests: total.requests + choice.requests,
      })),
    );
  }
  return totals;
}

/** Harm and its denominator are compared up to the last scrape that has both. */
function commonEnd(series: WrittenSeries[], atMs: number): number {
  const newest = (name: string) =>
    Math.max(
      0,
      ...series
        .filter(({ labels }) => labels.__name__ === name)
        .flatMap(({ samples }) => samples.filter(({ value }) => value !== 'stale').map(({ tMs }) => tMs)),
    );
  const ends = [newest('ai_harmful_outputs_total'), newest('ai_outputs_classified_total')];
  return ends.every((tMs) => tMs > 0) ? Math.min(...ends) : atMs;
}

const isPromised = async (stream: Stream): Promise<void> => {
  const { target, labels, t0Ms: t0Of } = newTarget();
  const t0Ms = t0Of(stream.atMs);
  const pods = serve(stream);
  await remoteWrite(
    prometheus.url,
    pods.flatMap((pod) => seriesOf(pod, labels, t0Ms)),
  );
  const verdict = await judgeAt(target, pods, { t0Ms, atMs: stream.atMs });
  const own = counted(pods);
  const possible = possibleCounts(
    own,
    stream,
    own.flatMap((pod) => seriesOf(pod, labels, 0)),
  );
  expect(possible).toContainEqual(countsOf(verdict));
  expect(verdict.gates.filter(({ name, ok }) => !ok && COUNT_GATES.includes(name))).toEqual([]);
};
const COUNT_GATES: string[] = ['query-failed', 'partial-response', 'not-a-number', 'duplicate-series'];

const calm = { restartsMs: [], forgetsMs: undefined, lazy: false };

/** The same pods, scraped by a second Prometheus at other times. */
function secondReplica(stream: Stream): Stream {
  const pods = stream.pods.map((pod) => ({
    ...pod,
    offset: (pod.offset + 0.4) % 1,
    missed: pod.missed.map((number) => (number + 3) % 10),
  }));
  return { ...stream, pods };
}

/** Windows by the scrapes of either replica: from a baseline or a first scrape of one to the last scrape of one. */
function possibleOfReplicas(copies: ServedPod[], stream: Stream): Counts[] {
  const from = copies.flatMap(({ pod, scrapes, startedAtMs }) => [
    ...[0, -CLOCKS_MS].flatMap((t0Ms) => [
      scrapes.findLast((tMs) => tMs <= t0Ms),
      scrapes.find((tMs) => tMs > t0Ms),
    ]),
    startedAtMs === undefined || stream.podClockAheadMs !== 0 ? undefined : pod.startMs,
  ]);
  const until = copies.flatMap(({ scrapes }) => [scrapes.at(-1), scrapes.at(-2)]);
  const windows = from.flatMap((fromMs) => until.map((untilMs) => [fromMs, untilMs]));
  return windows.map(([fromMs = 0, untilMs = 0]) => {
    const count = (name: keyof Counts) =>
      copies[0] === undefined ? 0 : happened(copies[0], name, fromMs, untilMs);
    return { harmful: count('harmful'), classified: count('classified'), requests: count('requests') };
  });
}

/** By how much the clocks of two replicas differ. */
const CLOCKS_MS = 2_000;

describe('counts of a stream of events, by the samples of a real Prometheus', () => {
  it('are exactly what the scrapes can show, with harm and its denominator over the same time', async () => {
    await fc.assert(fc.asyncProperty(streamArb, isPromised), { numRuns: CASES, seed: SEED });
  });

  it('never fall from one look to the next', async () => {
    const looks = fc.asyncProperty(
      streamArb,
      fc.double({ min: 0.1, max: 0.9, noNaN: true }),
      async (stream, part) => {
        const { target, labels, t0Ms: t0Of } = newTarget();
        const t0Ms = t0Of(stream.atMs);
        const midMs = Math.round(stream.atMs * part);
        const pods = serve(stream);
        const series = pods.flatMap((pod) => seriesOf(pod, labels, t0Ms));
        const half = (later: boolean) =>
          series.map((one) => ({
            ...one,
            samples: one.samples.filter(({ tMs }) => tMs > t0Ms + midMs === later),
          }));
        await remoteWrite(prometheus.url, half(false));
        const before = countsOf(await judgeAt(target, pods, { t0Ms, atMs: midMs }));
        await remoteWrite(prometheus.url, half(true));
        const after = countsOf(await judgeAt(target, pods, { t0Ms, atMs: stream.atMs }));
        expect(after.harmful).toBeGreaterThanOrEqual(before.harmful);
        expect(after.classified).toBeGreaterThanOrEqual(before.classified);
        expect(after.requests).toBeGreaterThanOrEqual(before.requests);
      },
    );
    await fc.assert(looks, { numRuns: CASES / 3, seed: SEED });
  });

  it('are those of one Prometheus where two replicas scrape, and closed by name where nobody said so', async () => {
    const oneCalmPod = streamArb.map((stream) => ({
      ...stream,
      pods: stream.pods.slice(0, 1).map((pod) => ({ ...pod, ...calm, revision: 'new' as const })),
    }));
    const replicas = fc.asyncProperty(oneCalmPod, fc.option(fc.nat(200)), async (stream, outage) => {
      const { target, labels, t0Ms: t0Of } = newTarget();
      const t0Ms = t0Of(stream.atMs);
      const first = serve(stream);
      const second = serve(secondReplica(stream));
      // One of them is down for a minute, or not at all.
      const downMs = outage === null ? Number.POSITIVE_INFINITY : outage * 1_000;
      for (const pod of first)
        pod.scrapes = pod.scrapes.filter((tMs) => tMs < downMs || tMs > downMs + 60_000);
      const lastMs = stream.atMs - CLOCKS_MS;
      for (const pod of second) pod.scrapes = pod.scrapes.filter((tMs) => tMs <= lastMs);
      await remoteWrite(prometheus.url, [
        ...first.flatMap((pod) => seriesOf(pod, { ...labels, prometheus_replica: 'a' }, t0Ms)),
        ...second.flatMap((pod) => seriesOf(pod, { ...labels, prometheus_replica: 'b' }, t0Ms + CLOCKS_MS)),
      ]);
      const { atMs } = stream;
      const verdict = await judgeAt(target, first, { t0Ms, atMs, replicaLabels: ['prometheus_replica'] });
      const possible = possibleOfReplicas([...first, ...second], stream);
      expect([{ harmful: 0, classified: 0, requests: 0 }, ...possible]).toContainEqual(countsOf(verdict));
      expect(verdict.gates.find(({ name }) => name === 'duplicate-series')).toMatchObject({ ok: true });

      if (
        !first.some(({ scrapes }) => scrapes.length > 0) ||
        !second.some(({ scrapes }) => scrapes.length > 0)
      )
        return;
      const unsaid = await judgeAt(target, first, { t0Ms, atMs });
      expect(unsaid.gates.find(({ name }) => name === 'duplicate-series')).toMatchObject({ ok: false });
      expect(unsaid.outcome).toBe('undecided');
    });
    await fc.assert(replicas, { numRuns: CASES / 3, seed: SEED });
  });

  it('stay below the truth where a restart shows in no counter, and harm with its denominator', async () => {
    // It serves 20 outputs, all harmful, is scraped, restarts, and has served as many and more at the next scrape.
    const { target, labels, t0Ms: t0Of } = newTarget();
    const atMs = 60_000;
    const t0Ms = t0Of(atMs);
    const samples = [
      [0, 20],
      [15_000, 24],
      [30_000, 24],
    ] as const;
    await remoteWrite(
      prometheus.url,
      Object.values(METRICS).map((spec) => ({
        labels: { ...labels, __name__: spec.counter, pod: 'new-rs-0', instance: 'm:1' },
        samples: samples.map(([tMs, value]) => ({ tMs: tMs + t0Ms, value })),
      })),
    );
    const { harmful, classified } = await judgeAt(target, [], { t0Ms, atMs });
    expect({ harmful, classified }).toEqual({ harmful: 4, classified: 4 });
  });

  it('leave out what the revision before did, however late it was classified within the lag', async () => {
    const lags = fc.asyncProperty(
      fc.nat(30_000),
      fc.nat(20_000),
      fc.nat(14_999),
      async (lagMs, extraMs, offsetMs) => {
        // A gateway counts for all revisions. The bad one, all of it harmful, is gone at `openedMs`; T0 is as a verification
        // sets it, for a classifier that takes `lagMs`. In truth it takes up to `extraMs` more.
        const { target, labels, t0Ms: t0Of } = newTarget();
        const atMs = 120_000;
        const t0Ms = t0Of(atMs);
        const intervalMs = 15_000;
        const openedMs = -(lagMs + intervalMs);
        const outputs = Array.from({ length: 800 }, (_, i) => {
          const servedMs = -280_000 + i * 500;
          return { servedMs, bad: servedMs < openedMs };
        });
        const write = async (lateMs: number, name: string) => {
          const own = { ...target, name };
          const at = (tMs: number, bad: boolean) =>
            outputs.filter((one) => one.servedMs + lagMs + lateMs <= tMs && (one.bad || !bad)).length;
          const scrapes = Array.from({ length: 26 }, (_, i) => -285_000 + offsetMs + i * intervalMs).filter(
            (tMs) => tMs <= atMs,
          );
          await remoteWrite(
            prometheus.url,
            (['harmful', 'classified'] as const).map((counted) => ({
              labels: {
                ...labels,
                deployment: name,
                __name__: METRICS[counted].counter,
                instance: 'gateway:9',
              },
              samples: scrapes.map((tMs) => ({ tMs: tMs + t0Ms, value: at(tMs, counted === 'harmful') })),
            })),
          );
          return judgeAt(own, [], { t0Ms, atMs });
        };
        const timely = await write(0, `${target.name}-timely`);
        expect(timely.harmful).toBe(0);
        expect(timely.classified).toBeGreaterThan(100);
        // Later than was promised: it can only look worse than it is.
        const late = await write(extraMs, `${target.name}-late`);
        expect(late.harmful).toBeLessThanOrEqual(Math.ceil((extraMs + intervalMs) / 500));
      },
    );
    await fc.assert(lags, { numRuns: 20, seed: SEED });
  });
});
