/**
 * The error rates and speeds that the comments in this folder state: computed exactly where outputs are
 * independent, by seeded simulation where they come in clusters.
 */
import { describe, expect, it } from 'vitest';
import { deflate, estimateDesignEffect } from './design-effect.ts';
import { type Counts, decide, logEvidence, type TestResult } from './sequential-test.ts';

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

/** mulberry32: a small generator with a seed, good enough for coin tosses. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
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

it('holds alpha in simulated runs: 3,000 of 3,000 outputs at the threshold', () => {
  const { recoveredUpTo, notRecoveredFrom } = limitsOf(0.01, 3_000);
  const next = random(42);
  const wrong = { recovered: 0, notRecovered: 0 };
  for (let run = 0; run < 3_000; run += 1) {
    let harmful = 0;
    for (let classified = 1; classified <= 3_000; classified += 1) {
      if (next() < 0.01) harmful += 1;
      if (harmful <= (recoveredUpTo[classified] ?? -1)) wrong.recovered += 1;
      else if (harmful >= (notRecoveredFrom[classified] ?? 0)) wrong.notRecovered += 1;
      else continue;
      break;
    }
  }
  // alpha = 30 runs, and three standard deviations of chance.
  expect(wrong.recovered).toBeLessThanOrEqual(30 + 3 * Math.sqrt(30));
  expect(wrong.notRecovered).toBeLessThanOrEqual(30 + 3 * Math.sqrt(30));
});

interface Clusters {
  size: number;
  correlation: number;
  inBlock: number;
}

/**
 * Harm in one cluster, beta-binomial by Polya's urn: the rate holds on average, the correlation within the
 * cluster.
 */
function harmInCluster(next: () => number, rate: number, { size, correlation }: Clusters): number {
  const urn = (1 - correlation) / correlation;
  let harmful = 0;
  for (let i = 0; i < size; i += 1) {
    if (next() < (rate * urn + harmful) / (urn + i)) harmful += 1;
  }
  return harmful;
}

type Deflation = number | 'estimated';

/** One verification: looks after each block from the sixth on, up to 5,000 outputs. */
function verifyClustered(next: () => number, rate: number, clusters: Clusters, by: Deflation) {
  const blocks: Counts[] = [];
  const total = { harmful: 0, classified: 0 };
  let result: TestResult = 'undecided';
  while (result === 'undecided' && total.classified < 5_000) {
    const block = { harmful: 0, classified: clusters.size * clusters.inBlock };
    for (let i = 0; i < clusters.inBlock; i += 1) block.harmful += harmInCluster(next, rate, clusters);
    blocks.push(block);
    total.harmful += block.harmful;
    total.classified += block.classified;
    if (blocks.length < 6) continue;
    const designEffect = by === 'estimated' ? estimateDesignEffect(blocks).value : by;
    result = decide(logEvidence(deflate(total, designEffect), 0.01), 0.99);
  }
  return { result, classified: total.classified };
}

function share(rate: number, clusters: Clusters, by: Deflation, wanted: TestResult, runs: number): number {
  const next = random(7);
  let hits = 0;
  for (let run = 0; run < runs; run += 1) {
    if (verifyClustered(next, rate, clusters, by).result === wanted) hits += 1;
  }
  return hits / runs;
}

describe('harm in clusters of 10 with correlation 0.1, at a rate equal to the threshold', () => {
  const clusters = { size: 10, correlation: 0.1, inBlock: 5 };

  it('breaks a test that takes outputs for independent', () => {
    expect(share(0.01, clusters, 1, 'recovered', 800)).toBeGreaterThan(0.025);
    expect(share(0.01, clusters, 1, 'not-recovered', 800)).toBeGreaterThan(0.025);
  });

  it('does not break the estimate', () => {
    // 1%, and three standard deviations of chance.
    expect(share(0.01, clusters, 'estimated', 'recovered', 800)).toBeLessThanOrEqual(0.0206);
    expect(share(0.01, clusters, 'estimated', 'not-recovered', 800)).toBeLessThanOrEqual(0.0206);
  });

  it('costs a healthy target twice the outputs', () => {
    const next = random(11);
    const outputs = Array.from({ length: 200 }, () => verifyClustered(next, 0.001, clusters, 'estimated'));
    const sorted = outputs.map((one) => one.classified).sort((a, b) => a - b);
    expect(outputs.filter((one) => one.result === 'not-recovered')).toEqual([]);
    expect(sorted[100]).toBeLessThanOrEqual(1_300);
  });
});

it('needs a configured design effect for heavier clusters, and holds with it', () => {
  const clusters = { size: 10, correlation: 0.3, inBlock: 5 };
  expect(share(0.01, clusters, 3.7, 'recovered', 600)).toBeLessThanOrEqual(0.0222);
  expect(share(0.01, clusters, 'estimated', 'recovered', 600)).toBeLessThan(
    share(0.01, clusters, 1, 'recovered', 600) / 2,
  );
});
