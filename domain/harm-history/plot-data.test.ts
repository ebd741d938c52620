import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IncidentView, TimelineEntry, TimelineKind } from '../incident.ts';
import { marksOf } from './marks.ts';
import { plotData, wilsonInterval } from './plot-data.ts';

const T0 = Date.UTC(2026, 2, 1, 10);
const MINUTE = 60_000;

function entry(
  kind: TimelineKind,
  minute: number,
  text: string,
  data?: Record<string, unknown>,
): TimelineEntry {
  return { seq: minute, atMs: T0 + minute * MINUTE, kind, text, actor: 'firebreak', data };
}

const VERIFICATION: NonNullable<IncidentView['verification']> = {
  outcome: 'recovered',
  harmful: 0,
  classified: 900,
  threshold: 0.01,
  confidence: 0.99,
  interval: [0, 0.009],
  designEffect: 2,
  seconds: 300,
  share: 0.1,
  unmet: [],
};

describe('marksOf', () => {
  it('marks alert, divert, rollback, half-open, verdict and restore, in the order of time', () => {
    const marks = marksOf({
      milestones: {
        triggered: T0,
        contained: T0 + 2 * MINUTE,
        rolledBack: T0 + 3 * MINUTE,
        restored: T0 + 9 * MINUTE,
      },
      timeline: [
        entry('breaker', 1, 'Breaker open: all traffic goes to llm-fallback'),
        entry('breaker', 4, 'Half-open: 10% of traffic goes to the rolled-back revision'),
        entry('verification', 8, 'recovered: ...', { outcome: 'recovered' }),
      ],
    });
    expect(marks.map(({ kind, label, atMs }) => [kind, label, (atMs - T0) / MINUTE])).toEqual([
      ['alert', 'alert', 0],
      ['divert', 'diverted', 1],
      ['rollback', 'rolled back', 3],
      ['half-open', 'half-open', 4],
      ['verdict', 'verdict: recovered', 8],
      ['restored', 'restored', 9],
    ]);
  });

  it('goes by what entries say in their data, whatever their words are', () => {
    const marks = marksOf({
      milestones: { contained: T0 },
      timeline: [
        entry('breaker', 1, 'Breaker open: of another one', { breaker: 'half-open' }),
        entry('breaker', 2, 'traffic goes elsewhere', { breaker: 'open' }),
      ],
    });
    expect(marks.map(({ kind }) => kind)).toEqual(['half-open', 'divert']);
  });

  it('has those of earlier rounds, which milestones have forgotten, and none twice', () => {
    const marks = marksOf({
      milestones: { rolledBack: T0 + 20 * MINUTE },
      timeline: [
        entry('milestone', 5, 'rolledBack'),
        entry('milestone', 20, 'rolledBack'),
        entry('note', 6, 'rolledBack'),
      ],
    });
    expect(marks.map(({ atMs }) => (atMs - T0) / MINUTE)).toEqual([5, 20]);
  });

  it('takes containment for the divert and recovery for the verdict where the timeline has lost them', () => {
    const marks = marksOf({ milestones: { contained: T0, recovered: T0 + 1 }, timeline: [] });
    expect(marks.map(({ kind }) => kind)).toEqual(['divert', 'verdict']);
  });
});

describe('plotData', () => {
  const view = {
    milestones: { triggered: T0 },
    timeline: [],
    verification: VERIFICATION,
    harmHistory: { stepMs: MINUTE, startMs: T0, harmful: [0, 5, 0], classified: [100, 100, 0] },
  };

  it('leaves a gap where nothing was classified', () => {
    const columns = plotData(view)?.columns ?? [];
    expect(columns.map(({ rate }) => rate)).toEqual([0, 0.05, undefined]);
    expect(columns[2]).toEqual({ fromMs: T0 + 2 * MINUTE, toMs: T0 + 3 * MINUTE, harmful: 0, classified: 0 });
  });

  it('makes the band as wide as the design effect says', () => {
    const wide = plotData(view)?.columns[1];
    const narrow = plotData({ ...view, verification: { ...VERIFICATION, designEffect: 1 } })?.columns[1];
    expect((wide?.high ?? 0) - (wide?.low ?? 0)).toBeGreaterThan((narrow?.high ?? 1) - (narrow?.low ?? 0));
  });

  it('describes itself in words', () => {
    expect(plotData(view)?.description).toBe(
      'Harmful outputs as a share of classified outputs over time: 2026-03-01 10:00:00 to 10:03:00 UTC; highest 5% at 10:01:00 (5 of 100); last 5% at 10:01:00; nothing classified in 1 of 3 columns. 200 outputs were classified. The threshold is 1%. Marked, in UTC: alert at 2026-03-01 10:00:00.',
    );
  });

  it('is nothing without a history, or with an empty one', () => {
    expect(plotData({ ...view, harmHistory: undefined })).toBeUndefined();
    expect(
      plotData({ ...view, harmHistory: { stepMs: MINUTE, startMs: T0, harmful: [0], classified: [0] } }),
    ).toBeUndefined();
  });

  it('never holds a number that is none, and has every column and mark on its axes', () => {
    const amounts = fc.oneof(fc.nat(10_000), fc.double(), fc.constant(0));
    const histories = fc.record({
      stepMs: fc.integer({ min: 1, max: 1e7 }),
      startMs: fc.integer({ min: 0, max: 4e12 }),
      harmful: fc.array(amounts, { maxLength: 300 }),
      classified: fc.array(amounts, { maxLength: 300 }),
    });
    const moment = fc.option(fc.integer({ min: 0, max: 4e12 }), { nil: undefined });
    const views = fc.record({
      harmHistory: histories,
      milestones: fc.record({ triggered: moment, contained: moment, rolledBack: moment, restored: moment }),
      threshold: fc.option(fc.double({ min: 1e-6, max: 0.999, noNaN: true }), { nil: undefined }),
      designEffect: fc.double({ min: 1, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(views, ({ harmHistory, milestones, threshold, designEffect }) => {
        const verification =
          threshold === undefined ? undefined : { ...VERIFICATION, threshold, designEffect };
        const data = plotData({ harmHistory, milestones, timeline: [], verification });
        if (data === undefined) return;
        const { fromMs, toMs, top } = data;
        expect(fromMs).toBeLessThan(toMs);
        expect(top).toBeGreaterThan(0);
        expect(top).toBeLessThanOrEqual(1);
        for (const { atMs } of data.marks) {
          expect(atMs).toBeGreaterThanOrEqual(fromMs);
          expect(atMs).toBeLessThanOrEqual(toMs);
        }
        for (const column of data.columns) {
          for (const value of Object.values(column)) expect(Number.isFinite(value)).toBe(true);
          expect(column.fromMs).toBeGreaterThanOrEqual(fromMs);
          expect(column.toMs).toBeLessThanOrEqual(toMs);
          expect(column.rate === undefined).toBe(column.classified === 0);
          const { low = 0, rate = 0, high = 0 } = column;
          expect(low >= 0 && low <= rate && rate <= high && high <= 1).toBe(true);
          expect(rate).toBeLessThanOrEqual(top);
        }
        expect(data.description).not.toMatch(/NaN|undefined|Infinity/);
      }),
    );
  });
});

describe('wilsonInterval', () => {
  it('gives the published values', () => {
    // R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    for (const [harmful, total, low, high] of [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      const interval = wilsonInterval(harmful / total, total);
      expect(interval[0]).toBeCloseTo(low, 4);
      expect(interval[1]).toBeCloseTo(high, 4);
    }
  });
});
