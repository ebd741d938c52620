import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { TimelineEntry } from '../../domain/incident.ts';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { recordedPeople } from '../../simulation/record/people.ts';
import { recordScenario } from '../../simulation/record/record.ts';
import { offset } from '../../simulation/record/text.ts';
import { rehearse } from '../../simulation/rehearse.ts';
import { bundle, failed, LABELS, rehearsed, write } from './scenarios.ts';

const SCENARIOS = path.join(LIBRARY_PATH, 'scenarios');

/** Incidents that happened, here by simulation: the recorder sees what the API shows of them, and nothing else. */
const HAPPENED = [
  'ai-harm-response/rolled-back-after-approval',
  'ai-harm-response/rollback-rejected',
  'ai-harm-response/not-recovered',
  'ai-harm-response/observe-mode',
  'ai-harm-response/below-the-limit',
  'ai-harm-response/rises-above-the-limit',
  'ai-harm-response/rollout-stuck',
  'model-latency-regression/rolled-back',
  'model-latency-regression/latency-unknown',
  'pii-in-logs/one-person-by-break-glass',
  'default/nobody-acknowledges',
];

describe('a recorded incident', () => {
  it.each(HAPPENED)('%s happens again when its recording is run', async (name) => {
    const file = path.join(SCENARIOS, `${name}.scenario.yaml`);
    const { run, loaded } = await rehearse(file, await bundle());
    const incident = run?.incidents.at(-1);
    if (!incident || !loaded) throw new Error(`${file} could not be run`);
    const recording = write(
      `${name.replaceAll('/', '-')}.scenario.yaml`,
      recordScenario({
        view: { ...incident.view, timeline: incident.view.timeline.slice(-3) },
        timeline: incident.entries,
        runbook: loaded.runbook,
        runbookPath: loaded.runbookFile,
      }),
    );
    const again = await rehearse(recording, await bundle(), loaded.runbookFile);
    expect(again.problems).toEqual([]);
    expect(again.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(again.checks.length).toBeGreaterThan(10);
  });

  it('shows what a later version of the runbook does otherwise', async () => {
    const file = path.join(SCENARIOS, 'ai-harm-response/rolled-back-after-approval.scenario.yaml');
    const { run, loaded } = await rehearse(file, await bundle());
    const incident = run?.incidents.at(-1);
    if (!incident || !loaded) throw new Error('it could not be run');
    const text = recordScenario({
      view: incident.view,
      timeline: incident.entries,
      runbook: loaded.runbook,
      runbookPath: 'x.yaml',
    });
    const spec = { ...parse(text).spec, inputs: { divertAbove: 0.9 } };
    expect(failed(await rehearsed(spec))).toEqual(expect.arrayContaining(['steps.divert', 'changes']));
  });

  it('says which values were assumed, and holds hostile text as text', async () => {
    const hostile = '"\n- evil: &a *a # \u001b[31m $' + '{{ inputs.x }}';
    const { run, loaded } = await rehearsed({
      alerts: [{ labels: LABELS, annotations: { summary: hostile } }],
      people: [{ at: '1m', person: 'maria', does: 'note', reason: hostile }],
    });
    const incident = run.incidents.at(-1);
    if (!incident || !loaded) throw new Error('it could not be run');
    const text = recordScenario({
      view: incident.view,
      timeline: incident.entries,
      runbook: loaded.runbook,
      runbookPath: 'x.yaml',
    });
    expect(text).toContain('# assumed');
    expect(text).not.toContain('\u001b');
    const { spec } = parse(text);
    expect(spec.alerts[0].annotations.summary).toBe(hostile);
    expect(spec.people).toEqual([{ at: '1m', person: 'maria', does: 'note', reason: hostile }]);
  });
});

describe('what people did', () => {
  const entry = (atMs: number, text: string, actor: string, data?: TimelineEntry['data']): TimelineEntry => ({
    seq: atMs,
    atMs,
    kind: 'decision',
    text,
    actor,
    ...(data ? { data } : {}),
  });

  it('is written by when they were asked; approving is no acknowledgement of its own', () => {
    expect(
      recordedPeople(
        [
          entry(10_000, 'Approval of rollback asked from ml-oncall', 'firebreak'),
          entry(70_000, 'acknowledged', 'maria'),
          entry(70_000, 'approved step rollback', 'maria'),
          entry(80_000, 'Approval of rollback asked from ml-oncall', 'firebreak'),
          entry(90_000, 'approved step rollback alone, by break-glass', 'jo', { reason: 'alone tonight' }),
          entry(95_000, 'forces the breaker: open', 'jo', { reason: 'again', forMs: 600_000 }),
        ],
        0,
      ),
    ).toEqual([
      { after: 'asked-rollback', wait: '1m', person: 'maria', does: 'approve', step: 'rollback' },
      {
        after: 'asked-rollback',
        occurrence: 2,
        wait: '10s',
        person: 'jo',
        does: 'approve',
        step: 'rollback',
        breakGlass: true,
        reason: 'alone tonight',
      },
      { at: '1m35s', person: 'jo', does: 'override', force: 'open', for: '10m', reason: 'again' },
    ]);
  });

  it.each([
    [0, '0s'],
    [1_500, '1s500ms'],
    [90_000, '1m30s'],
    [-600_000, '-10m'],
    [90_061_000, '1d1h1m1s'],
  ])('%i ms is written as %s', (durationMs, text) => {
    expect(offset(durationMs)).toBe(text);
  });
});
