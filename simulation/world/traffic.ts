import type { RawSeries } from '../../domain/verification/types.ts';
import type { Point } from '../scenario/fields.ts';
import { setFrom, valueAt } from './over-time.ts';

/** What most installations set; Prometheus' own default is a minute. */
export const SCRAPE_INTERVAL_MS = 15_000;
/** Counters have been counting for this long when a scenario starts: longer than any window that is read. */
const HISTORY_MS = 8 * 24 * 3_600_000;
/** Products of parts are not exact: without this, 120 outputs could be counted as 119. */
const ROUNDING = 1e-6;

/** The counters that runbooks count with, by the names that a verify step looks for. */
export const COUNTERS = ['requests', 'classified', 'harmful'] as const;
export type Counter = (typeof COUNTERS)[number];
export type Counts = Record<Counter, number>;

/** Key of the series of the deployment that serves while traffic is diverted. */
export const FALLBACK = 'fallback';

interface Segment {
  fromMs: number;
  /** Which revision serves what the target gets. */
  serving: string;
  /** Per second, of the target and of the fallback. */
  target: Counts;
  fallback: Counts;
  /** Counted until `fromMs`, by series. */
  before: Map<string, Counts>;
}

export interface TrafficOptions {
  startMs: number;
  requestsPerSecond: Point<number>[];
  /** Part of the outputs that is classified. */
  classified: Point<number>[];
  fallbackHarmRate: Point<number>[];
}

/**
 * What a gateway, models and a harm classifier would have counted: exact expectations, without chance, so that a scenario
 * always ends in the same way. Requests arrive, the breaker's share of them gets to the target, the revision that serves
 * there harms at its rate, and counters are scraped every 15 s as whole numbers.
 */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #harmRates = new Map<string, Point<number>[]>();
  readonly #serving: Point<string>[] = [];
  readonly #share: Point<number>[];
  #segments: Segment[] | undefined;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#share = [{ atMs: options.startMs - HISTORY_MS, value: 1 }];
  }

  /** A revision, by a key of its own. */
  addRevision(key: string, harmRate: Point<number>[]): void {
    this.#harmRates.set(key, harmRate);
    this.#segments = undefined;
  }

  /** From a time on this revision serves what the target gets. */
  setServing(atMs: number, key: string): void {
    setFrom(this.#serving, atMs, key);
    this.#segments = undefined;
  }

  servingAt(tMs: number): string {
    return valueAt(this.#serving, tMs) ?? '';
  }

  /** When the revision that serves now began to. */
  servingSinceMs(tMs: number): number {
    let since = this.#serving[0]?.atMs ?? 0;
    for (const point of this.#serving) if (point.atMs <= tMs) since = point.atMs;
    return since;
  }

  /** From a time on the target gets this part (0..1) of the requests. */
  setShare(atMs: number, share: number): void {
    setFrom(this.#share, atMs, share);
    this.#segments = undefined;
  }

  /** A counter of a revision (or FALLBACK) at a time, not rounded. */
  count(key: string, counter: Counter, tMs: number): number {
    const segment = this.#segmentAt(tMs);
    if (segment === undefined) return 0;
    const seconds = Math.max(0, tMs - segment.fromMs) / 1_000;
    const before = segment.before.get(key)?.[counter] ?? 0;
    if (key === FALLBACK) return before + seconds * segment.fallback[counter];
    return before + (key === segment.serving ? seconds * segment.target[counter] : 0);
  }

  /**
   * Raw samples of a counter, as Prometheus has them: one series for the pods of each revision that served in that time,
   * with samples only while it did.
   */
  series(counter: Counter, keys: readonly string[], fromMs: number, untilMs: number): RawSeries[] {
    const first = Math.ceil(fromMs / SCRAPE_INTERVAL_MS) * SCRAPE_INTERVAL_MS;
    return keys.flatMap((key) => {
      const values: RawSeries['values'] = [];
      for (let tMs = first; tMs <= untilMs; tMs += SCRAPE_INTERVAL_MS) {
        if (key !== FALLBACK && this.servingAt(tMs) !== key) continue;
        values.push([tMs / 1_000, String(Math.floor(this.count(key, counter, tMs) + ROUNDING))]);
      }
      return values.length === 0 ? [] : [{ metric: { pod: podOf(key) }, values }];
    });
  }

  /** Keys of all revisions that have ever served. */
  revisions(): string[] {
    return [...new Set(this.#serving.map(({ value }) => value))];
  }

  #segmentAt(tMs: number): Segment | undefined {
    this.#segments ??= this.#build();
    const segments = this.#segments;
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((segments[middle]?.fromMs ?? 0) <= tMs) low = middle;
      else high = middle - 1;
    }
    return segments[low];
  }

  #build(): Segment[] {
    const { startMs, requestsPerSecond, classified, fallbackHarmRate } = this.#options;
    const all = [
      requestsPerSecond,
      classified,
      fallbackHarmRate,
      this.#share,
      this.#serving,
      ...this.#harmRates.values(),
    ];
    const beginMs = startMs - HISTORY_MS;
    const times = new Set([beginMs]);
    for (const points of all) for (const { atMs } of points) if (atMs > beginMs) times.add(atMs);

    const segments: Segment[] = [];
    let before = new Map<string, Counts>();
    for (const fromMs of [...times].sort((a, b) => a - b)) {
      const last = segments.at(-1);
      if (last) {
        const seconds = (fromMs - last.fromMs) / 1_000;
        before = new Map(before);
        before.set(last.serving, plus(before.get(last.serving), last.target, seconds));
        before.set(FALLBACK, plus(before.get(FALLBACK), last.fallback, seconds));
      }
      const requests = valueAt(requestsPerSecond, fromMs) ?? 0;
      const looked = valueAt(classified, fromMs) ?? 1;
      const share = valueAt(this.#share, fromMs) ?? 1;
      const serving = this.servingAt(fromMs);
      const harm = valueAt(this.#harmRates.get(serving) ?? [], fromMs) ?? 0;
      const fallbackHarm = valueAt(fallbackHarmRate, fromMs) ?? 0;
      segments.push({
        fromMs,
        serving,
        target: ratesOf(requests * share, looked, harm),
        fallback: ratesOf(requests * (1 - share), looked, fallbackHarm),
        before,
      });
    }
    return segments;
  }
}

/** The name of a revision's pods in series: the classifier's label is the pod. */
export function podOf(key: string): string {
  return `${key}-pods`;
}

function ratesOf(requests: number, looked: number, harm: number): Counts {
  return { requests, classified: requests * looked, harmful: requests * looked * harm };
}

function plus(counts: Counts | undefined, rates: Counts, seconds: number): Counts {
  return {
    requests: (counts?.requests ?? 0) + rates.requests * seconds,
    classified: (counts?.classified ?? 0) + rates.classified * seconds,
    harmful: (counts?.harmful ?? 0) + rates.harmful * seconds,
  };
}
