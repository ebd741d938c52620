import { countIncrements, findProcesses } from './count-increments.ts';
import { mergeReplicas } from './merge-replicas.ts';
import { medianGapMs, toMs } from './samples.ts';
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

const timesOf = ({ values }: RawSeries): number[] => values.map(([seconds]) => toMs(seconds));

/**
 * Harm and its denominator are counted to the same time: with counters from different jobs, outputs of the last scrape of
 * one would be without the harm that the other has yet to show.
 */
function commonEndMs(harmful: RawSeries[], exposure: RawSeries[], { t0Ms, untilMs }: CountWindow): number {
  const newestMs = (all: RawSeries[]): number => {
    let newest = t0Ms;
    for (const series of all)
      for (const tMs of timesOf(series)) if (tMs > newest && tMs <= untilMs) newest = tMs;
    return newest;
  };
  const [first, second] = [newestMs(harmful), newestMs(exposure)];
  const bothCount = first > t0Ms && second > t0Ms;
  return bothCount && first !== second ? Math.min(first, second) : untilMs;
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
export function collectCounts(given: CounterSeries, window: CountWindow): CollectedCounts {
  const series = mergeReplicas(given, window.replicaLabels ?? []);
  const requestSeries = series.requests ?? [];
  const exposure = [...series.classified, ...requestSeries];
  const all = [...series.harmful, ...exposure];
  const divisor = series.classified.length > 0 ? series.classified : requestSeries;
  const common = { ...window, untilMs: commonEndMs(series.harmful, divisor, window) };
  const processes = findProcesses(all, common);
  const harmful = countIncrements(series.harmful, common, processes, 'most');
  const classified = countIncrements(series.classified, common, processes, 'least');
  // Requests that are not seen would make the coverage look better, or, as the denominator, the rate.
  const requestsAre = divisor === requestSeries ? 'least' : 'most';
  const requests = series.requests && countIncrements(series.requests, common, processes, requestsAre);
  // Who fell silent is told by all that there is.
  const newestIncrementMs = (some: RawSeries[] | undefined, cut: CounterIncrements | undefined) =>
    some === undefined || common.untilMs === window.untilMs
      ? (cut?.newestIncrementMs ?? null)
      : countIncrements(some, window).newestIncrementMs;

  const spanMs = Math.max(0, window.untilMs - window.t0Ms);
  const scrapeIntervalMs = medianGapMs(exposure.map(timesOf)) ?? FALLBACK_BLOCK_MS;
  const askedMs = window.blockMs !== undefined && window.blockMs > 0 ? window.blockMs : scrapeIntervalMs;
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
    newestClassifiedIncrementMs: newestIncrementMs(series.classified, classified),
    newestRequestIncrementMs: newestIncrementMs(series.requests, requests),
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
