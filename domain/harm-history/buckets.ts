import { countIncrements } from '../verification/count-increments.ts';
import type { RawSeries } from '../verification/types.ts';
import { MAX_BUCKETS } from './history.ts';
import type { HarmPoint } from './types.ts';

/** With one scrape a bucket, the jitter of scrapes would make gaps where there are none. */
const SCRAPES_A_BUCKET = 2;
/** Prometheus' own resolution is finer; whole seconds keep the numbers readable. */
const STEP_UNIT_MS = 1_000;

export interface HistoryGrid {
  /** Start of the first bucket, epoch ms. */
  startMs: number;
  stepMs: number;
  /** Buckets; 0 where the range is empty. */
  count: number;
}

/** Buckets over a range: they end at its end, are whole seconds wide, and each holds at least two scrapes. */
export function historyGrid(range: { fromMs: number; toMs: number; scrapeIntervalMs: number }): HistoryGrid {
  const { fromMs, toMs, scrapeIntervalMs } = range;
  const spanMs = toMs - fromMs;
  const leastMs = Math.max(STEP_UNIT_MS, SCRAPES_A_BUCKET * scrapeIntervalMs);
  if (!(spanMs > 0) || !Number.isFinite(spanMs) || !Number.isFinite(leastMs)) {
    return { startMs: toMs, stepMs: STEP_UNIT_MS, count: 0 };
  }
  const stepMs = Math.ceil(Math.max(leastMs, spanMs / MAX_BUCKETS) / STEP_UNIT_MS) * STEP_UNIT_MS;
  const count = Math.min(MAX_BUCKETS, Math.ceil(spanMs / stepMs));
  return { startMs: toMs - count * stepMs, stepMs, count };
}

/**
 * Increments of both counters by bucket. A pod that appears counts from its first sample on, so that a bucket may show
 * less than was served, never more. Samples may be raw, or taken at the edges of the buckets.
 * @returns every bucket, in order; `problems`: what was found in the samples.
 */
export function bucketIncrements(
  series: { harmful: RawSeries[]; classified: RawSeries[] },
  grid: HistoryGrid,
): { points: HarmPoint[]; problems: string[] } {
  const { startMs, stepMs, count } = grid;
  const window = { t0Ms: startMs, untilMs: startMs + count * stepMs, podStartedAtMs: {} };
  const counted = {
    harmful: countIncrements(series.harmful, window, series.classified),
    classified: countIncrements(series.classified, window),
  };
  const points = Array.from(
    { length: count },
    (_, index): HarmPoint => ({ atMs: startMs + index * stepMs, harmful: 0, classified: 0 }),
  );
  for (const name of ['harmful', 'classified'] as const) {
    for (const [tMs, amount] of counted[name].increments) {
      // A sample at the end of a bucket shows what happened in it.
      const point = points[Math.ceil((tMs - startMs) / stepMs) - 1];
      if (point !== undefined) point[name] += amount;
    }
  }
  const problems = [...counted.harmful.problems, ...counted.classified.problems];
  return { points, problems: [...new Set(problems.map(({ detail }) => detail))] };
}
