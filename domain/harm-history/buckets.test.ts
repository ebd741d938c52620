import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawSeries } from '../verification/types.ts';
import { bucketIncrements, historyGrid } from './buckets.ts';
import { MAX_BUCKETS } from './history.ts';

const T0 = Date.UTC(2026, 2, 1, 10);
const GRID = { startMs: T0, stepMs: 30_000, count: 4 };

/** Samples at the edges of the buckets, as the range API gives them. */
function series(pod: string, ...values: (number | undefined)[]): RawSeries {
  return {
    metric: { pod },
    values: values.flatMap((value, index): RawSeries['values'] =>
      value === undefined ? [] : [[(T0 + index * GRID.stepMs) / 1_000, String(value)]],
    ),
  };
}

describe('historyGrid', () => {
  it('makes buckets of whole seconds that end with the range and hold two scrapes', () => {
    const grid = historyGrid({ fromMs: T0, toMs: T0 + 3_600_000, scrapeIntervalMs: 15_000 });
    expect(grid).toEqual({ startMs: T0, stepMs: 30_000, count: 120 });
  });

  it('makes them wider instead of more', () => {
    const grid = historyGrid({ fromMs: T0, toMs: T0 + 86_400_000, scrapeIntervalMs: 15_000 });
    expect(grid).toEqual({ startMs: T0, stepMs: 360_000, count: MAX_BUCKETS });
  });

  it('covers every range, with at most 240 buckets', () => {
    const range = fc.record({
      fromMs: fc.integer({ min: 0, max: 2e12 }),
      spanMs: fc.integer({ min: 1, max: 1e10 }),
      scrapeIntervalMs: fc.integer({ min: 0, max: 600_000 }),
    });
    fc.assert(
      fc.property(range, ({ fromMs, spanMs, scrapeIntervalMs }) => {
        const toMs = fromMs + spanMs;
        const { startMs, stepMs, count } = historyGrid({ fromMs, toMs, scrapeIntervalMs });
        expect(count).toBeGreaterThanOrEqual(1);
        expect(count).toBeLessThanOrEqual(MAX_BUCKETS);
        expect(startMs).toBeLessThanOrEqual(fromMs);
        expect(startMs + count * stepMs).toBe(toMs);
        expect(stepMs).toBeGreaterThanOrEqual(2 * scrapeIntervalMs);
      }),
    );
  });

  it('is empty for a range that is none', () => {
    for (const toMs of [T0, T0 - 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(historyGrid({ fromMs: T0, toMs, scrapeIntervalMs: 15_000 }).count).toBe(0);
    }
  });
});

describe('bucketIncrements', () => {
  const counts = (harmful: RawSeries[], classified: RawSeries[]) =>
    bucketIncrements({ harmful, classified }, GRID).points.map((point) => [point.harmful, point.classified]);

  it('puts what a counter rose by into the bucket in which it rose, over all pods', () => {
    expect(
      counts(
        [series('a', 0, 1, 1, 5, 5), series('b', 3, 3, 4, 4, 4)],
        [series('a', 100, 110, 110, 130, 130), series('b', 50, 55, 65, 65, 65)],
      ),
    ).toEqual([
      [1, 15],
      [1, 10],
      [4, 20],
      [0, 0],
    ]);
  });

  it('counts on after a restart, and never goes below zero', () => {
    expect(counts([series('a', 9, 2, 3, 3, 3)], [series('a', 90, 20, 30, 31, 31)])).toEqual([
      [2, 20],
      [1, 10],
      [0, 1],
      [0, 0],
    ]);
  });

  it('takes nothing of what a pod had served before it was seen first', () => {
    const found = counts([], [series('old', 10, 20), series('new', undefined, undefined, 700, 705, 710)]);
    expect(found).toEqual([
      [0, 10],
      [0, 0],
      [0, 5],
      [0, 5],
    ]);
  });

  it('has a bucket for every step, and says what is wrong with samples', () => {
    const { points, problems } = bucketIncrements(
      { harmful: [], classified: [series('a', 1, Number.NaN, 3)] },
      GRID,
    );
    expect(points.map(({ atMs }) => atMs)).toEqual([T0, T0 + 30_000, T0 + 60_000, T0 + 90_000]);
    expect(problems).toEqual(['1 samples are no counter values']);
  });
});
