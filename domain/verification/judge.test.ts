import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectCounts } from './collect-counts.ts';
import { JUDGE_DEFAULTS } from './defaults.ts';
import { finalVerdict } from './final-verdict.ts';
import { judge } from './judge.ts';
import type { CollectedCounts, GateName, JudgeInput, JudgeOptions, RawSeries } from './types.ts';

const BLOCKS = 20;
const END_MS = BLOCKS * 15_000;

/** Counts of a target that was watched for five minutes, spread evenly over its blocks. */
function counts(harmful: number, classified: number, more: Partial<CollectedCounts> = {}): CollectedCounts {
  return {
    t0Ms: 0,
    harmful,
    classified,
    requests: classified,
    blocks: Array.from({ length: BLOCKS }, (_, i) => ({
      startMs: i * 15_000,
      harmful: harmful / BLOCKS,
      classified: classified / BLOCKS,
      requests: classified / BLOCKS,
    })),
    blockMs: 15_000,
    newestSampleMs: END_MS,
    newestClassifiedIncrementMs: END_MS,
    newestRequestIncrementMs: END_MS,
    liveSeries: { harmful: 2, classified: 2, requests: 2 },
    problems: [],
    ...more,
  };
}

function input(
  given: CollectedCounts | null,
  more: Partial<JudgeInput> = {},
  options: Partial<JudgeOptions> = {},
): JudgeInput {
  const judged = { ...JUDGE_DEFAULTS, ...options };
  return { counts: given, atMs: END_MS + 5_000, guards: [], problems: [], options: judged, ...more };
}

const failed = (given: JudgeInput): GateName[] =>
  judge(given)
    .gates.filter((gate) => !gate.ok)
    .map((gate) => gate.name);

const healthy = counts(2, 4_000);
const guard = (holds: boolean | 'unknown') => ({ expr: 'metrics.errorRate < 0.02', holds });

describe('judge', () => {
  it('calls a healthy target recovered, with everything that a reader needs', () => {
    const verdict = judge(input(healthy, { guards: [guard(true)] }));
    expect(verdict).toMatchObject({
      outcome: 'recovered',
      harmful: 2,
      classified: 4_000,
      denominator: 'classified',
      requests: 4_000,
      threshold: 0.01,
      confidence: 0.99,
      blocks: BLOCKS,
      observedMs: END_MS,
    });
    expect(verdict.intervalConfidence).toBeCloseTo(0.98, 10);
    expect(verdict.evidenceLog10.needed).toBeCloseTo(2, 10);
    expect(verdict.evidenceLog10.recovered).toBeGreaterThan(2);
    expect(verdict.interval[1]).toBeLessThan(0.01);
    expect(verdict.effective.classified).toBeCloseTo(4_000 / verdict.designEffect, 6);
    expect(verdict.gates.every((gate) => gate.ok)).toBe(true);
    expect(JSON.parse(JSON.stringify(verdict))).toEqual(verdict);
  });

  it('calls a harmful one not-recovered, whatever gates and guards say', () => {
    expect(judge(input(counts(200, 4_000))).outcome).toBe('not-recovered');
    const early = counts(40, 60, { requests: 6_000, blocks: [], newestSampleMs: null });
    expect(judge(input(early, { guards: [guard(false)] })).outcome).toBe('not-recovered');
  });

  it('is undecided near the threshold', () => {
    const verdict = judge(input(counts(40, 4_000)));
    expect(verdict.outcome).toBe('undecided');
    expect(finalVerdict(verdict, false)).toMatchObject({ outcome: 'undecided', unmet: ['test-undecided'] });
    expect(finalVerdict(verdict, true)).toMatchObject({
      outcome: 'insufficient-evidence',
      unmet: ['test-undecided'],
    });
  });

  const versions = { before: 'v3', after: 'v3', now: 'v3' };
  const cases: [gate: GateName, what: string, given: JudgeInput][] = [
    ['query-failed', 'no counts', input(null)],
    [
      'query-failed',
      'a failed query',
      input(healthy, { problems: [{ gate: 'query-failed', detail: '503' }] }),
    ],
    [
      'partial-response',
      'a warning',
      input(healthy, { problems: [{ gate: 'partial-response', detail: 'store' }] }),
    ],
    [
      'not-a-number',
      'NaN samples',
      input(counts(2, 4_000, { problems: [{ gate: 'not-a-number', detail: '1' }] })),
    ],
    ['not-a-number', 'a NaN total', input(counts(Number.NaN, 4_000))],
    [
      'duplicate-series',
      'copies',
      input(counts(2, 4_000, { problems: [{ gate: 'duplicate-series', detail: '1' }] })),
    ],
    ['impossible-counts', 'more harm than outputs', input(counts(9, 4))],
    ['no-classified-outputs', 'no outputs', input(counts(0, 0))],
    [
      'no-classified-outputs',
      'no classified series',
      input(counts(0, 0, { classified: null, requests: 4_000 })),
    ],
    ['minimum-exposure', 'too few outputs', input(counts(0, 499))],
    ['too-few-blocks', 'one block', input({ ...healthy, blocks: healthy.blocks.slice(0, 1) })],
    ['minimum-duration', 'half a minute', input({ ...healthy, t0Ms: END_MS - 30_000 })],
    ['sample-age', 'a stale series', input(healthy, { atMs: END_MS + 60_001 })],
    ['sample-age', 'a clock ahead', input(healthy, { atMs: END_MS - 60_001 })],
    ['sample-age', 'no sample', input({ ...healthy, newestSampleMs: null })],
    ['coverage', 'most outputs unseen', input({ ...healthy, requests: 5_000 })],
    ['coverage', 'no requests counter', input({ ...healthy, requests: null })],
    [
      'classifier-silent',
      'no harmful series',
      input({ ...healthy, liveSeries: { harmful: 0, classified: 2, requests: 2 } }),
    ],
    [
      'classifier-silent',
      'requests only, lately',
      input({ ...healthy, newestClassifiedIncrementMs: END_MS - 61_000 }),
    ],
    [
      'classifier-changed',
      'another version',
      input(healthy, { classifierVersions: { ...versions, now: 'v4' } }),
    ],
    [
      'classifier-changed',
      'a version unknown',
      input(healthy, { classifierVersions: { ...versions, before: null } }),
    ],
    ['guard-failed', 'a guard that fails', input(healthy, { guards: [guard(true), guard(false)] })],
    ['guard-failed', 'a guard that is unknown', input(healthy, { guards: [guard('unknown')] })],
  ];

  it.each(cases)('closes %s on %s', (gate, _what, given) => {
    expect(failed(given)).toContain(gate);
    const final = finalVerdict(judge(given), true);
    expect(final.outcome).toBe('insufficient-evidence');
    expect(final.unmet).toContain(gate);
  });

  it('does not trust harm either when the counts are wrong', () => {
    const harmful = counts(400, 4_000);
    for (const gate of ['query-failed', 'partial-response', 'not-a-number', 'duplicate-series'] as const) {
      expect(judge(input(harmful, { problems: [{ gate, detail: 'x' }] })).outcome).toBe('undecided');
    }
  });

  it('calls a target not-recovered whose harmful counter is an output ahead', () => {
    expect(judge(input(counts(601, 600))).outcome).toBe('not-recovered');
  });

  it('takes requests as denominator only where allowed and only where nothing classifies', () => {
    const unclassified = counts(2, 4_000, {
      classified: null,
      liveSeries: { harmful: 2, classified: 0, requests: 2 },
    });
    expect(judge(input(unclassified)).outcome).toBe('undecided');
    const allowed = { allowRequestsAsDenominator: true };
    expect(judge(input(unclassified, {}, allowed))).toMatchObject({
      outcome: 'recovered',
      denominator: 'requests',
      classified: 4_000,
    });
    expect(judge(input(counts(0, 0, { requests: 4_000 }), {}, allowed)).outcome).toBe('undecided');
  });

  it('asks for no coverage where none is to be had', () => {
    expect(judge(input({ ...healthy, requests: null }, {}, { minCoverage: 0 })).outcome).toBe('recovered');
  });

  it('needs more outputs for heavier clustering', () => {
    const clean = counts(0, 800);
    expect(judge(input(clean, {}, { designEffect: 1 })).outcome).toBe('recovered');
    expect(judge(input(clean)).outcome).toBe('undecided');
    expect(judge(input(counts(0, 1_000))).outcome).toBe('undecided');
    expect(judge(input(counts(0, 1_500))).outcome).toBe('recovered');
    expect(judge(input(counts(0, 1_500), {}, { designEffect: 5 })).outcome).toBe('undecided');
  });
});

const anyNumber = fc.oneof(
  fc.double({ min: 0, max: 5_000, noNaN: true }),
  fc.constantFrom(0, Number.NaN, Number.POSITIVE_INFINITY, -1),
);
const anyCounts = fc
  .record({ harmful: anyNumber, classified: anyNumber, requests: fc.option(anyNumber), age: anyNumber })
  .map(({ harmful, classified, requests, age }) =>
    counts(harmful, classified, { requests, newestSampleMs: END_MS - age * 100 }),
  );

describe('judge, given anything', () => {
  it('recovers only with every gate ok and a bound below the threshold, and stays plain JSON', () => {
    const holds = fc.constantFrom<boolean | 'unknown'>(true, false, 'unknown');
    fc.assert(
      fc.property(anyCounts, fc.option(holds), (given, held) => {
        const verdict = judge(input(given, held === null ? {} : { guards: [guard(held)] }));
        expect(JSON.parse(JSON.stringify(verdict))).toEqual(verdict);
        if (verdict.outcome !== 'recovered') return;
        expect(verdict.gates.filter((gate) => !gate.ok)).toEqual([]);
        expect(verdict.interval[1]).toBeLessThanOrEqual(0.01 + 1e-9);
        expect(held === null || held === true).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('never recovers without exposure, however low the bars', () => {
    const low = { minExposure: 0, minBlocks: 0, minDurationMs: 0, minCoverage: 0, designEffect: 1 } as const;
    const options = fc.record({
      threshold: fc.double({ min: 1e-6, max: 0.999, noNaN: true }),
      confidence: fc.double({ min: 0.5, max: 0.9999, noNaN: true }),
    });
    fc.assert(
      fc.property(options, (asked) => {
        const verdict = judge(input(counts(0, 0), {}, { ...low, ...asked }));
        expect(finalVerdict(verdict, true).outcome).toBe('insufficient-evidence');
      }),
    );
  });

  it('decides nothing on options that are no numbers', () => {
    for (const name of Object.keys(JUDGE_DEFAULTS) as (keyof JudgeOptions)[]) {
      if (name === 'designEffect' || name === 'allowRequestsAsDenominator') continue;
      expect([name, judge(input(healthy, {}, { [name]: Number.NaN })).outcome]).toEqual([name, 'undecided']);
    }
  });
});

describe('samples to verdict', () => {
  /** A pod's counters, scraped every 15 s for ten minutes from T0 on. */
  const pod = (name: string, perScrape: number, spoil?: string): RawSeries => ({
    metric: { pod: name },
    values: Array.from({ length: 41 }, (_, i) => [
      i * 15,
      i === 30 && spoil !== undefined ? spoil : String(i * perScrape),
    ]),
  });
  const verdictOf = (harmPerScrape: number, spoil?: string) =>
    judge({
      counts: collectCounts(
        {
          harmful: [pod('a', harmPerScrape), pod('b', 0, spoil)],
          classified: [pod('a', 50), pod('b', 50)],
          requests: [pod('a', 50), pod('b', 50)],
        },
        { t0Ms: 0, untilMs: 600_000, podStartedAtMs: {} },
      ),
      atMs: 600_000,
      guards: [],
      problems: [],
      options: JUDGE_DEFAULTS,
    });

  it('proves recovery without harm, and the lack of it with 4%', () => {
    expect(verdictOf(0).outcome).toBe('recovered');
    expect(verdictOf(4).outcome).toBe('not-recovered');
  });

  it('never recovers over a NaN', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('NaN', '+Inf', '-Inf', ''),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (spoil, harm) => {
          expect(verdictOf(harm, spoil).outcome).not.toBe('recovered');
        },
      ),
      { numRuns: 30 },
    );
  });
});
