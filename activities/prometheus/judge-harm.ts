import { collectCounts } from '../../domain/verification/collect-counts.ts';
import { type ErrorEvidence, type HarmLook, judgeHarm } from '../../domain/verification/judge-harm.ts';
import type { CollectedCounts, EvidenceProblem } from '../../domain/verification/types.ts';
import type { MeasurementActivities } from '../contract.ts';
import type { PrometheusClient } from './client.ts';
import {
  counterOf,
  inTime,
  MAX_SAMPLE_AGE_MS,
  MEASURE_WITHIN_MS,
  readMetric,
  reasonOf,
} from './read-metrics.ts';
import { type MeasurementTime, readSeries, readTime, type SeriesQuery } from './read-series.ts';

type HarmInput = Parameters<MeasurementActivities['judgeHarm']>[0];

interface Counted {
  counts: CollectedCounts | null;
  problems: EvidenceProblem[];
}

/**
 * Counts what a workload served in the last while, by raw samples, and judges it. Never throws for what cannot be
 * measured: that is `unknown`, with the reason.
 */
export async function lookForHarm(client: PrometheusClient, input: HarmInput): Promise<HarmLook> {
  const untilMs = Date.now() + MEASURE_WITHIN_MS;
  const timely = <T>(work: Promise<T>) => inTime(work, untilMs - Date.now());
  const unknown = (reason: string, atMs: number): HarmLook => ({
    atMs,
    harmful: null,
    classified: null,
    harmRate: null,
    verdict: 'unknown',
    reasons: [reason],
  });
  let time: MeasurementTime;
  try {
    time = await timely(readTime(client));
  } catch (error) {
    return unknown(reasonOf(error), Date.now());
  }
  const { atMs } = time;
  const t0Ms = Math.max(atMs - input.windowMs, input.sinceMs ?? Number.NEGATIVE_INFINITY);
  if (!(t0Ms < atMs)) return unknown('its window has not begun yet', atMs);
  const { metrics, target, facts, limits } = input;
  const query: SeriesQuery = { metrics, scope: { target, facts }, t0Ms, time };
  const [harm, errors] = await Promise.all([
    count(client, ['harmful', 'classified', 'requests'], query, timely),
    limits.errorRate === undefined ? undefined : readErrors(client, query, timely),
  ]);
  return judgeHarm({ ...harm, atMs, maxSampleAgeMs: MAX_SAMPLE_AGE_MS, errors }, limits);
}

type Timely = <T>(work: Promise<T>) => Promise<T>;

/** Counts one counter as a part of another; a third tells whether there was anything to be counted. */
async function count(
  client: PrometheusClient,
  [part, whole, served]: [part: string, whole: string, served?: string],
  query: SeriesQuery,
  timely: Timely,
): Promise<Counted> {
  const problems: EvidenceProblem[] = [];
  const read = (name: string) => timely(readSeries(client, name, query, problems));
  try {
    const [harmful, classified, requests] = await Promise.all([
      read(part),
      read(whole),
      served === undefined ? undefined : read(served),
    ]);
    const series = { harmful: harmful ?? [], classified: classified ?? [], requests };
    const { replicaLabels } = client;
    const window = { t0Ms: query.t0Ms, untilMs: query.time.atMs, podStartedAtMs: {}, replicaLabels };
    return { counts: collectCounts(series, { ...window, freshBaseline: true }), problems };
  } catch (error) {
    return { counts: null, problems: [{ gate: 'query-failed', detail: reasonOf(error) }] };
  }
}

/** By the counters `errors` and `requests`, else by a metric `errorRate`. */
async function readErrors(
  client: PrometheusClient,
  query: SeriesQuery,
  timely: Timely,
): Promise<ErrorEvidence | undefined> {
  const { metrics, scope, t0Ms } = query;
  const { atMs } = query.time;
  if (counterOf(metrics, 'errors') !== undefined && counterOf(metrics, 'requests') !== undefined)
    return count(client, ['errors', 'requests'], query, timely);
  if (!Object.hasOwn(metrics, 'errorRate')) return undefined;
  try {
    const { value, reason } = await timely(
      readMetric(client, 'errorRate', { metrics, scope, atMs, notBeforeMs: t0Ms }),
    );
    return value === undefined ? { unknown: reason ?? 'not measured' } : { rate: value };
  } catch (error) {
    return { unknown: reasonOf(error) };
  }
}
