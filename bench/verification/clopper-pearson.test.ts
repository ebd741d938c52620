import { describe, expect, it } from 'vitest';
import { clopperPearson } from './clopper-pearson.ts';

describe('clopperPearson', () => {
  // R: binom.test(x, n, conf.level = level)$conf.int; also scipy.stats.beta.ppf.
  it.each([
    [10, 100, 0.95, 0.04900469, 0.1762226],
    [0, 20_000, 0.95, 0, 0.0001844269],
    [200, 20_000, 0.95, 0.008667312, 0.01147842],
    [3, 3, 0.9, 0.3684031, 1],
  ])('of %d in %d at %d', (hits, trials, confidence, low, high) => {
    const interval = clopperPearson(hits, trials, confidence);
    expect(interval[0]).toBeCloseTo(low, 6);
    expect(interval[1]).toBeCloseTo(high, 6);
  });
});
