import { deflate, estimateDesignEffect } from '../statistics/design-effect.ts';
import { areValidCounts, confidenceSequence, decide, logEvidence } from '../statistics/sequential-test.ts';
import { evidenceGates, exposureOf } from './gates.ts';
import type { GateName, JudgeInput, Verdict } from './types.ts';

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
