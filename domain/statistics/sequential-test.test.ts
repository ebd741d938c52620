import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Counts, confidenceSequence, decide, logEvidence } from './sequential-test.ts';

const needed = Math.log(100);
const threshold = fc.constantFrom(0.001, 0.01, 0.05, 0.3);
const counts = fc
  .tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([classified, share]): Counts => ({ classified, harmful: classified * share ** 4 }));

describe('logEvidence', () => {
  it('is no evidence before the first output', () => {
    const { recovered, notRecovered } = logEvidence({ harmful: 0, classified: 0 }, 0.01);
    expect(recovered).toBeCloseTo(0, 12);
    expect(notRecovered).toBeCloseTo(0, 12);
  });

  it('needs 499 outputs without harm at 1%, and as many times as the threshold is smaller', () => {
    const first = (t: number): number => {
      let classified = 0;
      while (decide(logEvidence({ harmful: 0, classified }, t), 0.99) !== 'recovered') classified += 1;
      return classified;
    };
    expect(first(0.01)).toBe(499);
    expect(first(0.05)).toBeGreaterThan(90);
    expect(first(0.05)).toBeLessThan(100);
    expect(first(0.001)).toBeGreaterThan(4_950);
    expect(first(0.001)).toBeLessThan(5_050);
  });

  it('equals the likelihood ratio that its definition integrates', () => {
    // Midpoint rule over q = t u^2, which takes the pole of Beta(0.5, 4/t) at 0 away; divided by the mass
    // below t.
    const [t, harmful, classified, steps] = [0.01, 2, 600, 20_000];
    let sum = 0;
    let mass = 0;
    for (let i = 0; i < steps; i += 1) {
      const q = ((i + 0.5) / steps) ** 2 * t;
      const weight = (1 - q) ** (4 / t - 1);
      mass += weight;
      sum += weight * (q / t) ** harmful * ((1 - q) / (1 - t)) ** (classified - harmful);
    }
    expect(logEvidence({ harmful, classified }, t).recovered).toBeCloseTo(Math.log(sum / mass), 6);
  });

  // Numerical quadrature of the definition in mpmath at 40 digits.
  it.each([
    [0, 499, 0.01, 4.614611671650025, -2.600836116795061],
    [0, 333.25, 0.01, 3.0505956269937005, -2.2333689823053633],
    [2, 600, 0.01, 0.6653060185057148, -2.463600088168641],
    [4.7, 212.5, 0.01, -4.058763631146296, 0.5723269948172454],
    [5, 100, 0.01, -4.540694516511859, 3.314727719524838],
    [1, 12_000, 0.001, 7.850838592173461, -3.35642295137638],
    [300, 5_000, 0.05, -7.908409071111753, 2.2381680426504484],
    [90_000, 1e7, 0.01, 514.2782143927196, -10.12755988022921],
    [9e6, 1e9, 0.01, 52249.612801372765, -14.73181059961503],
    [1e7, 1e9, 0.01, -11.722326003166106, -8.744455285584667],
    [1.001e7, 1e9, 0.01, -13.186928774008223, -3.003177077503144],
    [0, 1e9, 0.01, 10050328.49188622, -17.034386422832473],
    [2e7, 1e9, 0.01, -20.013161878357376, 3913611.4706413005],
  ])('of %d in %d at %d is what high precision gives', (harmful, classified, t, recovered, notRecovered) => {
    const evidence = logEvidence({ harmful, classified }, t);
    // It is a difference of terms as large as the counts, each of which has a double's sixteen digits.
    const accuracy = 1e-11 + classified * 1e-14;
    expect(Math.abs(evidence.recovered - recovered)).toBeLessThan(accuracy);
    expect(Math.abs(evidence.notRecovered - notRecovered)).toBeLessThan(accuracy);
  });

  it('is a number for up to a billion outputs, however harmful', () => {
    const share = fc.oneof(
      fc.constantFrom(0, 0.5, 0.999, 1, 1.001, 2),
      fc.double({ min: 0, max: 3, noNaN: true }),
    );
    const exponent = fc.double({ min: 0, max: 9, noNaN: true });
    fc.assert(
      fc.property(threshold, exponent, share, (t, tens, ofThreshold) => {
        const classified = 10 ** tens;
        const harmful = Math.min(classified, classified * t * ofThreshold);
        const evidence = logEvidence({ harmful, classified }, t);
        expect([t, tens, ofThreshold, ...Object.values(evidence).map(Number.isFinite)]).toEqual([
          t,
          tens,
          ofThreshold,
          true,
          true,
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it('is a martingale at the threshold, and sinks away from it on the wrong side', () => {
    // What one more output is expected to make of the e-value, when outputs are harmful with probability `rate`.
    const expectation = (seen: Counts, t: number, rate: number, side: 'recovered' | 'notRecovered') => {
      const now = logEvidence(seen, t)[side];
      const after = (harm: number) =>
        logEvidence({ harmful: seen.harmful + harm, classified: seen.classified + 1 }, t)[side];
      return rate * Math.exp(after(1) - now) + (1 - rate) * Math.exp(after(0) - now);
    };
    const away = fc.double({ min: 0, max: 1, noNaN: true });
    // Beyond a hundred thousand outputs the difference of one is lost in the rounding.
    const few = counts.filter(({ classified }) => classified < 1e5);
    fc.assert(
      fc.property(few, threshold, away, (seen, t, share) => {
        const [above, below] = [t + share * (1 - t), t * (1 - share)];
        for (const side of ['recovered', 'notRecovered'] as const) {
          expect(expectation(seen, t, t, side)).toBeCloseTo(1, 7);
        }
        expect(expectation(seen, t, above, 'recovered')).toBeLessThanOrEqual(1 + 1e-7);
        expect(expectation(seen, t, below, 'notRecovered')).toBeLessThanOrEqual(1 + 1e-7);
      }),
    );
  });

  it('grows with outputs that are not harmful, on the side of recovery, and falls on the other', () => {
    fc.assert(
      fc.property(counts, threshold, fc.double({ min: 0, max: 1e4, noNaN: true }), (seen, t, more) => {
        const before = logEvidence(seen, t);
        const after = logEvidence({ ...seen, classified: seen.classified + more }, t);
        expect(after.recovered).toBeGreaterThanOrEqual(before.recovered - 1e-6);
        expect(after.notRecovered).toBeLessThanOrEqual(before.notRecovered + 1e-6);
      }),
    );
  });

  it('never proves both sides', () => {
    fc.assert(
      fc.property(counts, threshold, (seen, t) => {
        const { recovered, notRecovered } = logEvidence(seen, t);
        expect(Math.min(recovered, notRecovered)).toBeLessThanOrEqual(1e-6);
      }),
    );
  });

  it('falls with more harm, on the side of recovery, and rises on the other', () => {
    fc.assert(
      fc.property(counts, threshold, fc.double({ min: 0, max: 50, noNaN: true }), (seen, t, more) => {
        fc.pre(seen.harmful + more <= seen.classified);
        const before = logEvidence(seen, t);
        const after = logEvidence({ ...seen, harmful: seen.harmful + more }, t);
        expect(after.recovered).toBeLessThanOrEqual(before.recovered + 1e-6);
        expect(after.notRecovered).toBeGreaterThanOrEqual(before.notRecovered - 1e-6);
      }),
    );
  });

  it('shrinks at least as Jensen says when counts are deflated', () => {
    fc.assert(
      fc.property(counts, threshold, fc.double({ min: 1, max: 20, noNaN: true }), (seen, t, by) => {
        const whole = logEvidence(seen, t);
        const part = logEvidence({ harmful: seen.harmful / by, classified: seen.classified / by }, t);
        expect(part.recovered).toBeLessThanOrEqual(whole.recovered / by + 1e-6);
        expect(part.notRecovered).toBeLessThanOrEqual(whole.notRecovered / by + 1e-6);
      }),
    );
  });

  it.each([
    [{ harmful: 2, classified: 1 }, 0.01],
    [{ harmful: Number.NaN, classified: 1_000 }, 0.01],
    [{ harmful: 0, classified: Number.POSITIVE_INFINITY }, 0.01],
    [{ harmful: -1, classified: 1_000 }, 0.01],
    [{ harmful: 0, classified: 1_000 }, 0],
    [{ harmful: 0, classified: 1_000 }, Number.NaN],
  ])('decides nothing on %j at %d', (seen, t) => {
    expect(decide(logEvidence(seen, t), 0.99)).toBe('undecided');
  });

  it.each([0, 1, Number.NaN])('decides nothing at a confidence of %d', (confidence) => {
    expect(decide(logEvidence({ harmful: 0, classified: 1e5 }, 0.01), confidence)).toBe('undecided');
  });
});

describe('confidenceSequence', () => {
  it('knows nothing before the first output', () => {
    expect(confidenceSequence({ harmful: 0, classified: 0 }, 0.99)).toEqual([0, 1]);
    expect(confidenceSequence({ harmful: Number.NaN, classified: 5 }, 0.99)).toEqual([0, 1]);
  });

  it('holds the observed rate, and lies within [0, 1]', () => {
    fc.assert(
      fc.property(counts, (seen) => {
        fc.pre(seen.classified > 0);
        const [lower, upper] = confidenceSequence(seen, 0.99);
        expect(lower).toBeGreaterThanOrEqual(0);
        expect(lower).toBeLessThanOrEqual(seen.harmful / seen.classified);
        expect(upper).toBeGreaterThanOrEqual(seen.harmful / seen.classified);
        expect(upper).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('agrees with the test', () => {
    fc.assert(
      fc.property(counts, threshold, (seen, t) => {
        const evidence = logEvidence(seen, t);
        // A hair's breadth from the decision, rounding may tell them apart.
        fc.pre(
          Math.abs(evidence.recovered - needed) > 1e-6 && Math.abs(evidence.notRecovered - needed) > 1e-6,
        );
        const [lower, upper] = confidenceSequence(seen, 0.99);
        const result = decide(evidence, 0.99);
        expect([seen, t, upper < t]).toEqual([seen, t, result === 'recovered']);
        expect([seen, t, lower > t]).toEqual([seen, t, result === 'not-recovered']);
      }),
    );
  });

  it('narrows around the rate', () => {
    const [lower, upper] = confidenceSequence({ harmful: 1e4, classified: 1e6 }, 0.99);
    expect(lower).toBeGreaterThan(0.0095);
    expect(upper).toBeLessThan(0.0106);
  });
});
