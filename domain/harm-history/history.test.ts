import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AlertRecord } from '../alert.ts';
import { columnsOf, historyWindow, keepHistory, pointsOf, rateOf } from './history.ts';
import type { HarmHistory, HarmReading } from './types.ts';

const T0 = Date.UTC(2026, 2, 1, 10);
const MINUTE = 60_000;

function alert(startsAt: string): AlertRecord {
  return {
    fingerprint: 'f',
    status: 'firing',
    alertname: 'a',
    labels: {},
    summary: '',
    startsAt,
    firstReceivedAtMs: T0,
    lastReceivedAtMs: T0,
    deliveries: 1,
  };
}

function reading(...counts: [harmful: number, classified: number][]): HarmReading {
  const points = counts.map(([harmful, classified], index) => ({
    atMs: T0 + index * MINUTE,
    harmful,
    classified,
  }));
  return { stepMs: MINUTE, points };
}

describe('historyWindow', () => {
  it('starts before the alert began to fire, and ends now', () => {
    const view = { alerts: [alert('2026-03-01T09:55:00Z')], milestones: { triggered: T0 } };
    expect(historyWindow(view, T0 + 30 * MINUTE)).toEqual({
      fromMs: T0 - 20 * MINUTE,
      toMs: T0 + 30 * MINUTE,
    });
  });

  it('ends a while after traffic is back, however late the postmortem is written', () => {
    const view = { alerts: [], milestones: { triggered: T0, restored: T0 + 20 * MINUTE } };
    expect(historyWindow(view, T0 + 600 * MINUTE).toMs).toBe(T0 + 35 * MINUTE);
  });

  it('believes no alert that fires since last year, in the future, or since no time at all', () => {
    for (const startsAt of ['0001-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'yesterday']) {
      const { fromMs, toMs } = historyWindow(
        { alerts: [alert(startsAt)], milestones: { triggered: T0 } },
        T0 + 1,
      );
      expect(fromMs).toBeGreaterThanOrEqual(T0 - 360 * MINUTE);
      expect(fromMs).toBeLessThan(T0);
      expect(toMs).toBe(T0 + 1);
    }
  });
});

describe('keepHistory', () => {
  const first = keepHistory(undefined, reading([1, 10], [0, 20]));

  it('keeps a reading as two arrays', () => {
    expect(first).toEqual({ stepMs: MINUTE, startMs: T0, harmful: [1, 0], classified: [10, 20] });
  });

  it('takes a later reading that shows at least as much', () => {
    expect(keepHistory(first, reading([1, 10], [0, 20], [0, 5]))?.classified).toEqual([10, 20, 5]);
  });

  it('keeps what it had where the later one shows less: Prometheus was away, or has dropped samples', () => {
    const nothing: HarmReading = { stepMs: 0, points: [], reason: 'no answer' };
    expect(keepHistory(first, nothing)).toBe(first);
    expect(keepHistory(first, reading([0, 0], [0, 0]))).toBe(first);
    expect(keepHistory(first, reading([0, 20]))).toBe(first);
    expect(keepHistory(undefined, nothing)).toBeUndefined();
  });

  it('keeps no more than 240 buckets, the newest, and nothing that is no count', () => {
    const many = keepHistory(
      undefined,
      reading(...Array.from({ length: 300 }, (): [number, number] => [0, 1])),
    );
    expect(many?.classified).toHaveLength(240);
    expect(many?.startMs).toBe(T0 + 60 * MINUTE);
    expect(keepHistory(undefined, reading([Number.NaN, 4], [-1, Number.POSITIVE_INFINITY]))).toMatchObject({
      harmful: [0, 0],
      classified: [4, 0],
    });
  });
});

describe('columns', () => {
  const counts = fc.array(fc.tuple(fc.nat(1_000), fc.nat(1_000)), { minLength: 1, maxLength: 240 });

  it('hold every output once, however wide they are', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 300 }), (pairs, width) => {
        const history: HarmHistory = {
          stepMs: MINUTE,
          startMs: T0,
          harmful: pairs.map(([harmful]) => harmful),
          classified: pairs.map(([, classified]) => classified),
        };
        const { stepMs, columns } = columnsOf(history, width);
        const total = (name: 'harmful' | 'classified') =>
          columns.reduce((sum, column) => sum + column[name], 0);
        expect(columns.length).toBeLessThanOrEqual(width);
        expect(total('harmful')).toBe(history.harmful.reduce((sum, one) => sum + one, 0));
        expect(total('classified')).toBe(history.classified.reduce((sum, one) => sum + one, 0));
        expect(columns.at(-1)?.atMs).toBe(T0 + (columns.length - 1) * stepMs);
      }),
    );
  });

  it('have no rate where nothing was classified, and never one above 1', () => {
    expect(rateOf({ harmful: 0, classified: 0 })).toBeUndefined();
    expect(rateOf({ harmful: 3, classified: 0 })).toBeUndefined();
    expect(rateOf({ harmful: 3, classified: 2 })).toBe(1);
  });

  it('are none of a record that makes no sense', () => {
    for (const [startMs, stepMs] of [
      [Number.NaN, 1],
      [1e300, 1],
      [0, 0],
      [0, Number.POSITIVE_INFINITY],
      [-1, 5],
    ]) {
      const broken = { startMs: startMs ?? 0, stepMs: stepMs ?? 0, harmful: [1], classified: [1] };
      expect(pointsOf(broken)).toEqual([]);
    }
  });
});
