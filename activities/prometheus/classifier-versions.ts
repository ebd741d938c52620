import type { ClassifierVersions, RawSeries } from '../../domain/verification/types.ts';
import type { PrometheusClient } from './client.ts';
import { instantQuery } from './read-metrics.ts';
import type { SeriesQuery } from './read-series.ts';

/** The metric of a runbook whose series say in a label which classifier decides what is harmful. */
const METRIC = 'classifier';
const VERSION_LABEL = 'version';
/** How long before T0 the alert was at most, where nobody says when: pages, approvals and a rollout lie between. */
const DEFAULT_BEFORE_MS = 1_800_000;
/** However late the alert says it was: clocks differ, and a scrape of before is needed. */
const LEAST_BEFORE_MS = 300_000;
/** A version that was there for less than this is not seen. */
const MIN_STEP_MS = 15_000;
/** Steps of one query: bounds what a long verification asks of Prometheus. */
const MAX_STEPS = 400;

/**
 * Versions of the harm classifier from the alert to T0, from T0 on, and now: several at one of these times, as while one
 * is replaced by another, are a version of their own. Rates that different classifiers found do not compare.
 * @returns undefined where the runbook has no metric named `classifier`; null for a time at which it could not be told.
 */
export async function readClassifierVersions(
  client: PrometheusClient,
  query: SeriesQuery & { sinceMs?: number },
): Promise<ClassifierVersions | undefined> {
  const { metrics, scope, t0Ms, time, sinceMs = t0Ms - DEFAULT_BEFORE_MS } = query;
  const spec = Object.hasOwn(metrics, METRIC) ? metrics[METRIC] : undefined;
  if (spec === undefined) return undefined;
  const { atMs } = time;
  const spanMs = Math.max(0, atMs - Math.min(sinceMs, t0Ms - LEAST_BEFORE_MS));
  const stepMs = Math.max(MIN_STEP_MS, Math.ceil(spanMs / MAX_STEPS));
  // Counted back from now, so that the last step is now.
  const fromMs = atMs - Math.ceil(spanMs / stepMs) * stepMs;
  const range = { fromMs, toMs: atMs, stepMs };
  try {
    const { result, partial } = await client.querySteps(instantQuery(spec, scope), range);
    if (partial) return { before: null, after: null, now: null };
    return {
      before: versionsIn(result, fromMs, t0Ms),
      after: versionsIn(result, t0Ms, atMs),
      now: versionsIn(result, atMs - 1, atMs),
    };
  } catch {
    return { before: null, after: null, now: null };
  }
}

/** After the first time, up to the last one. */
function versionsIn(series: RawSeries[], afterMs: number, untilMs: number): string | null {
  const seen = new Set<string>();
  for (const { metric, values } of series) {
    const version = metric[VERSION_LABEL];
    const inTime = values.some(([seconds]) => seconds * 1_000 > afterMs && seconds * 1_000 <= untilMs + 0.5);
    if (version && inTime) seen.add(version);
  }
  return seen.size === 0 ? null : JSON.stringify([...seen].sort());
}
