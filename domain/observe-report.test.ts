import { describe, expect, it } from 'vitest';
import {
  alert,
  at,
  changesSeen,
  entry,
  observed,
  step,
  TRIGGERED_MS,
  WOULD_DIVERT,
  WOULD_FOLLOW,
  WOULD_ROLL_BACK,
} from '../test/fixtures/observed-incidents.ts';
import type { IncidentView } from './incident.ts';
import { observeReport } from './observe-report.ts';

const MINUTE = 60_000;
const report = (...incidents: IncidentView[]) =>
  observeReport({ incidents, sinceMs: TRIGGERED_MS - 1, untilMs: at(10_000), truncated: false });
function only(view: IncidentView) {
  const [incident] = report(view).incidents;
  if (incident === undefined) throw new Error('the incident is not in the report');
  return incident;
}
const ACKNOWLEDGED = entry(245, 'decision', 'acknowledged', { actor: 'mara' });
const ROLLOUT = [1_860, 'rollout of revision 8: llm:v7 -> llm:v5'] as [number, string];

describe('what Firebreak would have done', () => {
  it('is told with its time since the alert, and what only would have followed without one', () => {
    expect(only(observed()).wouldHave).toMatchObject([
      {
        kind: 'contain',
        afterMs: 12_000,
        fallback: 'llm-fallback',
        text: 'diverted all traffic to llm-fallback',
      },
      { kind: 'rollback', afterMs: 20_000, planHash: 'a1b2', fromRevision: 7, toRevision: 5 },
      { kind: 'follow-up', step: 'verify', afterMs: undefined },
      { kind: 'follow-up', step: 'restore', afterMs: undefined },
    ]);
    expect(only(observed()).wouldHave[1]?.text).toContain('asked people to approve: Roll Deployment');
  });

  it('is read from entries without data too', () => {
    const timeline = [WOULD_DIVERT, WOULD_ROLL_BACK].map(({ data: _data, ...bare }) => bare);
    expect(only(observed({ timeline })).wouldHave).toMatchObject([
      { step: 'divert', kind: 'contain', text: 'diverted the traffic' },
      { step: 'rollback', kind: 'rollback', text: expect.stringContaining('from revision 7 (llm:v7)') },
    ]);
  });

  it('blocks where the runbook names no fallback, and names other steps as they are', () => {
    const block = { ...WOULD_DIVERT, data: { step: 'divert', uses: 'divert', with: { to: 'block' } } };
    const call = entry(30, 'would-have', 'x', { data: { step: 'call', uses: 'http', summary: 'POST it' } });
    const incident = only(observed({ timeline: [block, call] }));
    expect(incident.wouldHave.map(({ text }) => text)).toEqual([
      'blocked all traffic',
      'run step call (http): POST it',
    ]);
    expect(incident.wouldHave[0]?.fallback).toBeUndefined();
  });

  it('is no containment where people would have had to approve the diversion first', () => {
    const asks = {
      ...WOULD_DIVERT,
      data: { ...WOULD_DIVERT.data, summary: 'Run step divert (divert)', planHash: 'c3d4' },
    };
    const incident = only(observed({ timeline: [asks] }));
    expect(incident.wouldHave).toMatchObject([
      {
        kind: 'ask-contain',
        text: 'asked people to approve: divert all traffic to llm-fallback',
        fallback: 'llm-fallback',
      },
    ]);
    expect(incident.containAfterMs).toBeUndefined();
    expect(incident.signs).not.toContain('would-contain');
    expect(incident.signs).not.toContain('would-do-nothing');
  });

  it('is nothing where no condition held, with the reason of each step', () => {
    const incident = only(
      observed({
        timeline: [changesSeen()],
        steps: [
          step('divert', 'skipped', 'not the case: metrics.harmRate > 0.05'),
          step('rollback', 'failed', 'No rollback was planned: no older revision'),
          step('second', 'skipped', 'the incident was resolved', 'divert'),
          step('third', 'skipped', 'skipped by ben', 'divert'),
          step('page', 'succeeded'),
        ],
      }),
    );
    expect(incident.signs).toContain('would-do-nothing');
    expect(incident.signs).not.toContain('would-contain');
    expect(incident.notDone).toMatchObject([
      {
        step: 'divert',
        why: 'condition-not-met',
        reason: expect.stringContaining('metrics.harmRate > 0.05'),
      },
      { step: 'rollback', why: 'failed' },
      { step: 'second', why: 'skipped', reason: 'it had not started when the incident ended' },
      { step: 'third', why: 'skipped', reason: 'skipped by ben' },
    ]);
  });

  it('is not called nothing while the incident is open', () => {
    const incident = only(
      observed({
        state: 'triggered',
        milestones: { triggered: TRIGGERED_MS },
        alerts: [alert()],
        timeline: [],
        steps: [step('divert', 'watching')],
      }),
    );
    expect(incident.signs).toEqual(['changes-not-known', 'still-open']);
    expect(incident.notDone[0]?.why).toBe('not-yet');
    expect(incident.notKnown).toEqual(['What was changed on the target is read when the incident ends.']);
  });

  it('says where a condition was unknown, also where it would have acted for that', () => {
    const skipped = observed({
      timeline: [changesSeen()],
      steps: [step('divert', 'skipped', 'unknown: harmRate has no data')],
    });
    expect(only(skipped).signs).toContain('condition-unknown');
    expect(only(skipped).notDone[0]).toMatchObject({
      why: 'condition-unknown',
      reason: 'its condition could not be measured (harmRate has no data)',
    });
    const acted = { ...WOULD_DIVERT, data: { ...WOULD_DIVERT.data, unknown: 'harmRate has no data' } };
    const incident = only(observed({ timeline: [acted], lastHarmRate: undefined }));
    expect(incident.signs).toEqual(
      expect.arrayContaining(['would-contain', 'condition-unknown', 'harm-rate-not-measured']),
    );
    expect(incident.notKnown).toContainEqual(expect.stringContaining('No harm rate was measured'));
    expect(only(observed()).signs).not.toContain('condition-unknown');
  });

  it('could not have been done without a usable target', () => {
    const incident = only(
      observed({ target: undefined, targetProblem: 'no such label', timeline: [], steps: [] }),
    );
    expect(incident.signs).toContain('would-do-nothing');
    expect(incident.signs).not.toContain('changes-not-known');
    expect(incident.notKnown[0]).toContain('no usable target');
  });
});

describe('what people did', () => {
  it('stands in order of time: decisions, notes, changes of the target, the end of the alert', () => {
    const incident = only(
      observed({
        timeline: [
          WOULD_DIVERT,
          entry(21, 'decision', 'Approval of rollback asked from ml-oncall'),
          ACKNOWLEDGED,
          entry(900, 'note', 'added a note', { actor: 'ben', data: { text: 'rolling back by hand' } }),
          entry(2_300, 'decision', 'resolved the incident', { actor: 'ben', data: { reason: 'v5 is back' } }),
          changesSeen(ROLLOUT),
        ],
      }),
    );
    expect(incident.done).toEqual([
      { afterMs: 245_000, kind: 'decision', text: 'acknowledged', who: 'mara' },
      { afterMs: 900_000, kind: 'note', text: 'added a note', who: 'ben', words: 'rolling back by hand' },
      { afterMs: 31 * MINUTE, kind: 'target-change', text: ROLLOUT[1] },
      { afterMs: 38 * MINUTE, kind: 'alert-ended', text: 'no alert fires any more' },
      {
        afterMs: 2_300_000,
        kind: 'decision',
        text: 'resolved the incident',
        who: 'ben',
        words: 'v5 is back',
      },
    ]);
    expect(incident).toMatchObject({ firstChangeAfterMs: 31 * MINUTE, alertEndedAfterMs: 38 * MINUTE });
    expect(incident.signs).toContain('target-changed');
    expect(incident.signs).not.toContain('ended-by-itself');
  });

  it('was perhaps not needed where the alert ended and nobody changed anything', () => {
    expect(only(observed()).signs).toContain('ended-by-itself');
    const acknowledged = observed({ timeline: [WOULD_DIVERT, ACKNOWLEDGED, changesSeen()] });
    expect(only(acknowledged).signs).toContain('ended-by-itself');
    expect(only(acknowledged).notKnown[0]).toContain('may have ended by itself');
  });

  it.each<[string, Partial<IncidentView>]>([
    ['the target was changed', { timeline: [changesSeen(ROLLOUT)] }],
    ['the target could not be looked at', { timeline: [WOULD_DIVERT] }],
    ['an alert still fires', { alerts: [alert(10), alert()] }],
    ['there is no alert to tell', { alerts: [] }],
    [
      'somebody wrote a note',
      { timeline: [changesSeen(), entry(9, 'note', 'added a note', { actor: 'ben', data: { text: 'x' } })] },
    ],
    [
      'somebody forced the breaker',
      { timeline: [changesSeen(), entry(9, 'decision', 'forces the breaker: open', { actor: 'ben' })] },
    ],
    ['people call it a false positive', { outcome: 'false-positive' }],
    ['it is still open', { milestones: { triggered: TRIGGERED_MS } }],
  ])('is not called needless where %s', (_why, change) => {
    expect(only(observed(change)).signs).not.toContain('ended-by-itself');
  });

  it('is not known where the cluster could not tell, and says so', () => {
    const incident = only(
      observed({
        timeline: [
          WOULD_DIVERT,
          entry(2_400, 'evidence', 'could not be read', { data: { problem: 'away' } }),
        ],
      }),
    );
    expect(incident.signs).toContain('changes-not-known');
    expect(incident.notKnown).toEqual(['What was changed on the target could not be read.']);
    const odd = [{ atMs: 'x', what: 'y' }, null, { atMs: at(5) }];
    const evidence = entry(2_400, 'evidence', 'odd', { data: { targetChanges: odd } });
    expect(only(observed({ timeline: [evidence] })).done.map(({ kind }) => kind)).toEqual(['alert-ended']);
  });

  it('cuts what people wrote to a line', () => {
    const note = entry(9, 'note', 'added a note', { actor: 'ben', data: { text: 'x'.repeat(4_000) } });
    expect(only(observed({ timeline: [note] })).done[0]?.words).toHaveLength(300);
  });
});

describe('the totals', () => {
  const contained = (id: string, divertAfter: number, change: Partial<IncidentView> = {}) =>
    observed({
      incidentId: id,
      ...change,
      timeline: [
        { ...WOULD_DIVERT, atMs: at(divertAfter) },
        ...WOULD_FOLLOW,
        ...(change.timeline ?? [changesSeen()]),
      ],
    });

  it('leave out incidents of other modes', () => {
    expect(report(observed({ mode: 'approve' }), observed({ mode: 'auto' })).totals.incidents).toBe(0);
  });

  it('compare medians over the incidents that would have been contained, with how many are known', () => {
    const { totals } = report(
      contained('a', 10, { timeline: [changesSeen([600, 'x'], [700, 'y'])] }),
      contained('b', 20, { timeline: [changesSeen([15, 'x'])], alerts: [alert(100)] }),
      contained('c', 60, { timeline: [], alerts: [alert()] }),
      // Not contained: its slow people say nothing about containment.
      observed({ timeline: [changesSeen([9_000, 'x'])], alerts: [alert(9_500)], steps: [] }),
    );
    expect(totals).toMatchObject({
      incidents: 4,
      toContainment: { medianMs: 20_000, count: 3 },
      toFirstChange: { medianMs: (600_000 + 15_000) / 2, count: 2 },
      toAlertEnd: { medianMs: (2_280_000 + 100_000) / 2, count: 2 },
      containedBeforeFirstChange: { count: 1, of: 2 },
    });
    expect(totals.signs).toMatchObject({
      'would-contain': 3,
      'would-do-nothing': 1,
      'target-changed': 3,
      'changes-not-known': 1,
    });
  });

  it('name the diversions that nobody would have wanted', () => {
    const { totals } = report(
      contained('a', 10, { outcome: 'false-positive' }),
      contained('b', 10),
      observed({ outcome: 'false-positive', timeline: [], steps: [] }),
    );
    expect(totals).toMatchObject({ containedFalsePositives: 1, containedEndedByItself: 1 });
    expect(totals.signs).toMatchObject({ 'false-positive': 2, 'ended-by-itself': 1 });
  });

  it('have no median without incidents', () => {
    expect(report().totals).toMatchObject({ incidents: 0, toContainment: { count: 0 } });
    expect(report().totals.toContainment).not.toHaveProperty('medianMs');
  });

  it('never claim that it would have worked, and say that this is not known', () => {
    const { caveats, ...rest } = report(observed(), contained('a', 10));
    expect(caveats[0]).toContain('is not known');
    expect(JSON.stringify(rest)).not.toMatch(/\b(saved|prevented|avoided|would have (worked|helped|fixed))/i);
  });
});
