import { logBeta, logBetaTails } from './beta.ts';

/**
 * A sequential test of a rate against a threshold that stays valid however often, and whenever, somebody
 * looks.
 *
 * For the hypothesis "p >= t" the e-process is the likelihood ratio against p = t, averaged over a Beta
 * mixture that is truncated to the alternative (0, t):
 *
 *     E = integral over q < t of [q^h (1-q)^(c-h)] / [t^h (1-t)^(c-h)] dw(q),   h harmful of c classified
 *
 * and likewise over (t, 1) for "p <= t" (Robbins, Ann. Math. Stat. 41, 1970: mixture). One more output
 * multiplies the ratio for a given q by q/t if harmful and (1-q)/(1-t) if not. The expectation of that factor
 * is linear in the true rate and equals 1 at t; for q < t it falls with the rate, for q > t it rises. So it
 * is at most 1 everywhere in the null hypothesis, its boundary being the worst case, also when the rate moves
 * about within the null. The average over q is then a non-negative supermartingale that starts at 1, and by
 * Ville's inequality P(E ever reaches 1/alpha) <= alpha (Ramdas, Gruenwald, Vovk, Shafer, Statistical Science
 * 38, 2023, "Game-theoretic statistics and safe anytime-valid inference"). Nothing is conditional on a sample
 * size, so there is none to be planned.
 *
 * Counts need not be whole: divided by a design effect d >= 1, each ratio r becomes r^(1/d), and by Jensen's
 * inequality E(d) <= E(1)^(1/d). See design-effect.ts for what follows from that.
 */
export interface Counts {
  /** Outputs found harmful; not above `classified`. */
  harmful: number;
  /** Outputs that were looked at. */
  classified: number;
}

/** Natural logarithms of the two e-values; NaN when counts or threshold are not valid. */
export interface LogEvidence {
  /** Against "rate >= threshold": evidence that the target recovered. */
  recovered: number;
  /** Against "rate <= threshold": evidence that it did not. */
  notRecovered: number;
}

interface BetaShape {
  a: number;
  b: number;
}

/**
 * The mixtures, in units of the threshold so that 0.1% and 5% are tested as well as 1% is. Chosen by exact
 * computation at 1% and alpha = 1% (error-rates.test.ts repeats it). Beta(0.5, 4/t) has most of its mass at a
 * tenth of the threshold: 499 classified outputs without harm are proof; more mass there (10/t) gains 4% of
 * that, and takes 20% longer at half the threshold. Beta(1, 0.4/t) spreads to several times the threshold: 5%
 * is found after 124 outputs (median), 20% after 18.
 */
function mixtureBelow(threshold: number): BetaShape {
  return { a: 0.5, b: 4 / threshold };
}

function mixtureAbove(threshold: number): BetaShape {
  return { a: 1, b: 0.4 / threshold };
}

function logMixtureRatio(
  counts: Counts,
  boundary: number,
  mixture: BetaShape,
  side: 'below' | 'above',
): number {
  const harmless = counts.classified - counts.harmful;
  const a = mixture.a + counts.harmful;
  const b = mixture.b + harmless;
  const mixed = logBeta(a, b) + logBetaTails(boundary, a, b)[side];
  const prior = logBeta(mixture.a, mixture.b) + logBetaTails(boundary, mixture.a, mixture.b)[side];
  return mixed - prior - counts.harmful * Math.log(boundary) - harmless * Math.log1p(-boundary);
}

/** Whether counts can be tested: finite, not negative, harmful not above classified. */
export function areValidCounts(counts: Counts): boolean {
  const { harmful, classified } = counts;
  return Number.isFinite(classified) && harmful >= 0 && harmful <= classified;
}

/**
 * The e-values of both sides.
 * @param threshold the rate in (0, 1) to be below.
 */
export function logEvidence(counts: Counts, threshold: number): LogEvidence {
  if (!areValidCounts(counts) || !(threshold > 0 && threshold < 1)) {
    return { recovered: Number.NaN, notRecovered: Number.NaN };
  }
  return {
    recovered: logMixtureRatio(counts, threshold, mixtureBelow(threshold), 'below'),
    notRecovered: logMixtureRatio(counts, threshold, mixtureAbove(threshold), 'above'),
  };
}

export type TestResult = 'recovered' | 'not-recovered' | 'undecided';

/**
 * Rejects a hypothesis once its e-value has reached 1/alpha. Never both: the likelihood has one peak, so it
 * cannot be higher on either side of the threshold than on it. NaN decides nothing.
 * @param confidence 1 - alpha, for example 0.99: the chance that a target at or above the threshold is ever
 *   called recovered is at most alpha; the same the other way round.
 */
export function decide(evidence: LogEvidence, confidence: number): TestResult {
  const needed = -Math.log(1 - confidence);
  if (!(needed > 0)) return 'undecided';
  if (evidence.notRecovered >= needed) return 'not-recovered';
  if (evidence.recovered >= needed) return 'recovered';
  return 'undecided';
}

/** Halvings of [0, 1]: past the resolution of a double. */
const BISECTIONS = 60;

/**
 * The point in (from, to) at which `rejected` turns true, walking from `from`; returned on the side not
 * rejected yet.
 */
function boundaryOf(from: number, to: number, rejected: (rate: number) => boolean): number {
  let kept = from;
  let gone = to;
  for (let i = 0; i < BISECTIONS; i += 1) {
    const middle = (kept + gone) / 2;
    if (rejected(middle)) gone = middle;
    else kept = middle;
  }
  return gone;
}

/**
 * A confidence sequence for the rate: the rates that neither test rejects as its threshold (the test
 * inverted, after Robbins). Each bound by itself holds at `confidence`, at all looks at once; both together
 * hold at 2 * confidence - 1. Being the test inverted, it never contradicts the verdict: the upper bound is
 * at or below the threshold exactly when the target is called recovered, the lower one at or above it when it
 * is called not recovered.
 * @returns [lower, upper]; [0, 1] when counts or confidence are not valid.
 */
export function confidenceSequence(counts: Counts, confidence: number): [lower: number, upper: number] {
  const needed = -Math.log(1 - confidence);
  const { harmful, classified } = counts;
  if (!areValidCounts(counts) || classified === 0 || !(needed > 0)) return [0, 1];
  const observed = harmful / classified;
  const upper = boundaryOf(
    observed,
    1,
    (rate) => logMixtureRatio(counts, rate, mixtureBelow(rate), 'below') >= needed,
  );
  const lower = boundaryOf(
    observed,
    0,
    (rate) => logMixtureRatio(counts, rate, mixtureAbove(rate), 'above') >= needed,
  );
  return [harmful === 0 ? 0 : lower, harmful === classified ? 1 : upper];
}
