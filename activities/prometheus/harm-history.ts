import { bucketIncrements, historyGrid } from '../../domain/harm-history/buckets.ts';
import type { HarmReading } from '../../domain/harm-history/types.ts';
import type { MeasurementActivities } from '../contract.ts';
import { type PrometheusClient, type PrometheusMap, prometheusFor } from './client.ts';
import { findScrapeIntervalMs } from './measurement-clock.ts';
import { counterOf, counterSelector, inTime, MEASURE_WITHIN_MS, reasonOf } from './read-metrics.ts';

/** Two clocks that are kept in time differ by less; what a query takes is within it as well. */
const SAME_CLOCK_MS = 5_000;

type HistoryInput = Parameters<MeasurementActivities['readHarmHistory']>[0];

/**
 * Harm over time, for people. Counters are asked for at the edges of the buckets (the range API), so that a long incident
 * costs no more than a short one; their differences are counted as everywhere else, resets and all. A picture is never
 * worth a failed step: whatever goes wrong is the reading's `reason`.
 */
export async function readHarmHistory(clients: PrometheusMap, input: HistoryInput): Promise<HarmReading> {
  try {
    return await inTime(read(prometheusFor(clients, input.target.cluster), input), MEASURE_WITHIN_MS);
  } catch (error) {
    return nothing(reasonOf(error));
  }
}

async function read(client: PrometheusClient, input: HistoryInput): Promise<HarmReading> {
  const { target, facts, metrics } = input;
  const harmful = counterOf(metrics, 'harmful');
  const classified = counterOf(metrics, 'classified');
  if (harmful === undefined || classified === undefined) {
    return nothing('the runbook has no counters named harmful and classified');
  }
  const nowMs = await client.nowMs();
  // Marks of the plot are by the asker's clock: where Prometheus' own differs, what it says is moved to the asker's.
  const aheadMs = nowMs - Date.now();
  const shiftMs = Math.abs(aheadMs) > SAME_CLOCK_MS ? aheadMs : 0;
  const grid = historyGrid({
    fromMs: input.fromMs + shiftMs,
    toMs: Math.min(input.toMs + shiftMs, nowMs),
    scrapeIntervalMs: await findScrapeIntervalMs(client, target, nowMs),
  });
  if (grid.count === 0) return nothing('the range is empty');

  const range = { fromMs: grid.startMs, toMs: grid.startMs + grid.count * grid.stepMs, stepMs: grid.stepMs };
  const scope = { target, facts };
  const found = {
    harmful: await client.querySteps(counterSelector(harmful, scope), range),
    classified: await client.querySteps(counterSelector(classified, scope), range),
  };
  const { points, problems } = bucketIncrements(
    { harmful: found.harmful.result, classified: found.classified.result },
    grid,
  );
  if (found.harmful.partial || found.classified.partial) {
    problems.push('a part of the data could not be reached');
  }
  if (points.every((point) => point.classified === 0)) problems.push('nothing was classified in the range');
  return {
    stepMs: grid.stepMs,
    points: points.map((point) => ({ ...point, atMs: point.atMs - shiftMs })),
    ...(problems.length === 0 ? {} : { reason: problems.join('; ') }),
  };
}

function nothing(reason: string): HarmReading {
  return { stepMs: 0, points: [], reason };
}
