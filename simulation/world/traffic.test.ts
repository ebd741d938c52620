import { describe, expect, it } from 'vitest';
import { FALLBACK, Traffic } from './traffic.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;

function traffic(change: Partial<ConstructorParameters<typeof Traffic>[0]> = {}) {
  const made = new Traffic({
    startMs: START,
    requestsPerSecond: [{ atMs: START, value: 10 }],
    classified: [{ atMs: START, value: 0.5 }],
    fallbackHarmRate: [{ atMs: START, value: 0.01 }],
    ...change,
  });
  made.addRevision('bad', [{ atMs: START, value: 0.2 }]);
  made.addRevision('good', [{ atMs: START, value: 0 }]);
  made.setServing(START - 60 * MINUTE, 'bad');
  return made;
}

function between(one: Traffic, key: string, counter: 'requests' | 'classified' | 'harmful', fromMs: number) {
  return one.count(key, counter, fromMs + MINUTE) - one.count(key, counter, fromMs);
}

describe('traffic', () => {
  it('counts what arrives, what of it is classified and what of that is harmful', () => {
    const one = traffic();
    expect(between(one, 'bad', 'requests', START)).toBeCloseTo(600);
    expect(between(one, 'bad', 'classified', START)).toBeCloseTo(300);
    expect(between(one, 'bad', 'harmful', START)).toBeCloseTo(60);
    expect(between(one, 'good', 'requests', START)).toBe(0);
    expect(between(one, FALLBACK, 'requests', START)).toBe(0);
  });

  it('gives the target its share, and the fallback the rest', () => {
    const one = traffic();
    one.setShare(START + MINUTE, 0.1);
    expect(between(one, 'bad', 'requests', START)).toBeCloseTo(600);
    expect(between(one, 'bad', 'requests', START + MINUTE)).toBeCloseTo(60);
    expect(between(one, FALLBACK, 'requests', START + MINUTE)).toBeCloseTo(540);
    expect(between(one, FALLBACK, 'harmful', START + MINUTE)).toBeCloseTo(2.7);
  });

  it('counts for the revision that serves, and has no samples of one that is gone', () => {
    const one = traffic();
    one.setServing(START + MINUTE, 'good');
    expect(between(one, 'bad', 'requests', START + MINUTE)).toBe(0);
    expect(between(one, 'good', 'requests', START + MINUTE)).toBeCloseTo(600);
    const [bad, good] = one.series('requests', ['bad', 'good'], START, START + 2 * MINUTE);
    expect(bad?.values.map(([seconds]) => seconds * 1_000 - START)).toEqual([0, 15_000, 30_000, 45_000]);
    expect(good?.values[0]).toEqual([(START + MINUTE) / 1_000, '0']);
    expect(good?.values.at(-1)?.[1]).toBe('600');
  });

  it('follows values over time, and stops where nothing arrives any more', () => {
    const one = traffic({
      requestsPerSecond: [
        { atMs: START, value: 10 },
        { atMs: START + MINUTE, value: 0 },
      ],
    });
    expect(between(one, 'bad', 'requests', START)).toBeCloseTo(600);
    expect(between(one, 'bad', 'requests', START + MINUTE)).toBe(0);
  });

  it('replaces what was to come by what is set meanwhile: a rollout that something overtakes', () => {
    const one = traffic();
    one.setServing(START + 2 * MINUTE, 'good');
    one.setServing(START + MINUTE, 'bad');
    expect(one.servingAt(START + 3 * MINUTE)).toBe('bad');
  });

  it('shows whole numbers that only ever rise', () => {
    const one = traffic({ requestsPerSecond: [{ atMs: START, value: 0.37 }] });
    const [series] = one.series('harmful', ['bad'], START, START + 60 * MINUTE);
    const values = series?.values.map(([, value]) => Number(value)) ?? [];
    expect(values).toHaveLength(241);
    expect(values.every((value, index) => Number.isInteger(value) && value >= (values[index - 1] ?? 0))).toBe(
      true,
    );
  });
});
