import { describe, expect, it } from 'vitest';
import { clopperPearson } from './clopper-pearson.ts';

describe('clopperPearson', () => {
  // By sums of binomial terms in mpmath at 40 digits.
  it.each([
    [10, 100, 0.95, 0.0490046892215, 0.17622259774],
    [0, 20_000, 0.95, 0, 0.000184426963962],
    [200, 20_000, 0.95, 0.00866763901345, 0.0114775476262],
    [3, 3, 0.9, 0.368403149864, 1],
  ])('of %d in %d at %d', (hits, trials, confidence, low, high) => {
    const interval = clopperPearson(hits, trials, confidence);
    expect(interval[0]).toBeCloseTo(low, 11);
    expect(interval[1]).toBeCloseTo(high, 11);
  });
});
