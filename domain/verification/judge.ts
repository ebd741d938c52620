import { deflate, estimateDesignEffect } from '../statistics/design-effect.ts';
import { areValidCounts, confidenceSequence, decide, logEvidence } from '../statistics/sequential-test.ts';
import { evidenceGates, exposureOf } from './gates.ts';
import type { FinalVerdict, GateName, JudgeInput, JudgeOptions, Verdict } from './types.ts';

/**
 * What a `verify` step gets where its runbook says nothing. Threshold and exposure are the shipped runbook's.
 */
export const JUDGE_DEFAULTS: JudgeOptions = {
  threshold: 0.01,
  confidence: 0.99,
  // Without any harm, proof at 1% and 99% takes 499 independent outputs: fewer are never enough.
  minExposure: 500,
  // Fewer blocks hold no more than a burst or two.
  minBlocks: 6,
  // A cold start is over, and caches and batches are those of steady traffic.
  minDurationMs: 60_000,
  // Four scrapes at Prometheus' most usual interval of 15 s: one lost scrape is nothing, four are.
  maxSampleAgeMs: 60_000,
  // What is not classified could be where the harm is.
  minCoverage: 0.9,
  designEffect: 'estimate',
  allowRequestsAsDenominator: false,
};

/** Gates that say the counts themselves are wrong: then they prove nothing, harm included. */
const COUNT_GATES: readonly GateName[] = [
  'query-failed',
  'partial-response',
  'not-a-number',
  'duplicate-series',
];

/** A verdict without what is only said of it: the interval takes a hundred times as long as the decision. */
export type Decision = Omit<Verdict, 'interval' | 'intervalConfidence'>;

/**
 * Judges the counts since T0: `recovered` when the test proves a rate below the threshold and every gate and
 * guard is ok; `not-recovered` when it proves one above, which needs valid counts only, since harm is harm;
 * else `undecided`. Pure and without memory: safe to ask at every scrape, since the test is valid at all
 * looks (sequential-test.ts).
 */
export function judge(input: JudgeInput): Verdict {
  const decision = decideRecovery(input);
  const { confidence } = input.options;
  return {
    ...decision,
    interval: confidenceSequence(decision.effective, confidence),
    intervalConfidence: 2 * confidence - 1,
  };
}

/** What `judge` decides, and on what. */
export function decideRecovery(input: JudgeInput): Decision {
  const { counts, options } = input;
  const exposure = exposureOf(counts, options);
  const classified = exposure.total ?? 0;
  const harmful = counts?.harmful ?? 0;

  const blocks = (counts?.blocks ?? []).map((block) => ({
    harmful: block.harmful,
    classified: block[exposure.denominator],
  }));
  const configured = options.designEffect === 'estimate' ? undefined : options.designEffect;
  const design = estimateDesignEffect(blocks, configured);
  // The harmful counter can be an output ahead of the other one at a scrape: with every output harmful, that
  // is no reason not to call it so. A gate still keeps such counts from proving recovery.
  const effective = deflate({ harmful: Math.min(harmful, classified), classified }, design.value);

  const valid = areValidCounts(effective);
  const evidence = logEvidence(effective, options.threshold);
  const spanMs = counts === null ? 0 : (counts.newestSampleMs ?? counts.t0Ms) - counts.t0Ms;
  const observedMs = Math.max(0, finiteOr(spanMs, 0));
  const gates = evidenceGates(input, exposure, design.blocks, observedMs);

  const proven = decide(evidence, options.confidence);
  const countsHold = gates.every((gate) => gate.ok || !COUNT_GATES.includes(gate.name));
  const allHold = gates.every((gate) => gate.ok);
  let outcome: Verdict['outcome'] = 'undecided';
  if (proven === 'not-recovered' && countsHold) outcome = 'not-recovered';
  if (proven === 'recovered' && allHold) outcome = 'recovered';

  return {
    outcome,
    gates,
    harmful: finiteOr(harmful, 0),
    classified: finiteOr(classified, 0),
    denominator: exposure.denominator,
    requests: finiteOr(counts?.requests ?? Number.NaN, null),
    effective: valid ? effective : { harmful: 0, classified: 0 },
    designEffect: design.value,
    threshold: options.threshold,
    confidence: options.confidence,
    evidenceLog10: {
      recovered: toLog10(evidence.recovered),
      notRecovered: toLog10(evidence.notRecovered),
      needed: toLog10(-Math.log(1 - options.confidence)),
    },
    blocks: design.blocks,
    observedMs,
  };
}

/** JSON holds neither NaN nor Infinity; the gates have named them by now. */
function finiteOr<T>(value: number, otherwise: T): number | T {
  return Number.isFinite(value) ? value : otherwise;
}

/** 0 is an e-value of 1, no evidence. */
function toLog10(natural: number): number {
  return finiteOr(natural / Math.LN10, 0);
}

/**
 * The verdict once the time is over: what is still undecided at the deadline is insufficient evidence, by the
 * names of the gates that were not ok, or `test-undecided` where only more outputs could have told.
 */
export function finalVerdict(verdict: Verdict, deadlineReached: boolean): FinalVerdict {
  if (verdict.outcome !== 'undecided') return { ...verdict, unmet: [] };
  const failed = new Set(verdict.gates.filter((gate) => !gate.ok).map((gate) => gate.name));
  const unmet: FinalVerdict['unmet'] = failed.size > 0 ? [...failed] : ['test-undecided'];
  return { ...verdict, outcome: deadlineReached ? 'insufficient-evidence' : 'undecided', unmet };
}
