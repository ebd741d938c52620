import { countIncrements } from './count-increments.ts';
import type {
  Block,
  CollectedCounts,
  CounterIncrements,
  CounterSeries,
  CountWindow,
  RawSeries,
} from './types.ts';

/**
 * Prometheus' own default is 60 s; 15 s is what most installations set. Only used where no interval can be
 * seen.
 */
const FALLBACK_BLOCK_MS = 15_000;

/**
 * Blocks travel in workflow history: beyond this they are made wider, which keeps more of a cluster in one
 * block.
 */
const MAX_BLOCKS = 240;

/** The scrape interval: the median distance between neighbouring samples. */
function scrapeIntervalMs(all: readonly RawSeries[]): number {
  const gaps: number[] = [];
  for (const { values } of all) {
    for (let i = 1; i < values.length; i += 1) {
      const gapMs = Math.round(((values[i]?.[0] ?? 0) - (values[i - 1]?.[0] ?? 0)) * 1_000);
      if (gapMs > 0) gaps.push(gapMs);
    }
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? FALLBACK_BLOCK_MS;
}

function toBlocks(
  counters: { harmful: CounterIncrements; classified: CounterIncrements; requests?: CounterIncrements },
  t0Ms: number,
  blockMs: number,
): Block[] {
  const blocks = new Map<number, Block>();
  for (const name of ['harmful', 'classified', 'requests'] as const) {
    for (const [tMs, amount] of counters[name]?.increments ?? []) {
      const index = Math.floor((tMs - t0Ms) / blockMs);
      const block = blocks.get(index) ?? {
        startMs: t0Ms + index * blockMs,
        harmful: 0,
        classified: 0,
        requests: 0,
      };
      block[name] += amount;
      blocks.set(index, block);
    }
  }
  return [...blocks.values()].sort((a, b) => a.startMs - b.startMs);
}

/**
 * Counts harmful and classified outputs and requests since T0, in all and in blocks of time. The counters of
 * one process come out of one scrape with one timestamp, so that a block holds harmful outputs together with
 * their denominator.
 */
export function collectCounts(series: CounterSeries, window: CountWindow): CollectedCounts {
  const requestSeries = series.requests ?? [];
  const exposure = [...series.classified, ...requestSeries];
  const harmful = countIncrements(series.harmful, window, exposure);
  const classified = countIncrements(series.classified, window);
  const requests = series.requests === undefined ? undefined : countIncrements(series.requests, window);

  const spanMs = Math.max(0, window.untilMs - window.t0Ms);
  const askedMs =
    window.blockMs !== undefined && window.blockMs > 0 ? window.blockMs : scrapeIntervalMs(exposure);
  const blockMs = askedMs * Math.max(1, Math.ceil(spanMs / (askedMs * MAX_BLOCKS)));

  // Absent counters are judged by gates of their own; those that are there must all be fresh.
  const present = [harmful, classified, requests].filter((one) => one !== undefined && one.seriesCount > 0);
  const newest = present.map((one) => one?.newestSampleMs ?? null);
  const stale = newest.length === 0 || newest.includes(null);

  const named = { harmful, classified, requests };
  return {
    t0Ms: window.t0Ms,
    harmful: harmful.total,
    classified: classified.seriesCount === 0 ? null : classified.total,
    requests: requests === undefined || requests.seriesCount === 0 ? null : requests.total,
    blocks: toBlocks(named, window.t0Ms, blockMs),
    blockMs,
    newestSampleMs: stale ? null : Math.min(...newest.map((tMs) => tMs ?? 0)),
    newestClassifiedIncrementMs: classified.newestIncrementMs,
    newestRequestIncrementMs: requests?.newestIncrementMs ?? null,
    liveSeries: {
      harmful: harmful.liveSeriesCount,
      classified: classified.liveSeriesCount,
      requests: requests?.liveSeriesCount ?? 0,
    },
    problems: Object.entries(named).flatMap(([name, one]) =>
      (one?.problems ?? []).map(({ gate, detail }) => ({ gate, detail: `${name}: ${detail}` })),
    ),
  };
}
