import type { MetricSpec } from '../../domain/runbook.ts';
import type { EvidenceProblem, RawSeries } from '../../domain/verification/types.ts';
import type { PrometheusClient } from './client.ts';
import { promDuration } from './promql.ts';
import { counterOf, counterSelector, type MetricScope } from './read-metrics.ts';

/**
 * How far before T0 samples are fetched, to find each series' baseline: Prometheus' own idea of how old a sample may be
 * and still count as current (`--query.lookback-delta`).
 */
const BASELINE_MS = 300_000;

/** So far beyond Prometheus' own time samples are looked for: none should be there. Several scrapes at any usual interval. */
const FUTURE_MS = 300_000;
/** Clocks that are kept by NTP agree to far less. */
const MAX_AHEAD_MS = 5_000;

/** Prometheus' own time, and when it was asked for it by a clock of ours that nobody sets. */
export interface MeasurementTime {
  atMs: number;
  askedAtMs: number;
}

export async function readTime(client: PrometheusClient): Promise<MeasurementTime> {
  const askedAtMs = performance.now();
  return { atMs: await client.nowMs(), askedAtMs };
}

export interface SeriesQuery {
  metrics: Record<string, MetricSpec>;
  scope: MetricScope;
  t0Ms: number;
  time: MeasurementTime;
}

/**
 * Raw samples of a counter of the runbook from before T0 until now. Samples of the future are a problem: whoever stamps
 * them has a clock that is ahead, so that what is called "since T0" here happened before it.
 * @param problems what is wrong with the answer is added here.
 * @returns undefined where the runbook has no such counter: that, and not emptiness, is how "not counted" looks.
 */
export async function readSeries(
  client: PrometheusClient,
  name: string,
  { metrics, scope, t0Ms, time }: SeriesQuery,
  problems: EvidenceProblem[],
): Promise<RawSeries[] | undefined> {
  const counter = counterOf(metrics, name);
  if (counter === undefined) return undefined;
  const untilMs = time.atMs + FUTURE_MS;
  const rangeMs = Math.max(0, untilMs - t0Ms) + BASELINE_MS;
  const promql = `${counterSelector(counter, scope)}[${promDuration(rangeMs)}]`;
  const { result, partial } = await client.queryRange(promql, untilMs);
  if (partial)
    problems.push({ gate: 'partial-response', detail: `${name}: a part of the data could not be reached` });
  const passedMs = performance.now() - time.askedAtMs;
  const aheadMs = newestMs(result) - (time.atMs + passedMs);
  if (aheadMs > MAX_AHEAD_MS) {
    const detail = `${name}: samples are ${Math.round(aheadMs / 1_000)} s ahead of Prometheus' own clock`;
    problems.push({ gate: 'sample-age', detail });
  }
  return result;
}

function newestMs(all: readonly RawSeries[]): number {
  return Math.max(0, ...all.map(({ values }) => (values.at(-1)?.[0] ?? 0) * 1_000));
}
