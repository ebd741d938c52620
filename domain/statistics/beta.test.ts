import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logBetaTails, logGamma } from './beta.ts';

/** |actual - expected| relative to expected, absolute below 1. */
function error(actual: number, expected: number): number {
  return Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
}

describe('logGamma', () => {
  // mpmath.loggamma at 40 digits.
  it.each([
    [0.001, 6.907178885383853],
    [0.5, 0.5723649429247001],
    [1, 0],
    [1.5, -0.12078223763524522],
    [2, 0],
    [3, Math.LN2],
    [9.99, 12.779315214350193],
    [10, 12.80182748008147],
    [100.25, 360.28455963776423],
    [1e6, 12815504.56914761],
    [1e12, 26631021115915.652],
  ])('of %d', (x, expected) => {
    expect(error(logGamma(x), expected)).toBeLessThan(2e-15);
  });

  it('is NaN outside its domain', () => {
    expect([0, -1, Number.NaN].map(logGamma)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });
});

describe('logBetaTails', () => {
  // Sums of binomial terms, and quadrature for fractional parameters, in mpmath at 40 digits.
  it.each([
    [0.01, 1, 1000, -4.317217931578085e-5, -10.05033585350144],
    [0.01, 51, 10000, -1.633332977768936e-8, -17.93005805336307],
    [0.999, 2, 3, -3.997000007988005e-9, -19.337721757217224],
    [0.01, 1001, 1000, -3237.538526040459, 0],
    [0.001, 30, 100000, -5.627846649150796e-17, -37.41621968985887],
    [0.05, 3, 5000, 0, -246.10849898069125],
    [0.5, 1000, 1000, -Math.LN2, -Math.LN2],
    [0.01, 1, 40, -1.1055515857029992, -0.40201343414005763],
    [0.01, 1.5, 2000.5, -9.586953114842072e-9, -18.46286271815015],
    [0.3, 0.5, 0.5, -0.9969312110207781, -0.4604654539158712],
    [0.02, 7.3, 1234.5, -9.19126409171214e-6, -11.59726167589966],
    [0.001, 0.75, 12345.6, -1.846823627619607e-6, -13.20204427599097],
  ])('of I_%d(%d, %d)', (x, a, b, below, above) => {
    const tails = logBetaTails(x, a, b);
    expect(error(tails.below, below)).toBeLessThan(1e-12);
    expect(error(tails.above, above)).toBeLessThan(1e-12);
  });

  it('keeps the relative accuracy of tails far below the smallest double', () => {
    expect(error(logBetaTails(0.5, 5_000, 1).below, 5_000 * Math.log(0.5))).toBeLessThan(1e-12);
    expect(error(logBetaTails(0.01, 1, 500_000).above, 500_000 * Math.log1p(-0.01))).toBeLessThan(1e-12);
  });

  it('gives two probabilities that make one, and mirrors', () => {
    const parameter = fc.double({ min: 0.5, max: 1e7, noNaN: true });
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 0.999, noNaN: true }), parameter, parameter, (x, a, b) => {
        const { below, above } = logBetaTails(x, a, b);
        expect(Math.exp(below) + Math.exp(above)).toBeCloseTo(1, 12);
        // 1 - x is rounded, which large parameters magnify: compared only where that cannot show.
        if (Math.max(a, b) < 1e3) expect(error(logBetaTails(1 - x, b, a).above, below)).toBeLessThan(1e-9);
      }),
    );
  });

  it('converges wherever counts may lead, up to a billion', () => {
    for (const x of [1e-4, 1e-3, 0.01, 0.05, 0.5]) {
      for (const total of [1, 1e3, 1e6, 1e9]) {
        for (const near of [0, 0.5, 0.99, 1, 1.01, 2]) {
          const a = 1 + Math.min(near * x, 1) * total;
          const { below, above } = logBetaTails(x, a, 1 + total - (a - 1) + 0.4 / x);
          expect([x, total, near, Number.isNaN(below), Number.isNaN(above)]).toEqual([
            x,
            total,
            near,
            false,
            false,
          ]);
        }
      }
    }
  });

  it('gives NaN for bad parameters', () => {
    for (const bad of [logBetaTails(0.5, 0, 1), logBetaTails(2, 1, 1), logBetaTails(Number.NaN, 1, 1)]) {
      expect(bad).toEqual({ below: Number.NaN, above: Number.NaN });
    }
  });
});
