import { parseDurationMs } from '../../domain/duration.ts';
import type { Target } from '../../domain/target.ts';
import type { RawSeries } from '../../domain/verification/types.ts';
import type { PrometheusClient } from './client.ts';
import { promDuration, stringLiteral } from './promql.ts';

/** Prometheus' own default for `scrape_interval`, where nothing can be seen of the real one. */
const DEFAULT_SCRAPE_INTERVAL_MS = 60_000;
/** Five scrapes at the default interval. */
const SPACING_WINDOW_MS = 300_000;

export async function readMeasurementClock(
  client: PrometheusClient,
  target: Target,
): Promise<{ nowMs: number; scrapeIntervalMs: number }> {
  const nowMs = await client.nowMs();
  return { nowMs, scrapeIntervalMs: await findScrapeIntervalMs(client, target, nowMs) };
}

/**
 * The interval at which the target's series are scraped: the spacing of its raw samples, else what Prometheus says of
 * the scrape targets, else its default. Where several differ, the longest: T0 may be late, never early.
 */
export async function findScrapeIntervalMs(
  client: PrometheusClient,
  target: Target,
  nowMs: number,
): Promise<number> {
  const labels = `namespace=${stringLiteral(target.namespace)},deployment=${stringLiteral(target.name)}`;
  try {
    const { result } = await client.queryRange(`{${labels}}[${promDuration(SPACING_WINDOW_MS)}]`, nowMs);
    const spacingMs = Math.max(0, ...result.map(medianSpacingMs).filter((gapMs) => gapMs !== undefined));
    if (spacingMs > 0) return spacingMs;
  } catch {
    // The next source may know.
  }
  try {
    const targets = await client.listActiveTargets();
    const own = targets.filter(
      ({ labels }) => labels.namespace === target.namespace && belongsTo(labels, target),
    );
    const intervals = (own.length > 0 ? own : targets).map(({ scrapeInterval }) =>
      parseDurationMs(scrapeInterval ?? ''),
    );
    const longestMs = Math.max(0, ...intervals.filter((intervalMs) => intervalMs !== undefined));
    if (longestMs > 0) return longestMs;
  } catch {
    // Stores such as Thanos have no list of targets.
  }
  return DEFAULT_SCRAPE_INTERVAL_MS;
}

function belongsTo(labels: Record<string, string>, target: Target): boolean {
  return labels.deployment === target.name || (labels.pod ?? '').startsWith(`${target.name}-`);
}

/** The median distance between neighbouring samples of a series; undefined for fewer than two. */
export function medianSpacingMs({ values }: RawSeries): number | undefined {
  const gaps: number[] = [];
  for (let i = 1; i < values.length; i += 1) {
    gaps.push(Math.round(((values[i]?.[0] ?? 0) - (values[i - 1]?.[0] ?? 0)) * 1_000));
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}
