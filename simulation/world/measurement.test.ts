import { describe, expect, it } from 'vitest';
import type { Evaluation } from '../../activities/contract.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import { JUDGE_DEFAULTS } from '../../domain/verification/defaults.ts';
import { Measurement } from './measurement.ts';
import { Traffic } from './traffic.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;
const TARGET = { cluster: 'local', namespace: 'ai', kind: 'Deployment', name: 'llm-api' } as const;
const LABELS = { deployment: 'target.name' };
const METRICS: Record<string, MetricSpec> = {
  requests: { type: 'counter', counter: 'ai_requests_total', labels: LABELS, windowMs: 5 * MINUTE },
  classified: {
    type: 'counter',
    counter: 'ai_outputs_classified_total',
    labels: LABELS,
    windowMs: 5 * MINUTE,
  },
  harmful: { type: 'counter', counter: 'ai_harmful_outputs_total', labels: LABELS, windowMs: 5 * MINUTE },
  harmRate: { type: 'ratio', of: ['harmful', 'classified'], windowMs: 5 * MINUTE },
  fallbackHarmful: {
    type: 'counter',
    counter: 'ai_harmful_outputs_total',
    labels: { deployment: '"llm-fallback"' },
    windowMs: 5 * MINUTE,
  },
  p99: { type: 'promql', promql: 'p99', bind: {} },
  errors: { type: 'counter', counter: 'errors_total', labels: LABELS, windowMs: 5 * MINUTE },
};
const FACTS = { exists: true, mode: 'approve' as const, images: [] };
const CONTEXT = {
  steps: {},
  inputs: {},
  incident: { severity: 'SEV1' as const, round: 1, acknowledged: false, firing: 1 },
  alert: { labels: {} },
};

function world(requestsPerSecond = 40) {
  const traffic = new Traffic({
    startMs: START,
    requestsPerSecond: [{ atMs: START, value: requestsPerSecond }],
    classified: [{ atMs: START, value: 1 }],
    fallbackHarmRate: [{ atMs: START, value: 0.5 }],
  });
  traffic.addRevision('bad', [{ atMs: START, value: 0.12 }]);
  traffic.addRevision('good', [{ atMs: START, value: 0 }]);
  traffic.setServing(START - 60 * MINUTE, 'bad');
  const decided: [string, Evaluation][] = [];
  const measurement = new Measurement({
    traffic,
    metrics: {
      p99: [
        { atMs: START, value: 1 },
        { atMs: START + MINUTE, value: 'unknown' },
      ],
    },
    fallback: () => 'llm-fallback',
    decided: (expression, result) => void decided.push([expression, result]),
  });
  const measure = (expression: string, afterMs: number, away?: string) =>
    measurement.evaluate(
      { target: TARGET, facts: FACTS, metrics: METRICS, context: CONTEXT, expressions: { it: expression } },
      START + afterMs,
      away,
    ).results.it;
  return { traffic, measurement, measure, decided };
}

describe('the history of harm', () => {
  const read = (toMs: number, away?: string, metrics = METRICS) => {
    const { traffic, measurement } = world();
    traffic.setServing(START + 5 * MINUTE, 'good');
    const input = { target: TARGET, metrics, fromMs: START, toMs };
    return measurement.readHarmHistory(input, START + 10 * MINUTE, away);
  };

  it('shows the bad revision, then the good one, until now', () => {
    const { points, stepMs, reason } = read(START + 60 * MINUTE);
    expect(reason).toBeUndefined();
    expect(stepMs).toBe(30_000);
    expect(points).toHaveLength(20);
    const rates = points.map(({ harmful, classified }) => harmful / classified);
    expect(rates[2]).toBeCloseTo(0.12, 2);
    expect(rates[18]).toBe(0);
  });

  it('has a reason where it has no points', () => {
    expect(read(START + MINUTE, 'prometheus: no answer')).toMatchObject({
      points: [],
      reason: expect.stringMatching(/no answer/),
    });
    expect(read(START + MINUTE, undefined, {})).toMatchObject({
      points: [],
      reason: expect.stringMatching(/no counters/),
    });
    expect(read(START - MINUTE)).toMatchObject({ points: [], reason: expect.stringMatching(/empty/) });
  });
});

describe('metrics over simulated traffic', () => {
  it('are what Prometheus would compute: a ratio of rates over its window', () => {
    const { measure } = world();
    expect(measure('metrics.harmRate > 0.119 && metrics.harmRate < 0.121', 0)).toEqual({
      known: true,
      value: true,
    });
    expect(measure('metrics.requests > 39.9 && metrics.requests < 40.1', 0)).toEqual({
      known: true,
      value: true,
    });
  });

  it('mix what was before and after a change for as long as the window reaches back', () => {
    const { traffic, measure } = world();
    traffic.setServing(START, 'good');
    expect(measure('metrics.harmRate > 0.05', 2 * MINUTE)).toEqual({ known: true, value: true });
    expect(measure('metrics.harmRate > 0.05', 4 * MINUTE)).toEqual({ known: true, value: false });
    expect(measure('metrics.harmRate > 0.0', 6 * MINUTE)).toEqual({ known: true, value: false });
  });

  it('are unknown where nothing was counted, with the reason', () => {
    const { measure } = world(0);
    expect(measure('metrics.harmRate > 0.05', 0)).toMatchObject({
      known: false,
      reason: expect.stringContaining('nothing was counted'),
    });
  });

  it('are read of the fallback where they are bound to it', () => {
    const { traffic, measure } = world();
    traffic.setShare(START, 0);
    expect(measure('metrics.fallbackHarmful > 15.0', 5 * MINUTE)).toEqual({ known: true, value: true });
  });

  it('that do not follow from traffic have the value of the scenario, over time', () => {
    const { measure } = world();
    expect(measure('metrics.p99 < 2.0', 0)).toEqual({ known: true, value: true });
    expect(measure('metrics.p99 < 2.0', MINUTE)).toMatchObject({ known: false });
  });

  it('of which the scenario says nothing are unknown, and the reason says what to write', () => {
    const { measure } = world();
    expect(measure('metrics.errors > 0.0', 0)).toMatchObject({
      known: false,
      reason: expect.stringContaining('world.metrics.errors'),
    });
  });

  it('are unknown while Prometheus is away; what was decided is told for coverage', () => {
    const { measure, decided } = world();
    expect(measure('metrics.harmRate > 0.05', 0, 'no answer')).toMatchObject({ known: false });
    expect(decided).toMatchObject([['metrics.harmRate > 0.05', { known: false }]]);
  });
});

describe('verdicts', () => {
  const judge = (one: ReturnType<typeof world>, t0Ms: number, nowMs: number, guards: string[] = []) =>
    one.measurement.judgeRecovery(
      {
        target: TARGET,
        facts: FACTS,
        metrics: METRICS,
        context: CONTEXT,
        t0Ms: START + t0Ms,
        options: { ...JUDGE_DEFAULTS, guards },
      },
      START + nowMs,
      undefined,
    );

  it('come from the real judge over raw samples of the revision that serves', () => {
    const one = world();
    one.traffic.setServing(START, 'good');
    expect(judge(one, MINUTE, 4 * MINUTE)).toMatchObject({ outcome: 'recovered', harmful: 0 });
    const bad = world();
    expect(judge(bad, MINUTE, 4 * MINUTE)).toMatchObject({ outcome: 'not-recovered' });
  });

  it('count only the share that the target gets', () => {
    const one = world();
    one.traffic.setServing(START, 'good');
    one.traffic.setShare(START, 0.1);
    const { classified } = judge(one, 0, 4 * MINUTE);
    expect(classified).toBe(960);
  });

  it('need the guards to hold since T0', () => {
    const one = world();
    one.traffic.setServing(START, 'good');
    const verdict = judge(one, 0, 4 * MINUTE, ['metrics.harmRate < 0.01', 'metrics.p99 < 2.0']);
    expect(verdict.outcome).toBe('undecided');
    expect(verdict.gates.filter(({ ok }) => !ok)).toEqual([
      expect.objectContaining({ name: 'guard-failed', detail: 'metrics.p99 < 2.0: unknown' }),
    ]);
  });
});

describe('looks of a watch', () => {
  const look = (one: ReturnType<typeof world>, name: string, nowMs: number, more = {}, away?: string) =>
    one.measurement.judgeHarm(
      {
        target: { ...TARGET, name },
        metrics: METRICS,
        windowMs: 5 * MINUTE,
        limits: { harmRate: 0.02, minExposure: 100 },
        ...more,
      },
      START + nowMs,
      away,
    );

  it('count what the target served, and what its fallback did', () => {
    const one = world();
    expect(look(one, 'llm-api', MINUTE)).toMatchObject({ verdict: 'exceeded', harmRate: 0.12 });
    expect(look(one, 'llm-fallback', MINUTE)).toMatchObject({ verdict: 'unknown', classified: 0 });
    one.traffic.setShare(START, 0);
    expect(look(one, 'llm-fallback', 2 * MINUTE)).toMatchObject({ verdict: 'exceeded', harmRate: 0.5 });
    expect(look(one, 'llm-api', 10 * MINUTE)).toMatchObject({ verdict: 'unknown', classified: 0 });
  });

  it('start no earlier than asked, and are unknown while Prometheus is away', () => {
    const one = world();
    one.traffic.setServing(START, 'good');
    expect(look(one, 'llm-api', 2 * MINUTE).verdict).toBe('exceeded');
    expect(look(one, 'llm-api', 2 * MINUTE, { sinceMs: START })).toMatchObject({
      verdict: 'within',
      harmful: 0,
    });
    expect(look(one, 'llm-api', 2 * MINUTE, {}, 'no answer')).toMatchObject({
      verdict: 'unknown',
      harmful: null,
      reasons: ['query-failed: no answer'],
    });
  });

  it('judge errors by what the scenario says', () => {
    const errorRate: MetricSpec = { type: 'promql', promql: 'x', bind: {} };
    const judged = {
      metrics: { ...METRICS, errorRate },
      limits: { harmRate: 0.9, errorRate: 0.1, minExposure: 100 },
    };
    expect(look(world(), 'llm-api', MINUTE, judged)).toMatchObject({
      verdict: 'unknown',
      reasons: [expect.stringContaining('world.metrics.errorRate')],
    });
  });
});
