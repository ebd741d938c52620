/**
 * The error rates and speeds that the comments in this folder state, computed exactly, where outputs are independent.
 * Where they come in clusters they are simulated: bench/verification.
 */
import { describe, expect, it } from 'vitest';
import { decide, logEvidence } from './sequential-test.ts';

/**
 * For each number of classified outputs: the most harm that is still `recovered`, the least that is
 * `not-recovered`.
 */
interface Limits {
  recoveredUpTo: Int32Array;
  notRecoveredFrom: Int32Array;
}

/**
 * Both limits grow with the number of outputs (logEvidence is monotone in harm), so that one walk finds them
 * all.
 */
function limitsOf(threshold: number, outputs: number): Limits {
  const limits = {
    recoveredUpTo: new Int32Array(outputs + 1),
    notRecoveredFrom: new Int32Array(outputs + 1),
  };
  let low = -1;
  let high = 0;
  for (let classified = 0; classified <= outputs; classified += 1) {
    const result = (harmful: number) => decide(logEvidence({ harmful, classified }, threshold), 0.99);
    while (low < classified && result(low + 1) === 'recovered') low += 1;
    while (high <= classified && result(high) !== 'not-recovered') high += 1;
    limits.recoveredUpTo[classified] = low;
    limits.notRecoveredFrom[classified] = high;
  }
  return limits;
}

interface Exact {
  recovered: number;
  notRecovered: number;
  /** Outputs by which half of all runs are decided. */
  median: number;
}

/**
 * The exact distribution of the decision when looking after each output: carries P(harm so far, undecided)
 * along.
 */
function exact(rate: number, { recoveredUpTo, notRecoveredFrom }: Limits): Exact {
  const seen: Exact = { recovered: 0, notRecovered: 0, median: Number.POSITIVE_INFINITY };
  let alive = [1];
  for (let classified = 1; classified < recoveredUpTo.length; classified += 1) {
    const next = new Array<number>(alive.length + 1).fill(0);
    alive.forEach((probability, harmful) => {
      next[harmful] = (next[harmful] ?? 0) + probability * (1 - rate);
      next[harmful + 1] = probability * rate;
    });
    for (const [harmful, probability] of next.entries()) {
      if (harmful <= (recoveredUpTo[classified] ?? -1)) seen.recovered += probability;
      else if (harmful >= (notRecoveredFrom[classified] ?? 0)) seen.notRecovered += probability;
      else continue;
      next[harmful] = 0;
    }
    while ((next.at(-1) ?? 1) < 1e-15) next.pop();
    alive = next;
    if (seen.median > classified && seen.recovered + seen.notRecovered >= 0.5) seen.median = classified;
  }
  return seen;
}

describe.each([
  { threshold: 0.01, outputs: 4_000 },
  { threshold: 0.05, outputs: 2_000 },
  { threshold: 0.001, outputs: 20_000 },
])('at a threshold of $threshold, alpha 1%, looking after each output', ({ threshold, outputs }) => {
  const limits = limitsOf(threshold, outputs);

  it('is wrong at most 1% of the time at the threshold itself', () => {
    const atThreshold = exact(threshold, limits);
    expect(atThreshold.recovered).toBeLessThanOrEqual(0.01);
    expect(atThreshold.recovered).toBeGreaterThan(0.005);
    expect(atThreshold.notRecovered).toBeLessThanOrEqual(0.01);
  });

  it('is wrong less often away from it', () => {
    expect(exact(threshold * 1.3, limits).recovered).toBeLessThan(0.003);
    expect(exact(threshold * 0.7, limits).notRecovered).toBeLessThan(0.003);
  });

  it('is decided after 5 outputs per 1/threshold when healthy, and 1.5 when five times too harmful', () => {
    const healthy = exact(threshold / 10, limits);
    expect(healthy.recovered).toBeGreaterThan(0.95);
    expect(healthy.median * threshold).toBeGreaterThan(4.5);
    expect(healthy.median * threshold).toBeLessThan(5.5);
    const harmful = exact(threshold * 5, limits);
    expect(harmful.notRecovered).toBeGreaterThan(0.95);
    expect(harmful.median * threshold).toBeLessThan(1.5);
  });
});
