import type { CounterIncrements, CountWindow, EvidenceProblem, RawSeries } from './types.ts';

/**
 * Labels that tell one scraped process from another; two counters that share them come out of the same
 * scrape.
 */
const SCRAPE_LABELS = ['job', 'instance', 'namespace', 'pod', 'container'];

/**
 * Labels that tell apart copies of the same series, as HA pairs of Prometheus send them to Thanos, Mimir and
 * others.
 */
const COPY_LABELS = new Set(['replica', 'prometheus_replica', '__replica__']);

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

interface Sample {
  tMs: number;
  value: number;
}

/**
 * What another counter of the same processes shows about each: when it was scraped, and when it started over.
 */
interface Witness {
  scrapedAtMs: number[];
  resetAtMs: number[];
}

function scrapeKey(series: RawSeries): string | undefined {
  const { metric } = series;
  if (!Object.hasOwn(metric, 'pod') && !Object.hasOwn(metric, 'instance')) return undefined;
  return JSON.stringify(SCRAPE_LABELS.map((label) => (Object.hasOwn(metric, label) ? metric[label] : null)));
}

function identity(series: RawSeries): string {
  const labels = Object.entries(series.metric).filter(([label]) => !COPY_LABELS.has(label));
  return JSON.stringify(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A counter's value, or NaN for anything that no counter can show. */
function counterValue(text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) && value >= 0 ? value : Number.NaN;
}

function samplesOf(series: RawSeries, untilMs: number): Sample[] {
  return series.values
    .map(([seconds, value]) => ({ tMs: Math.round(seconds * 1_000), value: counterValue(value) }))
    .filter((sample) => !(sample.tMs > untilMs));
}

function buildWitnesses(all: readonly RawSeries[], untilMs: number): Map<string, Witness> {
  const witnesses = new Map<string, Witness>();
  for (const series of all) {
    const key = scrapeKey(series);
    if (key === undefined) continue;
    const witness = witnesses.get(key) ?? { scrapedAtMs: [], resetAtMs: [] };
    witnesses.set(key, witness);
    let previous = Number.NaN;
    for (const { tMs, value } of samplesOf(series, untilMs)) {
      witness.scrapedAtMs.push(tMs);
      if (value < previous) witness.resetAtMs.push(tMs);
      if (!Number.isNaN(value)) previous = value;
    }
  }
  return witnesses;
}

/**
 * Counts by how much a counter rose after T0, from raw samples, exactly: nothing is extrapolated, unlike
 * Prometheus' increase().
 *
 * - The last sample at or before T0 is the baseline; each later one adds its difference to the one before.
 * - A drop is a restart: the new value counts from zero. (A counter that restarts and passes its old value
 *   between two scrapes shows no drop; a witness may.)
 * - A series first seen after T0 counts from zero if its pod started after T0, or if a witness was scraped
 *   without it before: client libraries create a labelled counter at its first increment, and the outputs
 *   that create it are not to be lost. Otherwise it counts from its first sample on.
 * - A value that is not a finite number of at least 0, and a time that does not ascend, is skipped and
 *   reported, unless it is older than the baseline. So are two series that differ by nothing but the
 *   Prometheus that scraped them.
 *
 * @param witnesses other counters of the same processes: pass the classified series when counting harmful
 *   ones.
 */
export function countIncrements(
  series: readonly RawSeries[],
  window: CountWindow,
  witnesses: readonly RawSeries[] = [],
): CounterIncrements {
  const witnessOf = buildWitnesses(witnesses, window.untilMs);
  const result: CounterIncrements = {
    total: 0,
    increments: [],
    seriesCount: 0,
    liveSeriesCount: 0,
    newestSampleMs: null,
    newestIncrementMs: null,
    problems: [],
  };
  const seen = new Set<string>();
  let badSamples = 0;
  let copies = 0;

  for (const one of series) {
    const samples = samplesOf(one, window.untilMs);
    if (samples.length === 0) continue;
    result.seriesCount += 1;
    const id = identity(one);
    if (seen.has(id)) copies += 1;
    seen.add(id);

    const key = scrapeKey(one);
    const witness = key === undefined ? undefined : witnessOf.get(key);
    const pod = one.metric.pod;
    const startedAtMs =
      pod !== undefined && Object.hasOwn(window.podStartedAtMs, pod) ? window.podStartedAtMs[pod] : undefined;

    let previous: Sample | undefined;
    let badBefore = 0;
    let live = false;
    for (const sample of samples) {
      const after = sample.tMs > window.t0Ms;
      const ascends = previous === undefined ? Number.isFinite(sample.tMs) : sample.tMs > previous.tMs;
      if (Number.isNaN(sample.value) || !ascends) {
        badBefore += 1;
        continue;
      }
      if (after) {
        live = true;
        badSamples += badBefore;
        const amount = incrementOf(sample, previous, witness, (startedAtMs ?? 0) > window.t0Ms);
        result.newestSampleMs = Math.max(result.newestSampleMs ?? 0, sample.tMs);
        if (amount > 0) {
          result.total += amount;
          result.increments.push([sample.tMs, amount]);
          result.newestIncrementMs = Math.max(result.newestIncrementMs ?? 0, sample.tMs);
        }
      }
      // A good baseline makes what came before it irrelevant.
      badBefore = 0;
      previous = sample;
    }
    badSamples += samples.some((sample) => !(sample.tMs <= window.t0Ms)) ? badBefore : 0;
    if (live) result.liveSeriesCount += 1;
  }
  result.problems = problemsOf(badSamples, copies);
  return result;
}

function incrementOf(
  sample: Sample,
  previous: Sample | undefined,
  witness: Witness | undefined,
  startedAfterT0: boolean,
): number {
  if (previous === undefined) {
    const scrapedWithout = witness?.scrapedAtMs.some((tMs) => tMs < sample.tMs) ?? false;
    return startedAfterT0 || scrapedWithout ? sample.value : 0;
  }
  const restarted = witness?.resetAtMs.some((tMs) => tMs > previous.tMs && tMs <= sample.tMs) ?? false;
  return restarted || sample.value < previous.value ? sample.value : sample.value - previous.value;
}

function problemsOf(badSamples: number, copies: number): EvidenceProblem[] {
  const problems: EvidenceProblem[] = [];
  if (badSamples > 0) {
    problems.push({ gate: 'not-a-number', detail: `${badSamples} samples are no counter values` });
  }
  if (copies > 0) {
    const detail = `${copies} series are there twice: query one Prometheus, or deduplicate by replica label`;
    problems.push({ gate: 'duplicate-series', detail });
  }
  return problems;
}
