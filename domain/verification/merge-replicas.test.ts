import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectCounts } from './collect-counts.ts';
import { mergeReplicas } from './merge-replicas.ts';
import type { CountWindow, RawSeries } from './types.ts';

const LABELS = ['prometheus_replica'];
const window: CountWindow = { t0Ms: 0, untilMs: 600_000, podStartedAtMs: {}, replicaLabels: LABELS };

/** One replica's samples of a counter, from `seconds: value` pairs. */
function copy(
  replica: string,
  samples: Record<number, number>,
  labels: Record<string, string> = {},
): RawSeries {
  return {
    metric: { pod: 'llm-1', prometheus_replica: replica, ...labels },
    values: Object.entries(samples).map(([s, value]) => [Number(s), String(value)]),
  };
}

const merged = (classified: RawSeries[], harmful: RawSeries[] = []) =>
  mergeReplicas({ harmful, classified }, LABELS);

describe('mergeReplicas', () => {
  it('changes nothing where no labels are configured', () => {
    const given = { harmful: [], classified: [copy('a', { 0: 1 }), copy('b', { 3: 1 })] };
    expect(mergeReplicas(given, [])).toBe(given);
  });

  it('follows one replica as long as it scrapes', () => {
    const { classified } = merged([copy('a', { 0: 1, 15: 2, 30: 3 }), copy('b', { 7: 1, 22: 2, 37: 3 })]);
    expect(classified).toEqual([
      {
        metric: { pod: 'llm-1' },
        values: [
          [0, '1'],
          [15, '2'],
          [30, '3'],
        ],
      },
    ]);
  });

  it('goes on with another one where it stops, for all counters of the process at once', () => {
    const { classified, harmful } = merged(
      [copy('a', { 0: 1, 15: 2 }), copy('b', { 7: 1, 22: 2, 37: 9, 52: 12 })],
      [copy('b', { 37: 1, 52: 2 }, { category: 'x' }), copy('a', { 15: 1 }, { category: 'x' })],
    );
    expect(classified[0]?.values).toEqual([
      [0, '1'],
      [15, '2'],
      [52, '12'],
    ]);
    expect(harmful[0]?.values).toEqual([
      [15, '1'],
      [52, '2'],
    ]);
  });

  it('never reads clocks that differ as a restart', () => {
    // Both see 10 outputs a second; the clock of b is 4 s ahead, so that its samples show less than those of a.
    const at = (s: number, skew: number): [string, number] => [String(s), 10 * (s - skew)];
    const a = Object.fromEntries([0, 15, 30, 45, 60].map((s) => at(s, 0)));
    const b = Object.fromEntries([17, 32, 47, 62, 77, 92].map((s) => at(s, 4)));
    const counts = collectCounts({ harmful: [], classified: [copy('a', a), copy('b', b)] }, window);
    expect(counts.classified).toBe(10 * (92 - 4));
    expect(counts.problems).toEqual([]);
  });

  it('keeps processes apart', () => {
    const pods = ['llm-1', 'llm-2'].flatMap((pod) => [
      copy('a', { 0: 1, 15: 2 }, { pod }),
      copy('b', { 7: 1 }, { pod }),
    ]);
    expect(merged(pods).classified.map(({ metric }) => metric)).toEqual([{ pod: 'llm-1' }, { pod: 'llm-2' }]);
  });

  it('never counts more than any one of them saw in all, and never less as time goes on', () => {
    const scrapes = fc.array(fc.boolean(), { minLength: 30, maxLength: 30 });
    fc.assert(
      fc.property(
        scrapes,
        scrapes,
        fc.integer({ min: 10, max: 29 }),
        fc.nat(14),
        (inA, inB, until, offset) => {
          /** A counter that rises by one a second, scraped every 15 s where the flag is set, and at first. */
          const samples = (flags: boolean[], shift: number) =>
            Object.fromEntries(
              flags.flatMap((up, i) => (up || i < 10 ? [[i * 15 + shift, i * 15 + shift]] : [])),
            );
          const copies = [copy('a', samples(inA, 0)), copy('b', samples(inB, offset))];
          const count = (untilMs: number) => {
            const classified = copies.map(({ metric, values }) => ({
              metric,
              values: values.filter(([s]) => s * 1_000 <= untilMs),
            }));
            return collectCounts({ harmful: [], classified }, { ...window, untilMs }).classified ?? 0;
          };
          const now = count(until * 15_000);
          expect(now).toBeLessThanOrEqual(until * 15);
          expect(count(until * 15_000 + 15_000)).toBeGreaterThanOrEqual(now);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
