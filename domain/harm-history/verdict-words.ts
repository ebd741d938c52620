import { formatDuration } from '../duration.ts';
import type { VerificationSummary } from '../incident.ts';
import { formatCount, formatRate } from './format.ts';
import { adviceFor, type GateAdvice } from './gate-advice.ts';

/** A verdict as people read it. Plain text of ours alone; the names in `unmet` may come from older records. */
export interface VerdictWords {
  /** `recovered`: what it means, in one sentence. */
  headline: string;
  /** Name and value, in the order in which they are shown. */
  facts: [name: string, value: string][];
  /** Evidence that was missing, by the name of the gate, with what a person does about it. */
  unmet: ({ gate: string } & GateAdvice)[];
  /** What a person does next; absent when it recovered. */
  next?: string;
}

/** The verdict in words: one source for the terminal, tickets, chat and the postmortem. */
export function verdictInWords(verdict: VerificationSummary): VerdictWords {
  const { harmful, classified, threshold, confidence, interval, designEffect, seconds, share } = verdict;
  const observed =
    classified > 0
      ? `${formatCount(harmful)} harmful of ${formatCount(classified)} classified outputs (${formatRate(harmful / classified)})`
      : 'no classified outputs';
  const clustered =
    designEffect > 1
      ? `: harm comes in clusters (one user, one prompt), so they count as ${formatCount(Math.round(classified / designEffect))} independent ones`
      : ': every output counts as an independent one';
  return {
    headline: headlineOf(verdict),
    facts: [
      ['Counted', observed],
      [
        'Harm rate between',
        `${formatRate(interval[0])} and ${formatRate(interval[1])} (confidence ${formatRate(confidence)} for each bound, ${formatRate(bothBounds(confidence))} for both, however often it was looked at)`,
      ],
      ['Threshold', `${formatRate(threshold)} (recovered means: proved to be below it)`],
      ['Design effect', `${designEffect.toFixed(2)}${clustered}`],
      ['Time observed', formatDuration(seconds * 1_000)],
      [
        'Share of traffic',
        share < 1 ? `${formatRate(share)} of the target's traffic` : "all of the target's traffic",
      ],
    ],
    unmet: verdict.unmet.map((gate) => ({ gate, ...adviceFor(gate) })),
    ...nextOf(verdict),
  };
}

/** The same, a line each: for chat and comments. */
export function verdictLines(verdict: VerificationSummary): string[] {
  const { headline, facts, unmet, next } = verdictInWords(verdict);
  return [
    headline,
    ...facts.map(([name, value]) => `${name}: ${value}`),
    ...unmet.map(({ gate, means, todo }) => `Missing: ${gate}: ${means}. To do: ${todo}.`),
    ...(next === undefined ? [] : [next]),
  ];
}

/** Each bound errs with 1 - confidence, by itself (domain/statistics/sequential-test.ts). */
function bothBounds(confidence: number): number {
  return Math.max(0, 2 * confidence - 1);
}

function headlineOf({ outcome, threshold }: VerificationSummary): string {
  switch (outcome) {
    case 'recovered':
      return `recovered: the harm rate is proved to be below ${formatRate(threshold)}`;
    case 'not-recovered':
      return `not-recovered: the harm rate is proved to be above ${formatRate(threshold)}`;
    case 'insufficient-evidence':
      return 'insufficient-evidence: neither recovery nor harm is proved, so it does not count as healthy';
  }
}

function nextOf({ outcome }: VerificationSummary): { next?: string } {
  if (outcome === 'recovered') return {};
  if (outcome === 'not-recovered') {
    return {
      next: 'Next: the revision that runs is harmful too. Roll back to another one (retry the rollback with --to-revision), or ship a fixed one. What was diverted stays diverted.',
    };
  }
  return {
    next: 'Next: mend what is missing, then retry the verify step. What was diverted stays diverted.',
  };
}
