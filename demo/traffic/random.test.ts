import { describe, expect, it } from 'vitest';
import { drawBinomial, seededRandom, spread } from './random.ts';

const DRAWS = 20_000;

describe('seeded random numbers', () => {
  it('repeat for the same seed and differ for another', () => {
    const sequence = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
    expect(sequence(7)).toEqual(sequence(7));
    expect(sequence(7)).not.toEqual(sequence(8));
  });
});

describe('binomial draws', () => {
  it.each([
    [30, 0.12],
    [30, 0.001],
    [600, 0.12],
    [5_000, 0.05],
    [50, 0.5],
    [40, 0.97],
  ])('of %i trials with probability %d have the mean and the variance of the distribution', (trials, p) => {
    const random = seededRandom(42);
    const draws = Array.from({ length: DRAWS }, () => drawBinomial(random, trials, p));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / DRAWS;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / (DRAWS - 1);
    const expectedVariance = trials * p * (1 - p);
    // Five standard errors of the mean; the seed is fixed, so this holds always or never.
    expect(Math.abs(mean - trials * p)).toBeLessThan(5 * Math.sqrt(expectedVariance / DRAWS));
    expect(variance / expectedVariance).toBeGreaterThan(0.9);
    expect(variance / expectedVariance).toBeLessThan(1.1);
    expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw <= trials)).toBe(true);
  });

  it('are certain at the ends', () => {
    const random = seededRandom(1);
    expect(drawBinomial(random, 10, 0)).toBe(0);
    expect(drawBinomial(random, 10, 1)).toBe(10);
    expect(drawBinomial(random, 0, 0.5)).toBe(0);
  });
});

describe('spreading', () => {
  it('loses and invents nothing, and is even in the long run', () => {
    const random = seededRandom(3);
    const sums = [0, 0, 0];
    for (let i = 0; i < 3_000; i += 1) {
      const shares = spread(random, 30, 3);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(30);
      for (const [index, share] of shares.entries()) sums[index] = (sums[index] ?? 0) + share;
    }
    for (const sum of sums) expect(sum / 30_000).toBeCloseTo(1, 1);
  });
});
