import { identityWithout, medianGapMs, type Sample, samplesOf, scrapeKey, toMs } from './samples.ts';
import type { CounterIncrements, CountWindow, EvidenceProblem, RawSeries } from './types.ts';

/**
 * Labels that tell apart copies of the same series, as HA pairs of Prometheus send them to Thanos, Mimir and
 * others.
 */
const COPY_LABELS = new Set(['replica', 'prometheus_replica', '__replica__']);

/** Labels by which one endpoint that is scraped by two jobs differs: `job`, and what the Prometheus operator adds. */
const JOB_LABELS = new Set([...COPY_LABELS, 'job', 'service', 'endpoint']);

/** Of the scrape interval: a scrape that is a little late is no missed one. */
const BASELINE_SLACK = 1.25;
/** Fewer scrapes of a process do not tell its interval: the longest one of the others is taken. */
const SCRAPES_TO_TELL_INTERVAL = 4;
/** The first ones, most of them from before T0: later ones must not change what was a baseline at the look before. */
const INTERVAL_FROM_SCRAPES = 10;

/** What all counters of one process show together. */
interface Process {
  /** Ascending. */
  scrapedAtMs: number[];
  /** Scrapes that showed one of its counters fall. */
  resetAtMs: number[];
  /** What was scraped before this is no baseline. */
  baselineFromMs: number;
}

/** Finds series that were seen before under another name: the same process, counted twice. */
class Copies {
  readonly #seen = new Set<string>();
  readonly #jobs = new Map<string, string>();

  has(series: RawSeries): boolean {
    const id = identityWithout(series, COPY_LABELS);
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    const { instance, job = '' } = series.metric;
    if (instance === undefined) return false;
    // One address has one process behind it, however many jobs scrape it. Within a job, `service` and `endpoint` may be
    // the application's own labels.
    const endpoint = identityWithout(series, JOB_LABELS);
    const other = this.#jobs.get(endpoint);
    this.#jobs.set(endpoint, other ?? job);
    return other !== undefined && other !== job;
  }
}

export type Processes = Map<string, Process>;

/** Series without a pod or an instance cannot be told apart: they share an interval, and say nothing of one another. */
const UNKNOWN_PROCESS = '';

/** What counters show of the processes behind them; found once for all counters that are counted together. */
export function findProcesses(all: readonly RawSeries[], window: CountWindow): Processes {
  const processes: Processes = new Map();
  for (const series of all) {
    const key = scrapeKey(series) ?? UNKNOWN_PROCESS;
    const known = processes.get(key);
    const process = known ?? { scrapedAtMs: [], resetAtMs: [], baselineFromMs: Number.NEGATIVE_INFINITY };
    if (known === undefined) processes.set(key, process);
    for (const [seconds] of series.values) {
      const tMs = toMs(seconds);
      if (!(tMs > window.untilMs)) process.scrapedAtMs.push(tMs);
    }
  }
  for (const process of processes.values())
    process.scrapedAtMs = [...new Set(process.scrapedAtMs)].sort((a, b) => a - b);
  for (const series of all) {
    const process = processes.get(scrapeKey(series) ?? UNKNOWN_PROCESS);
    process?.resetAtMs.push(...resetsOf(samplesOf(series, window.untilMs), process.scrapedAtMs));
  }
  for (const process of processes.values()) process.resetAtMs.sort((a, b) => a - b);
  if (window.freshBaseline) {
    const intervalOf = ({ scrapedAtMs }: Process) =>
      medianGapMs([scrapedAtMs.slice(0, INTERVAL_FROM_SCRAPES)]) ?? 0;
    const longestMs = Math.max(0, ...[...processes.values()].map(intervalOf));
    for (const process of processes.values()) {
      const few = process.scrapedAtMs.length < SCRAPES_TO_TELL_INTERVAL;
      process.baselineFromMs = window.t0Ms - (few ? longestMs : intervalOf(process)) * BASELINE_SLACK;
    }
  }
  return processes;
}

/**
 * Times at which a counter fell from one scrape of its process to the next. One that was missing in between fell when it
 * was gone, not when it came back: the others may have counted since.
 */
function resetsOf(samples: Sample[], scrapedAtMs: readonly number[]): number[] {
  const resets: number[] = [];
  let scrape = 0;
  let previous: Sample | undefined;
  for (const sample of samples) {
    if (Number.isNaN(sample.value)) continue;
    while ((scrapedAtMs[scrape] ?? Number.POSITIVE_INFINITY) < sample.tMs) scrape += 1;
    const fell = previous !== undefined && sample.value < previous.value;
    if (fell && previous?.tMs === scrapedAtMs[scrape - 1]) resets.push(sample.tMs);
    previous = sample;
  }
  return resets;
}

/**
 * Counts by how much a counter rose after T0, from raw samples, exactly: nothing is extrapolated, unlike
 * Prometheus' increase().
 *
 * - The last sample at or before T0 is the baseline; each later one adds its difference to the one before.
 * - A drop is a restart: the new value counts from zero. A counter that restarts and passes its old value between two
 *   scrapes shows no drop; another counter of its process may.
 * - A series first seen after T0 counts from zero if its pod started after T0, and was not scraped before that.
 *   Otherwise it counts from its first sample on.
 * - A value that is not a finite number of at least 0, and a time that does not ascend, is skipped and reported, unless
 *   it is older than the baseline. So are two series that differ by nothing but the Prometheus, or the job, that
 *   scraped them.
 *
 * A series that is missing in scrapes of its process was not exposed: client libraries create a labelled counter at its
 * first increment, and one that was removed begins anew. Exporters that leave out what is idle show the old value again.
 * `unclear` says how such a series counts: `most` from zero, for harm, of which nothing is to be lost; `least` by what
 * is certain, for its denominator.
 *
 * Never more than was counted, but for that. Less where samples cannot tell: what a process counted after its last
 * scrape; what it counted before its first one, where its start is unknown; and what a process had counted that
 * restarts and passes all its old values, in all its counters, between two scrapes. Counters of one process lose the
 * same stretch of time then.
 *
 * @param witnesses all counters of the same processes, this one included; without them, samples of other counters tell
 *   nothing, and no baseline is too old.
 */
export function countIncrements(
  series: readonly RawSeries[],
  window: CountWindow,
  witnesses: readonly RawSeries[] | Processes = [],
  unclear: 'least' | 'most' = 'most',
): CounterIncrements {
  const processes = witnesses instanceof Map ? witnesses : findProcesses(witnesses, window);
  const result: CounterIncrements = {
    total: 0,
    increments: [],
    seriesCount: 0,
    liveSeriesCount: 0,
    newestSampleMs: null,
    newestIncrementMs: null,
    problems: [],
  };
  const seen = new Copies();
  let badSamples = 0;
  let copies = 0;

  for (const one of series) {
    const samples = samplesOf(one, window.untilMs);
    if (samples.length === 0) continue;
    result.seriesCount += 1;
    if (seen.has(one)) copies += 1;

    const key = scrapeKey(one);
    const process = processes.get(key ?? UNKNOWN_PROCESS);
    const firstScrapeMs = Math.min(samples[0]?.tMs ?? 0, process?.scrapedAtMs[0] ?? Number.POSITIVE_INFINITY);
    const history: History = {
      process: key === undefined ? undefined : process,
      baselineFromMs: process?.baselineFromMs ?? Number.NEGATIVE_INFINITY,
      startedAfterT0: startedAfterT0(one, firstScrapeMs, window),
      unclear,
    };

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
        const amount = incrementOf(sample, previous, history);
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

/** What is known beside the samples of a series. */
interface History {
  /** Absent: nothing tells which process it is. */
  process: Process | undefined;
  baselineFromMs: number;
  startedAfterT0: boolean;
  unclear: 'least' | 'most';
}

/**
 * Kubernetes tells when a pod started, by a clock that may be ahead of Prometheus': then a pod of long ago would seem to
 * have started after T0, and all that it ever counted would be taken for new. A process that was scraped before it started
 * shows that the clocks do not agree, and its start is not believed.
 */
function startedAfterT0({ metric }: RawSeries, firstScrapeMs: number, window: CountWindow): boolean {
  const { pod } = metric;
  if (pod === undefined || !Object.hasOwn(window.podStartedAtMs, pod)) return false;
  const startedAtMs = window.podStartedAtMs[pod] ?? Number.NaN;
  return startedAtMs > window.t0Ms && startedAtMs <= firstScrapeMs;
}

function incrementOf(sample: Sample, previous: Sample | undefined, history: History): number {
  const { process, baselineFromMs, startedAfterT0, unclear } = history;
  const missedSince = (afterMs: number): boolean =>
    unclear === 'most' && anyWithin(process?.scrapedAtMs, afterMs, sample.tMs - 1);

  if (previous === undefined) return startedAfterT0 || missedSince(baselineFromMs - 1) ? sample.value : 0;
  const restarted = anyWithin(process?.resetAtMs, previous.tMs, sample.tMs) || sample.value < previous.value;
  if (previous.tMs < baselineFromMs) return missedSince(baselineFromMs - 1) ? sample.value : 0;
  return restarted || missedSince(previous.tMs) ? sample.value : sample.value - previous.value;
}

/** Whether one of the times, which ascend, is after the one time and no later than the other. */
function anyWithin(times: readonly number[] = [], afterMs: number, untilMs: number): boolean {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Number.POSITIVE_INFINITY) > afterMs) high = middle;
    else low = middle + 1;
  }
  return (times[low] ?? Number.POSITIVE_INFINITY) <= untilMs;
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
