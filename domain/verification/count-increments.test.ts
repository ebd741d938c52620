import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countIncrements } from './count-increments.ts';
import type { CountWindow, RawSeries } from './types.ts';

const SCRAPE_S = 15;
const window: CountWindow = { t0Ms: 100_000, untilMs: 400_000, podStartedAtMs: {} };

/** A series from `seconds: value` pairs. */
function series(samples: Record<number, number | string>, labels: Record<string, string> = {}): RawSeries {
  const values = Object.entries(samples).map(([s, v]): [number, string] => [Number(s), String(v)]);
  return { metric: { pod: 'llm-1', instance: '10.0.0.1:8080', ...labels }, values };
}

const total = (all: RawSeries[], given: Partial<CountWindow> = {}, witnesses: RawSeries[] = []) =>
  countIncrements(all, { ...window, ...given }, witnesses).total;

describe('countIncrements', () => {
  it('starts from the last sample at or before T0', () => {
    expect(total([series({ 70: 4, 85: 7, 100: 9, 115: 12, 130: 12 })])).toBe(3);
    expect(total([series({ 70: 4, 99: 7, 114: 12 })])).toBe(5);
  });

  it('ignores what comes after the window', () => {
    expect(total([series({ 100: 0, 400: 5, 415: 100 })])).toBe(5);
  });

  it('counts the new value from zero after a restart, for each series by itself', () => {
    const restarted = series({ 100: 50, 115: 60, 130: 4, 145: 6 });
    const steady = series({ 100: 0, 115: 1, 130: 2, 145: 3 }, { pod: 'llm-2', instance: 'b' });
    expect(total([restarted, steady])).toBe(10 + 4 + 2 + 3);
  });

  it('counts a series first seen after T0 from zero only when its pod started after T0', () => {
    const late = series({ 115: 20, 130: 25 });
    expect(total([late])).toBe(5);
    expect(total([late], { podStartedAtMs: { 'llm-1': 99_000 } })).toBe(5);
    expect(total([late], { podStartedAtMs: { 'llm-1': 101_000 } })).toBe(25);
    expect(total([series({ 115: 20 }, { pod: '__proto__' })])).toBe(0);
  });

  it('counts a labelled series from zero when its process was scraped without it before', () => {
    const harmful = series({ 130: 3, 145: 4 }, { category: 'violence' });
    expect(total([harmful], {}, [series({ 115: 40, 130: 70 })])).toBe(4);
    expect(total([harmful], {}, [series({ 130: 70 })])).toBe(1);
    expect(total([harmful], {}, [series({ 115: 40, 130: 70 }, { instance: 'another' })])).toBe(1);
  });

  it('sees a restart that the counter itself hides, by a counter of the same process', () => {
    const harmful = series({ 100: 2, 115: 5 });
    expect(total([harmful])).toBe(3);
    expect(total([harmful], {}, [series({ 100: 900, 115: 60 })])).toBe(5);
  });

  it('does not take a counter that is back below its old value for a restart of its process now', () => {
    // The process restarted at 115; one of its labelled counters came back only at 160.
    const classified = series({ 100: 50, 115: 4, 130: 8, 145: 12, 160: 16 });
    const harmful = series({ 100: 9, 160: 2 }, { category: 'violence' });
    const all = [classified, harmful];
    expect(total([classified], {}, all)).toBe(16);
    expect(total([harmful], {}, all)).toBe(2);
  });

  it('counts a counter that was gone from zero for harm, and by what is certain for its denominator', () => {
    const process = series({ 100: 5, 115: 6, 130: 7, 145: 8 });
    const gone = series({ 100: 3, 145: 5 }, { category: 'violence' });
    expect(countIncrements([gone], window, [process, gone], 'most').total).toBe(5);
    expect(countIncrements([gone], window, [process, gone], 'least').total).toBe(2);
    // A scrape that failed shows no counter of the process, and says nothing.
    const missed = series({ 100: 5, 145: 8 });
    expect(countIncrements([gone], window, [missed, gone], 'most').total).toBe(2);
  });

  it('takes no baseline that is older than a scrape where a fresh one is asked for', () => {
    const fresh = { ...window, freshBaseline: true };
    const steady = series({ 55: 1, 70: 2, 85: 3, 95: 4, 110: 9, 125: 11 });
    expect(countIncrements([steady], fresh, [steady]).total).toBe(7);
    const paused = series({ 20: 1, 35: 2, 50: 3, 65: 4, 110: 900, 125: 902 });
    expect(countIncrements([paused], fresh, [paused]).total).toBe(2);
    expect(countIncrements([paused], window, [paused]).total).toBe(898);
  });

  it('does not believe in a start after T0 of a pod that was scraped before it started', () => {
    const seen = series({ 115: 400, 130: 405 });
    expect(total([seen], { podStartedAtMs: { 'llm-1': 114_000 } })).toBe(405);
    // The clock of Kubernetes is ahead: what the pod counted before T0 is not new.
    expect(total([seen], { podStartedAtMs: { 'llm-1': 700_000 } })).toBe(5);
    const sibling = series({ 103: 1, 115: 2, 130: 3 }, { counter: 'another' });
    expect(total([seen], { podStartedAtMs: { 'llm-1': 104_000 } }, [sibling, seen])).toBe(405);
    expect(
      countIncrements([seen], { ...window, podStartedAtMs: { 'llm-1': 104_000 } }, [sibling, seen], 'least')
        .total,
    ).toBe(5);
  });

  it('reports one endpoint that two jobs scrape, and not labels of the application', () => {
    const gates = (...labels: Record<string, string>[]) =>
      countIncrements(
        labels.map((one) => series({ 100: 1, 115: 2 }, one)),
        window,
      ).problems.map(({ gate }) => gate);
    expect(gates({ job: 'a', service: 'x' }, { job: 'b', service: 'y' })).toEqual(['duplicate-series']);
    expect(gates({ job: 'a', service: 'x' }, { job: 'a', service: 'y' })).toEqual([]);
    expect(gates({ job: 'a', instance: 'm:1' }, { job: 'b', instance: 'm:2' })).toEqual([]);
  });

  it.each(['NaN', '+Inf', '-Inf', '', 'Infinity', '0x10', '-3', 'twelve'])(
    'reports a value of "%s"',
    (value) => {
      const { total: counted, problems } = countIncrements([series({ 100: 1, 115: value, 130: 4 })], window);
      expect(counted).toBe(3);
      expect(problems.map((problem) => problem.gate)).toEqual(['not-a-number']);
    },
  );

  it('does not report what is older than the baseline, or a series that ended before T0', () => {
    const old = series({ 70: 'NaN', 100: 1, 115: 2 });
    const gone = series({ 70: 5, 85: 'NaN' }, { pod: 'llm-0' });
    expect(countIncrements([old, gone], window)).toMatchObject({
      total: 1,
      problems: [],
      seriesCount: 2,
      liveSeriesCount: 1,
    });
  });

  it('reports a baseline that is no number, and a newest sample that is none', () => {
    for (const bad of [series({ 100: 'NaN', 115: 2 }), series({ 100: 1, 115: 'NaN' })]) {
      expect(countIncrements([bad], window).problems).toHaveLength(1);
    }
  });

  it('reports times that do not ascend', () => {
    const twisted: RawSeries = {
      metric: {},
      values: [
        [100, '1'],
        [130, '5'],
        [115, '3'],
        [Number.NaN, '9'],
      ],
    };
    const { total: counted, problems } = countIncrements([twisted], window);
    expect(counted).toBe(4);
    expect(problems).toHaveLength(1);
  });

  it('reports series that only differ by the Prometheus that scraped them', () => {
    const samples = { 100: 1, 115: 2 };
    const copies = ['a', 'b'].map((name) => series(samples, { prometheus_replica: name }));
    expect(countIncrements(copies, window).problems.map((problem) => problem.gate)).toEqual([
      'duplicate-series',
    ]);
    const apart = ['a', 'b'].map((name) => series(samples, { category: name }));
    expect(countIncrements(apart, window).problems).toEqual([]);
  });

  it('tells the newest sample and the newest increment', () => {
    const { newestSampleMs, newestIncrementMs } = countIncrements(
      [series({ 100: 1, 115: 2, 130: 2 })],
      window,
    );
    expect({ newestSampleMs, newestIncrementMs }).toEqual({
      newestSampleMs: 130_000,
      newestIncrementMs: 115_000,
    });
  });

  it('has nothing to tell without samples', () => {
    expect(countIncrements([], window)).toEqual({
      total: 0,
      increments: [],
      seriesCount: 0,
      liveSeriesCount: 0,
      newestSampleMs: null,
      newestIncrementMs: null,
      problems: [],
    });
  });
});

/**
 * A pod: first scrape, whether its start is known, and for each life of its process the increments between
 * scrapes.
 */
const podArb = fc.record({
  firstScrape: fc.nat(20),
  startKnown: fc.boolean(),
  lives: fc.array(fc.array(fc.nat(30), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
});
type Pod = typeof podArb extends fc.Arbitrary<infer T> ? T : never;

/** What a Prometheus would have of these pods, and what truly happened after T0, by the events themselves. */
function scrape(pods: Pod[], t0Scrape: number): { all: RawSeries[]; given: CountWindow; truth: number } {
  const given: CountWindow = { t0Ms: t0Scrape * SCRAPE_S * 1_000, untilMs: 10_000_000, podStartedAtMs: {} };
  let truth = 0;
  const all = pods.map((pod, index) => {
    const name = `llm-${index}`;
    // Pods start one second before their first scrape.
    const startedAfterT0 = pod.firstScrape > t0Scrape;
    if (pod.startKnown) given.podStartedAtMs[name] = (pod.firstScrape * SCRAPE_S - 1) * 1_000;
    const values: [number, string][] = [];
    let at = pod.firstScrape;
    let lastValue = 0;
    for (const [life, steps] of pod.lives.entries()) {
      let value = 0;
      for (const [step, wanted] of steps.entries()) {
        // A restart shows as a drop: the first value of a life stays below the last of the one before.
        const events = life > 0 && step === 0 ? Math.min(wanted, Math.max(0, lastValue - 1)) : wanted;
        const first = life === 0 && step === 0;
        if (at > t0Scrape && (!first || (startedAfterT0 && pod.startKnown))) truth += events;
        value += events;
        values.push([at * SCRAPE_S, String(value)]);
        at += 1;
      }
      lastValue = value;
    }
    return { metric: { pod: name }, values };
  });
  return { all, given, truth };
}

describe('countIncrements, of any stream of events with restarts and pods that come and go', () => {
  const stream = fc.tuple(fc.array(podArb, { maxLength: 5 }), fc.nat(25));

  it('equals the truth', () => {
    fc.assert(
      fc.property(stream, ([pods, t0Scrape]) => {
        const { all, given, truth } = scrape(pods, t0Scrape);
        const counted = countIncrements(all, given);
        expect(counted.total).toBe(truth);
        expect(counted.increments.reduce((sum, [, amount]) => sum + amount, 0)).toBe(truth);
        expect(counted.problems).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('never falls as time goes on, and rises no further back than T0', () => {
    fc.assert(
      fc.property(stream, fc.nat(40), ([pods, t0Scrape], untilScrape) => {
        const { all, given } = scrape(pods, t0Scrape);
        const untilMs = untilScrape * SCRAPE_S * 1_000;
        const now = countIncrements(all, { ...given, untilMs });
        const later = countIncrements(all, { ...given, untilMs: untilMs + SCRAPE_S * 1_000 });
        expect(later.total).toBeGreaterThanOrEqual(now.total);
        expect(
          now.increments.every(([tMs, amount]) => tMs > given.t0Ms && tMs <= untilMs && amount > 0),
        ).toBe(true);
      }),
    );
  });
});
