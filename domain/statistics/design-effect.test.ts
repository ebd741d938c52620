import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ASSUMED_DESIGN_EFFECT, deflate, estimateDesignEffect } from './design-effect.ts';

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

  it('comes down to 1 when much harm shows no clustering', () => {
    expect(estimateDesignEffect(repeat(200, 5)).value).toBe(1);
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
