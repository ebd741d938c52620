import { logBetaTails } from '../statistics/beta.ts';
import type { CollectedCounts, EvidenceProblem } from './types.ts';

/**
 * Confidence of the bound, one-sided. A watch looks thousands of times a day: at 95% it would trip by chance every few
 * minutes on a workload that is just within its limit.
 */
const CONFIDENCE = 0.999;

/** Limits of a watch. */
export interface HarmLimits {
  /** Share (0..1) of harmful outputs among those classified. */
  harmRate: number;
  /** Share (0..1) of errors among requests; absent: errors are not judged. */
  errorRate?: number;
  /** Classified outputs, and requests where errors are judged, that a judgement takes at least. */
  minExposure: number;
}

/** What a watch saw in its window. */
export interface HarmLook {
  /** Prometheus' time of the look, epoch ms; this process's own where Prometheus did not tell it. */
  atMs: number;
  /** null: unknown. */
  harmful: number | null;
  classified: number | null;
  /** 0..1; null when unknown. */
  harmRate: number | null;
  /**
   * `exceeded`: proved to be above a limit. `within`: enough was seen, and it is not proved to be above any limit.
   * `unknown`: neither can be said; never a sign of health.
   */
  verdict: 'within' | 'exceeded' | 'unknown';
  /** Why it is not `within`; empty where it is. */
  reasons: string[];
}

/** What errors were judged by: counts (errors as `harmful`, requests as `classified`), or a rate that was measured as such. */
export type ErrorEvidence =
  | { counts: CollectedCounts | null; problems: readonly EvidenceProblem[] }
  | { rate: number }
  | { unknown: string };

export interface HarmEvidence {
  /** null: they could not be read; `problems` says why. */
  counts: CollectedCounts | null;
  problems: readonly EvidenceProblem[];
  atMs: number;
  /** Oldest that the newest sample may be; also how long the classifier may be silent while requests are served. */
  maxSampleAgeMs: number;
  /** Absent: the runbook has nothing to tell errors by. */
  errors?: ErrorEvidence;
}

type Judgement = Pick<HarmLook, 'verdict' | 'reasons'>;

/**
 * Whether the true share is above a limit, by the lower bound of Clopper and Pearson (Biometrika 26, 1934): the bound is
 * above the limit exactly when so many or more would be seen with a probability below 1 - CONFIDENCE at the limit
 * itself, which is I_limit(part, whole - part + 1).
 */
export function isProvedAbove(limit: number, part: number, whole: number): boolean {
  if (!(part > 0 && whole >= part)) return false;
  return logBetaTails(limit, part, whole - part + 1).below < Math.log(1 - CONFIDENCE);
}

/**
 * Judges one look of a watch. Outputs count as independent: harm in clusters trips a little earlier than the bound says,
 * which is the safe side for a breaker.
 */
export function judgeHarm(evidence: HarmEvidence, limits: HarmLimits): HarmLook {
  const { counts, atMs } = evidence;
  const harm = judgeShare('harmful', 'classified', evidence, evidence, limits.harmRate, limits.minExposure);
  const errors = judgeErrors(evidence, limits);
  const judgements = [harm, ...(errors === undefined ? [] : [errors])];
  const told = (verdict: HarmLook['verdict']) => judgements.some((one) => one.verdict === verdict);
  const verdict = told('exceeded') ? 'exceeded' : told('unknown') ? 'unknown' : 'within';

  // Not even a share of nothing can be told of counts that have a problem.
  const classified = counts === null ? null : finiteOrNull(counts.classified);
  const harmful = counts === null || classified === null ? null : finiteOrNull(counts.harmful);
  return {
    atMs,
    harmful,
    classified,
    harmRate: harmful === null || !classified ? null : Math.min(1, harmful / classified),
    verdict,
    reasons: judgements.flatMap(({ reasons }) => reasons),
  };
}

function judgeErrors(evidence: HarmEvidence, { errorRate, minExposure }: HarmLimits): Judgement | undefined {
  const { errors } = evidence;
  if (errorRate === undefined || errors === undefined) return undefined;
  if ('unknown' in errors) return { verdict: 'unknown', reasons: [`error rate: ${errors.unknown}`] };
  if ('counts' in errors) return judgeShare('errors', 'requests', errors, evidence, errorRate, minExposure);
  if (!Number.isFinite(errors.rate)) return { verdict: 'unknown', reasons: ['error rate: no number'] };
  if (errors.rate <= errorRate) return { verdict: 'within', reasons: [] };
  return {
    verdict: 'exceeded',
    reasons: [`error rate ${percent(errors.rate)}, limit ${percent(errorRate)}`],
  };
}

function judgeShare(
  partName: string,
  wholeName: string,
  { counts, problems }: Pick<HarmEvidence, 'counts' | 'problems'>,
  { atMs, maxSampleAgeMs }: Pick<HarmEvidence, 'atMs' | 'maxSampleAgeMs'>,
  limit: number,
  minExposure: number,
): Judgement {
  const wrong = [...problems, ...(counts?.problems ?? [])].map(({ gate, detail }) => `${gate}: ${detail}`);
  if (counts === null || wrong.length > 0) {
    return { verdict: 'unknown', reasons: wrong.length > 0 ? wrong : [`${wholeName} could not be counted`] };
  }
  if (counts.classified === null)
    return { verdict: 'unknown', reasons: [`there are no series of ${wholeName}`] };
  const whole = counts.classified;
  // One scrape can catch the part before its whole: then all of it was.
  const part = Math.min(counts.harmful, whole);
  if (!(whole >= minExposure))
    return { verdict: 'unknown', reasons: [`${whole} ${wholeName}, ${minExposure} needed`] };
  if (isProvedAbove(limit, part, whole)) {
    const reason = `${part} ${partName} of ${whole} ${wholeName} (${percent(part / whole)}), limit ${percent(limit)}`;
    return { verdict: 'exceeded', reasons: [reason] };
  }
  // Harm that was counted is harm; that there is none takes somebody who still counts.
  const silence = silenceOf(counts, atMs, maxSampleAgeMs, partName, wholeName);
  return silence === undefined
    ? { verdict: 'within', reasons: [] }
    : { verdict: 'unknown', reasons: [silence] };
}

function silenceOf(
  counts: CollectedCounts,
  atMs: number,
  maxSampleAgeMs: number,
  partName: string,
  wholeName: string,
): string | undefined {
  const { newestSampleMs, newestRequestIncrementMs, newestClassifiedIncrementMs, liveSeries } = counts;
  if (!(liveSeries.harmful > 0)) return `there are no current series of ${partName}: expose it at zero`;
  if (newestSampleMs === null || !(Math.abs(atMs - newestSampleMs) <= maxSampleAgeMs))
    return `there are no current samples of ${partName} and ${wholeName}`;
  if (newestRequestIncrementMs === null) return undefined;
  const silentMs = newestRequestIncrementMs - (newestClassifiedIncrementMs ?? Number.NEGATIVE_INFINITY);
  return silentMs <= maxSampleAgeMs ? undefined : 'requests are served, but nothing is classified any more';
}

function finiteOrNull(value: number | null): number | null {
  return value !== null && Number.isFinite(value) ? value : null;
}

const percent = (share: number): string => `${Math.round(share * 10_000) / 100}%`;
