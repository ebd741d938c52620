import type { Counts } from './sequential-test.ts';

/**
 * Harm comes in clusters (a user, a prompt that is tried again), so that c classified outputs say less than c
 * independent ones: the design effect d is how many times less (Kish, Survey Sampling, 1965; for clusters of
 * m outputs with correlation r within a cluster, d = 1 + (m - 1) r). Both counts are divided by it.
 *
 * Clustering heavier than assumed is estimated as Pearson's chi-square over its degrees of freedom, between
 * blocks of time (McCullagh and Nelder, Generalized Linear Models, 4.5.2). That estimate needs harmful outputs:
 * with none, and that is what a healthy target shows, it says nothing about clustering, and with a few it is
 * mostly chance. So it is shrunk towards an assumed value, weighed as ASSUMED_FREEDOM degrees of freedom
 * against those that the data have (none without harm, however many blocks), and the result is never below
 * the assumption: a few harmful outputs that came one by one look like independent ones also where harm is
 * clustered, and dividing by less than the assumption on their word is what brings false "recovered" back.
 *
 * Guaranteed, for counts in any block: with independent outputs the error stays at or below alpha for every
 * d >= 1, estimated from the same data or not, since E(d) <= E(1)^(1/d) (Jensen); and with clusters of at most
 * m outputs, each within one scrape, at a configured d of m or more, whatever the dependence within them,
 * since then the expectation of a cluster's product of ratios r^(1/m) is at most the product of their
 * expectations to the 1/m (Hoelder). Everything between is measured: docs/verification/study.md.
 */
export interface DesignEffect {
  /** What counts are divided by: at least 1. */
  value: number;
  /** The largest chi-square over its degrees of freedom, by width of block; null where the blocks cannot tell. */
  observed: number | null;
  /** Blocks with classified outputs. */
  blocks: number;
}

/**
 * Clusters of ten with correlation 0.2 are 2.8. Measured at a rate equal to the threshold of 1%, with clusters of ten at
 * correlation 0.3 (3.7), wrong "recovered" at a stated 1%: 2.0% when 2.25 is assumed, 1.3% at 2.5, 0.5% at 3. Without
 * harm seen, nothing below 2.1 could hold: in 499 * 2.1 outputs of such clusters there is none with a chance of 1%.
 */
export const ASSUMED_DESIGN_EFFECT = 3;

/** Weight of the assumption against the estimate. At half or twice of it, the study's numbers are the same. */
const ASSUMED_FREEDOM = 10;

/**
 * Blocks are also taken together by so many: a session or a burst that lasts longer than a scrape shows only between
 * wider blocks. Wider ones than a minute (at a scrape each 15 s) would be too few within a verification.
 */
const BLOCK_WIDTHS = [1, 2, 4];

/**
 * Estimates the design effect.
 * @param blocks counts in blocks of time, in their order; blocks without classified outputs are left out.
 * @param configured a known design effect, in place of ASSUMED_DESIGN_EFFECT: the result is never below it.
 *   Values below 1 count as 1.
 */
export function estimateDesignEffect(blocks: readonly Counts[], configured?: number): DesignEffect {
  const used = blocks.filter((block) => block.classified > 0 && Number.isFinite(block.harmful));
  const known = configured !== undefined && Number.isFinite(configured);
  const assumed = known ? Math.max(1, configured) : ASSUMED_DESIGN_EFFECT;

  let harmful = 0;
  let classified = 0;
  for (const block of used) {
    harmful += block.harmful;
    classified += block.classified;
  }
  const rate = harmful / classified;
  const result: DesignEffect = { value: assumed, observed: null, blocks: used.length };
  if (!(rate > 0 && rate < 1)) return result;
  for (const width of BLOCK_WIDTHS) {
    const dispersion = dispersionBetween(used, width, rate);
    if (dispersion === undefined) break;
    const { observed, freedom } = dispersion;
    // The variance of `observed` is about 2/freedom, plus 1/harmful because rare events are skewed; a
    // chi-square over n degrees of freedom has 2/n.
    const weight = 1 / (1 / freedom + 1 / (2 * harmful));
    const shrunk = (ASSUMED_FREEDOM * assumed + weight * observed) / (ASSUMED_FREEDOM + weight);
    result.value = Math.max(result.value, shrunk);
    result.observed = Math.max(result.observed ?? 0, observed);
  }
  return result;
}

/**
 * Pearson's chi-square over its degrees of freedom between blocks of `width` neighbours each (the last may have fewer);
 * undefined where there is but one.
 */
function dispersionBetween(
  blocks: readonly Counts[],
  width: number,
  rate: number,
): { observed: number; freedom: number } | undefined {
  const freedom = Math.ceil(blocks.length / width) - 1;
  if (freedom < 1) return undefined;
  let chiSquare = 0;
  let excess = 0;
  let classified = 0;
  let seen = 0;
  for (const block of blocks) {
    excess += block.harmful - block.classified * rate;
    classified += block.classified;
    seen += 1;
    if (seen % width !== 0 && seen !== blocks.length) continue;
    chiSquare += (excess * excess) / (classified * rate * (1 - rate));
    excess = 0;
    classified = 0;
  }
  return { observed: chiSquare / freedom, freedom };
}

/** Counts as if outputs were independent. */
export function deflate(counts: Counts, designEffect: number): Counts {
  return { harmful: counts.harmful / designEffect, classified: counts.classified / designEffect };
}
