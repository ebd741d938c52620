import { identityWithout, medianGapMs, scrapeKey, toMs } from './samples.ts';
import type { CounterSeries, RawSeries } from './types.ts';

/**
 * A replica that has not scraped for this many intervals is left for another one. It is also how much later the other
 * one's sample has to be: clocks of replicas that differ by less never make a counter seem to fall.
 */
const SWITCH_AFTER_INTERVALS = 1.5;

/**
 * The interval is that of the first scrapes, most of them from before T0: were it that of all, a later one could change
 * what was taken before.
 */
const SCRAPES_TO_TELL_INTERVAL = 10;

interface Stretch {
  replica: string;
  fromMs: number;
  toMs: number;
}

/**
 * Makes one series of those that several Prometheus replicas scraped from the same process, without the replica labels.
 * For each process, one replica is followed as long as it scrapes; then another one takes over where it stopped. All
 * counters of a process change over at the same time, so that harmful outputs stay together with their denominator.
 * What was taken once stays taken when samples are added later: counts never fall from one look to the next.
 *
 * A union of all samples would be wrong: with clocks a little apart, a later sample can show the older value, which reads
 * as a restart and counts everything once more. (Thanos' deduplication switches for the same reason.)
 */
export function mergeReplicas(counters: CounterSeries, replicaLabels: readonly string[]): CounterSeries {
  if (replicaLabels.length === 0) return counters;
  const labels = new Set(replicaLabels);
  const all = [...counters.harmful, ...counters.classified, ...(counters.requests ?? [])];
  const stretches = new Map<string, Stretch[]>();
  for (const [process, members] of groupBy(all, (series) => processOf(series, labels))) {
    stretches.set(process, followReplicas(timesByReplica(members, labels)));
  }
  const merge = (some: RawSeries[]): RawSeries[] =>
    [...groupBy(some, (series) => identityWithout(series, labels)).values()].map((copies) =>
      joinCopies(copies, labels, stretches),
    );
  return {
    harmful: merge(counters.harmful),
    classified: merge(counters.classified),
    ...(counters.requests === undefined ? {} : { requests: merge(counters.requests) }),
  };
}

/** Series without a pod or an instance are one process: nothing tells them apart. */
function processOf(series: RawSeries, labels: ReadonlySet<string>): string {
  return scrapeKey({ ...series, metric: without(series.metric, labels) }) ?? '';
}

function replicaOf({ metric }: RawSeries, labels: ReadonlySet<string>): string {
  return JSON.stringify([...labels].map((label) => (Object.hasOwn(metric, label) ? metric[label] : null)));
}

function timesByReplica(series: RawSeries[], labels: ReadonlySet<string>): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const [replica, members] of groupBy(series, (one) => replicaOf(one, labels))) {
    const distinct = new Set(members.flatMap(({ values }) => values.map(([seconds]) => toMs(seconds))));
    times.set(
      replica,
      [...distinct].filter(Number.isFinite).sort((a, b) => a - b),
    );
  }
  return times;
}

function followReplicas(timesOf: Map<string, number[]>): Stretch[] {
  const first = [...timesOf.values()].map((times) => times.slice(0, SCRAPES_TO_TELL_INTERVAL));
  const patienceMs = (medianGapMs(first) ?? Number.POSITIVE_INFINITY) * SWITCH_AFTER_INTERVALS;
  const scrapes = [...timesOf].flatMap(([replica, times]) => times.map((tMs) => ({ replica, tMs })));
  scrapes.sort((a, b) => a.tMs - b.tMs || (a.replica < b.replica ? -1 : 1));
  const stretches: Stretch[] = [];
  for (const { replica, tMs } of scrapes) {
    const current = stretches.at(-1);
    if (current?.replica === replica) current.toMs = tMs;
    else if (current === undefined || tMs > current.toMs + patienceMs)
      stretches.push({ replica, fromMs: tMs, toMs: tMs });
  }
  return stretches;
}

function joinCopies(
  copies: RawSeries[],
  labels: ReadonlySet<string>,
  stretches: ReadonlyMap<string, Stretch[]>,
): RawSeries {
  const [first] = copies;
  const values = copies
    .flatMap((copy) => {
      const replica = replicaOf(copy, labels);
      const own = (stretches.get(processOf(copy, labels)) ?? []).filter((one) => one.replica === replica);
      return copy.values.filter(([seconds]) => {
        const tMs = toMs(seconds);
        // A time that is no number is for the counting to report.
        return Number.isNaN(tMs) || own.some((one) => tMs >= one.fromMs && tMs <= one.toMs);
      });
    })
    .sort(([a], [b]) => a - b);
  return { metric: without(first?.metric ?? {}, labels), values };
}

function without(metric: Record<string, string>, labels: ReadonlySet<string>): Record<string, string> {
  return Object.fromEntries(Object.entries(metric).filter(([label]) => !labels.has(label)));
}

function groupBy<T>(all: readonly T[], key: (one: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const name = key(one);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [one]);
    else group.push(one);
  }
  return groups;
}
