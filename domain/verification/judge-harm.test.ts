import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorEvidence, isProvedAbove, judgeHarm } from './judge-harm.ts';
import type { CollectedCounts } from './types.ts';

const AT_MS = 300_000;
const LIMITS = { harmRate: 0.02, errorRate: 0.05, minExposure: 100 };

function counts(harmful: number, classified: number | null, more: Partial<CollectedCounts> = {}) {
  return {
    t0Ms: 0,
    harmful,
    classified,
    requests: classified,
    blocks: [],
    blockMs: 15_000,
    newestSampleMs: AT_MS,
    newestClassifiedIncrementMs: AT_MS,
    newestRequestIncrementMs: AT_MS,
    liveSeries: { harmful: 1, classified: 1, requests: 1 },
    problems: [],
    ...more,
  } satisfies CollectedCounts;
}

function look(given: CollectedCounts | null, errors?: ErrorEvidence, limits = LIMITS) {
  return judgeHarm({ counts: given, problems: [], atMs: AT_MS, maxSampleAgeMs: 60_000, errors }, limits);
}

/** P(X >= k) for X ~ Binomial(n, p), by its recurrence. */
function upperTail(k: number, n: number, p: number): number {
  let term = (1 - p) ** n;
  let below = 0;
  for (let i = 0; i < k; i += 1) {
    below += term;
    term *= ((n - i) / (i + 1)) * (p / (1 - p));
  }
  return 1 - below;
}

describe('isProvedAbove', () => {
  it('agrees with the binomial distribution itself', () => {
    const share = fc.integer({ min: 1, max: 400 }).map((permille) => permille / 1_000);
    fc.assert(
      fc.property(share, fc.integer({ min: 1, max: 300 }), fc.nat(300), (limit, whole, wanted) => {
        const part = Math.min(wanted, whole);
        const tail = upperTail(part, whole, limit);
        // Sums of doubles cannot tell what is nearer to the limit than this.
        fc.pre(Math.abs(tail - 0.001) > 1e-9);
        expect(isProvedAbove(limit, part, whole)).toBe(part > 0 && tail < 0.001);
      }),
      { numRuns: 500 },
    );
  });

  it('is not proved by nothing, by impossible counts, or by what is no number', () => {
    for (const [part, whole] of [
      [0, 1_000],
      [0, 0],
      [5, 4],
      [Number.NaN, 10],
      [10, Number.NaN],
      [10, Number.POSITIVE_INFINITY],
    ] as const)
      expect(isProvedAbove(0.02, part, whole)).toBe(false);
  });

  it('takes any harm as proof where none is allowed, and nothing where all is', () => {
    expect(isProvedAbove(0, 1, 1_000)).toBe(true);
    expect(isProvedAbove(1, 1_000, 1_000)).toBe(false);
  });
});

describe('judgeHarm', () => {
  it('tells harm above the limit from harm that may be chance', () => {
    expect(look(counts(12, 200))).toMatchObject({
      verdict: 'exceeded',
      harmful: 12,
      classified: 200,
      harmRate: 0.06,
      reasons: ['12 harmful of 200 classified (6%), limit 2%'],
    });
    // 8 of 200 are 4%, twice the limit, and come by chance once in twenty such windows at 2%.
    expect(look(counts(8, 200))).toMatchObject({ verdict: 'within', reasons: [] });
  });

  it('takes harmful outputs that were scraped before their classification as all of them', () => {
    expect(look(counts(120, 118))).toMatchObject({ verdict: 'exceeded', harmRate: 1 });
  });

  it.each<[string, CollectedCounts | null, RegExp]>([
    ['no counts', null, /classified could not be counted/],
    ['no classified series', counts(0, null), /no series of classified/],
    ['too few outputs, all harmful', counts(99, 99), /99 classified, 100 needed/],
    ['no traffic', counts(0, 0), /0 classified/],
    [
      'no harmful series',
      counts(0, 500, { liveSeries: { harmful: 0, classified: 1, requests: 1 } }),
      /no current series of harmful: expose it at zero/,
    ],
    ['old samples', counts(0, 500, { newestSampleMs: AT_MS - 61_000 }), /no current samples/],
    ['samples of the future', counts(0, 500, { newestSampleMs: AT_MS + 61_000 }), /no current samples/],
    [
      'a classifier that fell silent',
      counts(0, 500, { newestClassifiedIncrementMs: AT_MS - 61_000 }),
      /nothing is classified any more/,
    ],
    [
      'duplicates, whatever they say',
      counts(400, 500, { problems: [{ gate: 'duplicate-series', detail: '2 series' }] }),
      /duplicate-series: 2 series/,
    ],
  ])('calls %s unknown', (_, given, reason) => {
    const { verdict, reasons } = look(given);
    expect(verdict).toBe('unknown');
    expect(reasons.join()).toMatch(reason);
  });

  it('calls harm that was counted harm, whether or not somebody still counts', () => {
    expect(look(counts(100, 500, { newestSampleMs: AT_MS - 120_000 })).verdict).toBe('exceeded');
  });

  it('judges errors by counts, by a rate, or not at all', () => {
    const healthy = counts(0, 500);
    const errors = (given: CollectedCounts | null) => ({ counts: given, problems: [] });
    expect(look(healthy, errors(counts(60, 500)))).toMatchObject({
      verdict: 'exceeded',
      reasons: ['60 errors of 500 requests (12%), limit 5%'],
    });
    expect(look(healthy, errors(counts(30, 500))).verdict).toBe('within');
    expect(look(healthy, { rate: 0.051 }).verdict).toBe('exceeded');
    expect(look(healthy, { rate: 0.05 }).verdict).toBe('within');
    expect(look(healthy, { rate: Number.NaN }).verdict).toBe('unknown');
    expect(look(healthy, { unknown: 'no series' })).toMatchObject({
      verdict: 'unknown',
      reasons: ['error rate: no series'],
    });
    const { errorRate: _none, ...harmOnly } = LIMITS;
    expect(judgeHarm({ ...evidence(healthy), errors: { rate: 1 } }, harmOnly).verdict).toBe('within');
  });

  it('is exceeded by errors alone: a dead workload has nothing to classify', () => {
    const { verdict, reasons } = look(counts(0, 0), { counts: counts(300, 300), problems: [] });
    expect(verdict).toBe('exceeded');
    expect(reasons).toHaveLength(2);
  });

  it('keeps what it says plain JSON', () => {
    const said = look(counts(Number.NaN, Number.NaN));
    expect(JSON.parse(JSON.stringify(said))).toEqual(said);
    expect(said).toMatchObject({ harmful: null, classified: null, harmRate: null, verdict: 'unknown' });
  });
});

function evidence(given: CollectedCounts) {
  return { counts: given, problems: [], atMs: AT_MS, maxSampleAgeMs: 60_000 };
}
