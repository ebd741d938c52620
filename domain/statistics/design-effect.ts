import type { Counts } from './sequential-test.ts';

/**
 * Harm comes in clusters (a user, a prompt that is tried again), so that c classified outputs say less than c
 * independent ones: the design effect d is how many times less (Kish, Survey Sampling, 1965; for clusters of
 * m outputs with correlation r within a cluster, d = 1 + (m - 1) r). Both counts are divided by it.
 *
 * It is estimated as Pearson's chi-square over its degrees of freedom, between blocks, one block for each
 * scrape (McCullagh and Nelder, Generalized Linear Models, 4.5.2). That estimate needs harmful outputs: with
 * none, and that is what a healthy target shows, it says nothing about clustering, and read as "no
 * clustering" it would bring back just the false "recovered" it is there to prevent. So it is shrunk towards
 * an assumed value, weighed as ASSUMED_FREEDOM degrees of freedom against those that the data have (none
 * without harm, however many blocks).
 *
 * Guaranteed: with independent outputs the test's error stays at or below alpha for every d >= 1, estimated
 * from the same data or not, since E(d) <= E(1)^(1/d) (Jensen). Deflating by more than the true design effect
 * only ever costs time. Not guaranteed: an exact alpha under clustering. Wrong "recovered" at a rate equal to
 * the threshold (1%, alpha = 1%, looking after each block of 50 up to 5,000 outputs, simulated), without
 * deflation -> with this estimate:
 *
 *     clusters of 10, correlation 0.1 (d = 1.9):   4.7% -> 0.4%
 *     clusters of 10, correlation 0.3 (d = 3.7):    21% -> 4%        configured 3.7: 0.1%
 *     clusters of 50, correlation 0.1 (d = 5.9):    30% -> 10%       configured 5.9: < 0.1%   (blocks of 100)
 *
 * Wrong "not recovered" stays at 0.4%, 1.1% and 1.5%. The price: a healthy target (0.1%) takes 1,000 outputs,
 * not 500. Who knows of heavier clustering than ASSUMED_DESIGN_EFFECT, or of clusters that last longer than a
 * scrape, configures it.
 */
export interface DesignEffect {
  /** What counts are divided by: at least 1. */
  value: number;
  /** Pearson's chi-square over its degrees of freedom; null where the blocks cannot tell. */
  observed: number | null;
  /** Blocks with classified outputs. */
  blocks: number;
}

/** Clusters of ten with correlation 0.1 are 1.9: a prompt tried again and again, or a user's session. */
export const ASSUMED_DESIGN_EFFECT = 2;

/**
 * Weight of the assumption. Half as much: 4.6% instead of 4% wrong at 3.7. Twice: "not recovered" wrong in
 * 2.3% at 5.9.
 */
const ASSUMED_FREEDOM = 10;

/**
 * Estimates the design effect.
 * @param blocks counts in blocks of time; blocks without classified outputs are left out.
 * @param configured a known design effect: the result is never below it, and the estimate is shrunk towards
 *   it instead of towards ASSUMED_DESIGN_EFFECT. Values below 1 count as 1.
 */
export function estimateDesignEffect(blocks: readonly Counts[], configured?: number): DesignEffect {
  const used = blocks.filter((block) => block.classified > 0 && Number.isFinite(block.harmful));
  const known = configured !== undefined && Number.isFinite(configured);
  const target = known ? Math.max(1, configured) : ASSUMED_DESIGN_EFFECT;
  const floor = known ? target : 1;

  const harmful = used.reduce((sum, block) => sum + block.harmful, 0);
  const classified = used.reduce((sum, block) => sum + block.classified, 0);
  const rate = harmful / classified;
  if (used.length < 2 || !(rate > 0 && rate < 1))
    return { value: target, observed: null, blocks: used.length };

  const chiSquare = used.reduce((sum, block) => {
    const excess = block.harmful - block.classified * rate;
    return sum + (excess * excess) / (block.classified * rate * (1 - rate));
  }, 0);
  const observed = chiSquare / (used.length - 1);
  // The variance of `observed` is about 2/(k-1) for k blocks, plus 1/harmful because rare events are skewed;
  // a chi-square over n degrees of freedom has 2/n.
  const freedom = 1 / (1 / (used.length - 1) + 1 / (2 * harmful));
  const shrunk = (ASSUMED_FREEDOM * target + freedom * observed) / (ASSUMED_FREEDOM + freedom);
  return { value: Math.max(floor, shrunk), observed, blocks: used.length };
}

/** Counts as if outputs were independent. */
export function deflate(counts: Counts, designEffect: number): Counts {
  return { harmful: counts.harmful / designEffect, classified: counts.classified / designEffect };
}
