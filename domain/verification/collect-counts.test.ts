import { describe, expect, it } from 'vitest';
import { collectCounts } from './collect-counts.ts';
import type { CountWindow, RawSeries } from './types.ts';

const window: CountWindow = { t0Ms: 0, untilMs: 600_000, podStartedAtMs: {} };

/** One pod's counter, scraped every 15 s from T0 on, `offset` seconds later than the others. */
function counter(pod: string, perScrape: number[], offset = 0): RawSeries {
  let value = 0;
  const values = [0, ...perScrape].map((amount, i): [number, string] => {
    value += amount;
    return [i * 15 + offset, String(value)];
  });
  return { metric: { pod }, values };
}

describe('collectCounts', () => {
  it('puts harm and its denominator into the block of their scrape, over all pods', () => {
    const counts = collectCounts(
      {
        harmful: [counter('a', [0, 2, 0]), counter('b', [1, 0, 0], 4)],
        classified: [counter('a', [10, 20, 30]), counter('b', [1, 2, 3], 4)],
        requests: [counter('a', [11, 21, 31])],
      },
      window,
    );
    expect(counts.blockMs).toBe(15_000);
    expect(counts.blocks).toEqual([
      { startMs: 15_000, harmful: 1, classified: 11, requests: 11 },
      { startMs: 30_000, harmful: 2, classified: 22, requests: 21 },
      { startMs: 45_000, harmful: 0, classified: 33, requests: 31 },
    ]);
    expect(counts).toMatchObject({ harmful: 3, classified: 66, requests: 63, problems: [] });
    expect(counts.liveSeries).toEqual({ harmful: 2, classified: 2, requests: 1 });
  });

  it('takes as newest the counter that is furthest behind', () => {
    const series = { harmful: [counter('a', [0])], classified: [counter('a', [5, 5, 5])] };
    expect(collectCounts(series, window).newestSampleMs).toBe(15_000);
    const ended = {
      ...series,
      harmful: [{ metric: { pod: 'a' }, values: [[-15, '3'] as [number, string]] }],
    };
    expect(collectCounts(ended, window).newestSampleMs).toBeNull();
  });

  it('tells an absent counter from one that stands still', () => {
    const series = { harmful: [], classified: [], requests: [counter('a', [0, 0])] };
    expect(collectCounts(series, window)).toMatchObject({ harmful: 0, classified: null, requests: 0 });
    expect(collectCounts({ harmful: [], classified: [] }, window)).toMatchObject({
      requests: null,
      newestSampleMs: null,
    });
  });

  it('does not lose the harm that creates its series', () => {
    const late: RawSeries = { metric: { pod: 'a', category: 'x' }, values: [[45, '2']] };
    expect(collectCounts({ harmful: [late], classified: [counter('a', [9, 9, 9])] }, window).harmful).toBe(2);
  });

  it('widens blocks so that a long verification stays small', () => {
    const series = { harmful: [], classified: [counter('a', new Array(2_000).fill(1))] };
    const counts = collectCounts(series, { ...window, untilMs: 30_000_000 });
    expect(counts.blocks.length).toBeLessThanOrEqual(241);
    expect(counts.blocks.length).toBeGreaterThan(120);
    expect(counts.blocks.reduce((sum, block) => sum + block.classified, 0)).toBe(2_000);
  });

  it('names the counter that has a problem', () => {
    const bad: RawSeries = { metric: { pod: 'a' }, values: [[15, 'NaN']] };
    const { problems } = collectCounts({ harmful: [bad], classified: [] }, window);
    expect(problems).toEqual([{ gate: 'not-a-number', detail: 'harmful: 1 samples are no counter values' }]);
  });
});
