import { logBetaTails } from '../../../domain/statistics/beta.ts';
import type { Method, Question } from './method.ts';

/** P(X <= harmful) of a binomial distribution. Source: DLMF 8.17.5, I_p(k, n - k + 1) = P(X >= k). */
export function binomialUpTo(harmful: number, classified: number, rate: number): number {
  if (harmful < 0) return 0;
  if (harmful >= classified) return 1;
  return Math.exp(logBetaTails(rate, harmful + 1, classified - harmful).above);
}

/** The exact one-sided test, both ways. Counts need not be whole (a design effect divides them). */
export function exactTest(harmful: number, classified: number, { threshold, confidence }: Question) {
  const alpha = 1 - confidence;
  return {
    recovered: binomialUpTo(harmful, classified, threshold) <= alpha,
    notRecovered: 1 - binomialUpTo(harmful - 1, classified, threshold) <= alpha,
  };
}

/** No search goes beyond: a hundred times what the study's settings need. */
const MAX_SAMPLE = 1_000_000;

/**
 * The least sample with which the exact test finds, with probability `power`, that a target with harm at `rate` is on its
 * side of the threshold.
 * @param designEffect what the test divides counts by, to be as careful about clusters as that.
 * @throws RangeError when no sample below a million does.
 */
export function sampleFor(rate: number, power: number, question: Question, designEffect = 1): number {
  const healthy = rate < question.threshold;
  // The least harm with which the test is not "recovered" any more, or with which it is "not recovered": grows with n.
  let limit = 0;
  for (let classified = 1; classified <= MAX_SAMPLE; classified += 1) {
    const passes = (harmful: number) => {
      const result = exactTest(harmful / designEffect, classified / designEffect, question);
      return healthy ? !result.recovered : result.notRecovered;
    };
    while (limit <= classified && !passes(limit)) limit += 1;
    const below = binomialUpTo(limit - 1, classified, rate);
    if ((healthy ? below : 1 - below) >= power) return classified;
  }
  throw new RangeError(`no sample up to ${MAX_SAMPLE} tells a rate of ${rate} from ${question.threshold}`);
}

/** Where its two samples are planned for, in units of the threshold. */
export const PLANNED_AT = { healthy: 0.1, harmful: 5 };

/** As few missed as wrong. */
export const PLANNED_POWER = 0.99;

/** Two looks and no more: one for "not recovered", one for "recovered", each at the first scrape that completes its sample. */
export function fixedSample(name: string): Method {
  return {
    name,
    watch(question) {
      const sample = samplesOf(question);
      const total = { harmful: 0, classified: 0 };
      const pending = new Set(['recovered', 'not-recovered'] as const);
      return ({ harmful, classified }) => {
        total.harmful += harmful;
        total.classified += classified;
        for (const outcome of pending) {
          if (total.classified < sample[outcome]) continue;
          pending.delete(outcome);
          const result = exactTest(total.harmful, total.classified, question);
          if (outcome === 'recovered' ? result.recovered : result.notRecovered) return outcome;
        }
        return undefined;
      };
    },
  };
}

const planned = new Map<string, { recovered: number; 'not-recovered': number }>();

/** Planning takes a while; there are a handful of questions. */
export function samplesOf(
  question: Question,
  designEffect = 1,
): { recovered: number; 'not-recovered': number } {
  const key = JSON.stringify([question.threshold, question.confidence, designEffect]);
  const plan = (multiple: number) =>
    sampleFor(question.threshold * multiple, PLANNED_POWER, question, designEffect);
  const sample = planned.get(key) ?? {
    recovered: plan(PLANNED_AT.healthy),
    'not-recovered': plan(PLANNED_AT.harmful),
  };
  planned.set(key, sample);
  return sample;
}
