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
const counter = (name: string): MetricSpec => ({
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
      requests: seen(pod, 'requests', fromMs, stream.atMs),
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

describe('counts of a stream of events, by the samples of a real Prometheus', () => {
  it('are exactly what the scrapes can show, with harm and its denominator over the same time', async () => {
    await fc.assert(fc.asyncProperty(streamArb, isPromised), { numRuns: CASES, seed: SEED });
  });
});
void happened;
