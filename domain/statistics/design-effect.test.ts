import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ASSUMED_DESIGN_EFFECT, deflate, estimateDesignEffect } from './design-effect.ts';
import { logEvidence } from './sequential-test.ts';

const block = (harmful: number, classified = 100) => ({ harmful, classified });
const repeat = (times: number, harmful: number) => Array.from({ length: times }, () => block(harmful));

describe('estimateDesignEffect', () => {
  it('assumes clustering where no harm was seen, however many blocks', () => {
    for (const blocks of [[], [block(0)], repeat(500, 0), repeat(500, 100)]) {
      expect(estimateDesignEffect(blocks)).toEqual({
        value: ASSUMED_DESIGN_EFFECT,
        observed: null,
        blocks: blocks.length,
      });
    }
  });

  it('is Pearson chi-square over its degrees of freedom', () => {
    // Rate 5%: (10 - 5)^2 and (0 - 5)^2 over 100 * 0.05 * 0.95, one degree of freedom.
    expect(estimateDesignEffect([block(10), block(0)]).observed).toBeCloseTo(50 / 4.75, 10);
  });

  it('stays at the assumption when harm shows no clustering: a few such outputs would be chance', () => {
    expect(estimateDesignEffect(repeat(200, 5)).value).toBe(ASSUMED_DESIGN_EFFECT);
    expect(estimateDesignEffect(repeat(200, 5), 1).value).toBe(1);
  });

  it('sees clusters that last longer than a block', () => {
    // Alternating pairs of blocks: each looks like its neighbour, the pairs do not look like each other.
    const pairs = Array.from({ length: 200 }, (_, i) => block(i % 4 < 2 ? 8 : 0));
    const singles = Array.from({ length: 200 }, (_, i) => block(i % 2 === 0 ? 8 : 0));
    expect(estimateDesignEffect(pairs).value).toBeGreaterThan(estimateDesignEffect(singles).value * 1.8);
  });

  it('goes up to what much harm shows', () => {
    const clustered = Array.from({ length: 200 }, (_, i) => block(i % 10 === 0 ? 50 : 0));
    const { value, observed } = estimateDesignEffect(clustered);
    expect(observed).toBeGreaterThan(20);
    expect(value).toBeGreaterThan((observed ?? 0) * 0.85);
  });

  it('is never below 1, nor below what is configured, and always a number', () => {
    const anyBlock = fc.record({ harmful: fc.nat(60), classified: fc.nat(50) });
    const configured = fc.option(fc.double({ min: -5, max: 20 }), { nil: undefined });
    fc.assert(
      fc.property(fc.array(anyBlock), configured, (blocks, known) => {
        const { value } = estimateDesignEffect(blocks, known);
        expect(Number.isFinite(value)).toBe(true);
        expect(value).toBeGreaterThanOrEqual(Number.isFinite(known ?? 1) ? Math.max(1, known ?? 1) : 1);
      }),
    );
  });

  it('takes a configured value in place of its assumption', () => {
    expect(estimateDesignEffect(repeat(500, 0), 1).value).toBe(1);
    expect(estimateDesignEffect(repeat(500, 0), 6).value).toBe(6);
    expect(estimateDesignEffect(repeat(500, 5), 6).value).toBe(6);
  });
});

it('deflates both counts', () => {
  expect(deflate({ harmful: 3, classified: 900 }, 2)).toEqual({ harmful: 1.5, classified: 450 });
});

it('keeps the test valid for clusters of any shape, when it is at least their size', () => {
  // The e-value of the counts so far, over that of one cluster more, in expectation over the cluster.
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  const clusters = fc.array(chance, { minLength: 2, maxLength: 12 });
  const seen = fc.tuple(fc.nat(2_000), fc.double({ min: 0, max: 0.2, noNaN: true }));
  fc.assert(
    fc.property(clusters, seen, ([...weights], [outputs, harm]) => {
      const size = weights.length - 1;
      const all = weights.reduce((sum, weight) => sum + weight, 0);
      const threshold = weights.reduce((sum, weight, harmful) => sum + weight * harmful, 0) / all / size;
      fc.pre(threshold > 1e-4 && threshold < 0.9);
      const counts = { harmful: Math.floor(outputs * harm), classified: outputs };
      const now = logEvidence(deflate(counts, size), threshold);
      for (const side of ['recovered', 'notRecovered'] as const) {
        let expected = 0;
        for (const [harmful, weight] of weights.entries()) {
          const next = { harmful: counts.harmful + harmful, classified: outputs + size };
          const evidence = logEvidence(deflate(next, size), threshold)[side];
          expected += (weight / all) * Math.exp(evidence - now[side]);
        }
        expect(expected).toBeLessThanOrEqual(1 + 1e-7);
      }
    }),
    { numRuns: 300 },
  );
});
