import { describe, expect, it } from 'vitest';
import { rehearsedJson } from '../../simulation/json.ts';
import { coverageOf } from '../../simulation/rehearse.ts';
import { stillOpen } from '../../simulation/still-open.ts';
import { BAD_ABOVE_GOOD, failed, LABELS, rehearsed, write } from './scenarios.ts';

/** The issue asks for a 15-day timer within this, on two cores that others use too. */
const FIFTEEN_DAYS_WITHIN_MS = 5_000;
const APPROVED = {
  world: BAD_ABOVE_GOOD,
  alerts: [{ labels: LABELS, resolved: { after: 'restored', wait: '5m' } }],
  people: [{ after: 'asked-rollback', wait: '3m', person: 'maria', does: 'approve' }],
};

describe('a simulated incident', () => {
  it('goes the whole way: contained, rolled back, proved, restored, closed', async () => {
    const result = await rehearsed({
      ...APPROVED,
      expect: {
        state: 'closed',
        outcome: 'recovered',
        milestones: {
          contained: { within: '2m' },
          approved: { notBefore: '3m', within: '3m' },
          recovered: {},
        },
        breaker: ['open', 'half-open', 'closed'],
        changes: ['divert', 'rollback', 'half-open', 'restore'],
        paged: ['ml-oncall', 'security-oncall'],
        notPaged: ['commander'],
        asked: { rollback: ['ml-oncall', 'commander'] },
        humanNeeded: [],
        refused: [],
        timeline: ['Breaker open', 'approved step rollback', 'Half-open', 'All traffic is back'],
        rounds: 1,
        incidents: 1,
      },
    });
    expect(failed(result)).toEqual([]);
  });

  it('is the same each time, to the byte', async () => {
    const [one, other] = [await rehearsed(APPROVED), await rehearsed(APPROVED)];
    const text = ({ file: _, ...rest }: object & { file?: string }) => JSON.stringify(rest);
    const json = (result: typeof one) =>
      text(rehearsedJson({ ...result, loaded: undefined, tookMs: 0 }) as { file?: string });
    expect(json(other)).toBe(json(one));
  });

  it('fails for what came otherwise, by name, and only for that', async () => {
    const result = await rehearsed({
      ...APPROVED,
      expect: {
        state: 'resolved',
        outcome: 'recovered',
        steps: { divert: 'skipped', restore: 'succeeded' },
        milestones: { contained: { within: '1s' }, restored: 'never', recovered: {} },
        changes: [],
        paged: ['ml-oncall'],
        asked: {},
        tasks: [{ lane: 'control', title: 'no such title' }],
        humanNeeded: ['somebody'],
        timeline: ['All traffic is back', 'Breaker open'],
        rounds: 2,
      },
    });
    expect(failed(result)).toEqual([
      'state',
      'steps.divert',
      'milestones.contained',
      'milestones.restored',
      'changes',
      'paged',
      'asked',
      'tasks[0]',
      'humanNeeded',
      'timeline',
      'rounds',
    ]);
  });

  it('stays contained where the verification finds harm, and stops when nothing new would come', async () => {
    const { run } = await rehearsed({
      ...APPROVED,
      world: {
        ...BAD_ABOVE_GOOD,
        revisions: [
          BAD_ABOVE_GOOD.revisions[0],
          { revision: 6, image: 'llm:v6', harmRate: 0.06, known: 'good' },
        ],
      },
    });
    expect(run.end).toBe('settled');
    expect(run.observed.breaker).toEqual(['open', 'half-open', 'open']);
    expect(run.incidents[0]?.view).toMatchObject({ state: 'needs-human', outcome: 'not-recovered' });
  });

  it('shows what people are refused, and fails by it unless it was expected', async () => {
    const people = [
      { after: 'asked-rollback', wait: '1m', person: 'maria', does: 'reject', reason: 'keep it' },
      { after: 'rollback', wait: '1m', person: 'jo', does: 'approve', step: 'rollback' },
    ];
    const result = await rehearsed({ world: BAD_ABOVE_GOOD, people, expect: { outcome: 'rejected' } });
    expect(failed(result)).toEqual(['refused']);
    expect(result.run.events).toMatchObject([
      { kind: 'person', text: expect.stringContaining('does not wait for an approval') },
    ]);
    const expected = { outcome: 'rejected', refused: ['does not wait for an approval'] };
    expect(failed(await rehearsed({ world: BAD_ABOVE_GOOD, people, expect: expected }))).toEqual([]);
  });

  it('refuses an approval by somebody of another group, and fails by it unless it was expected', async () => {
    const people = [
      { after: 'asked-rollback', person: 'jo', does: 'approve', groups: ['security-oncall'] },
      { after: 'asked-rollback', wait: '1m', person: 'maria', does: 'reject' },
    ];
    const scenario = { world: BAD_ABOVE_GOOD, people, expect: { outcome: 'rejected' } };
    expect(failed(await rehearsed(scenario))).toEqual(['refused']);
    const refused = ['jo is in none of the groups'];
    expect(failed(await rehearsed({ ...scenario, expect: { outcome: 'rejected', refused } }))).toEqual([]);
  });

  it('fails where somebody never comes to do what is written', async () => {
    const result = await rehearsed({
      world: { target: { mode: 'observe' }, ...BAD_ABOVE_GOOD },
      people: [{ after: 'asked-rollback', person: 'maria', does: 'approve' }],
      expect: { wouldHave: ['divert', 'rollback', 'verify', 'restore'], changes: [] },
    });
    expect(failed(result)).toEqual(['people']);
    expect(result.run.undone).toEqual(['maria: approve: there was no asked-rollback']);
  });

  it('makes a fresh plan where somebody ships between question and answer', async () => {
    const { run } = await rehearsed({
      ...APPROVED,
      world: { ...BAD_ABOVE_GOOD, shipped: [{ at: '1m', image: 'llm:v8', harmRate: 0.1 }] },
      people: [
        { after: 'asked-rollback', wait: '3m', person: 'maria', does: 'approve' },
        { after: 'asked-rollback', occurrence: 2, wait: '1m', person: 'maria', does: 'approve' },
      ],
    });
    expect(run.undone).toEqual([]);
    expect(run.incidents[0]?.view).toMatchObject({
      state: 'closed',
      rollback: { fromRevision: 8, toRevision: 6 },
    });
  });

  it('has vendors that fail and come back', async () => {
    const { run } = await rehearsed({
      ...APPROVED,
      vendors: [
        { vendor: 'records', until: '10m' },
        { vendor: 'prometheus', until: '50s' },
        { vendor: 'pager', for: ['security-oncall'], until: '30s' },
      ],
    });
    expect(run.incidents[0]?.view).toMatchObject({ state: 'closed', outcome: 'recovered' });
    expect(run.events.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        'records: unavailable',
        'prometheus: unavailable',
        'prometheus: works again',
        'pager (security-oncall): works again',
      ]),
    );
  });

  it('opens a linked incident where the alert fires anew after closing', async () => {
    const { run } = await rehearsed({
      ...APPROVED,
      alerts: [...APPROVED.alerts, { labels: LABELS, after: 'closed', wait: '10m' }],
      people: [
        ...APPROVED.people,
        { after: 'asked-rollback', occurrence: 2, wait: '1m', person: 'maria', does: 'reject' },
      ],
      expect: { incidents: 2, outcome: 'rejected' },
    });
    expect(run.incidents).toHaveLength(2);
    expect(run.incidents[1]?.view.predecessorId).toBe(run.incidents[0]?.view.incidentId);
  });

  it('never runs for ever: the time of the scenario ends it', async () => {
    const { run, loaded } = await rehearsed({ ...APPROVED, people: [], until: '5m' });
    expect(run).toMatchObject({ end: 'until', endMs: run.startMs + 300_000 });
    const open = loaded ? stillOpen(run, loaded.runbook) : [];
    expect(open).toContain('rollback still waits for 1 of ml-oncall or commander');
    expect(open).toContain('verify still waits for rollback');
  });

  it('lets fifteen days pass in seconds', async () => {
    const runbook = write(
      'waits.yaml',
      [
        'apiVersion: firebreak.dev/v1alpha1',
        'kind: Runbook',
        'metadata: { name: waits, owner: me, version: 1 }',
        'spec:',
        '  match: [alertname="A"]',
        '  correlateBy: [alertname]',
        `  severity: '"SEV3"'`,
        '  steps:',
        '    - { id: wait, uses: wait, with: { for: 15d } }',
        '    - { id: page, uses: page, needs: [wait], with: { roles: [ml-oncall] } }',
        '',
      ].join('\n'),
    );
    const result = await rehearsed(
      {
        alerts: [{ labels: { alertname: 'A' } }],
        until: '20d',
        expect: { milestones: { paged: { notBefore: '15d', within: '15d' } } },
      },
      runbook,
    );
    expect(failed(result)).toEqual([]);
    expect(result.run.stats.activities).toBeLessThan(50);
    expect(result.tookMs).toBeLessThan(FIFTEEN_DAYS_WITHIN_MS);
  });
});

describe('a Prometheus that is too slow', () => {
  it('leaves conditions unknown after the time at which its client gives up', async () => {
    const { run } = await rehearsed({
      ...APPROVED,
      vendors: [{ vendor: 'prometheus', fails: 'slow', until: '1m' }],
    });
    const entries = run.incidents[0]?.entries ?? [];
    const severity = entries.find(({ text }) => text.startsWith('Severity '));
    expect(severity?.text).toContain('no answer');
    expect((severity?.atMs ?? 0) - run.startMs).toBe(10_000);
    expect([...run.observed.decided.values()].flat().some(({ result }) => result === 'unknown')).toBe(true);
  });
});

describe('coverage', () => {
  it('does not take for run what only would have run, nor a condition that another step decided', async () => {
    const [coverage] = coverageOf([
      await rehearsed({ world: { target: { mode: 'observe' }, ...BAD_ABOVE_GOOD }, people: [] }),
    ]);
    const divert = coverage?.never.find(({ step }) => step === 'divert')?.branches;
    expect(divert).toContain('ran');
    expect(divert).not.toContain('condition held');
  });

  it('credits a condition to the step that decided it, not to one that was skipped before', async () => {
    const runbook = write(
      'same-condition.yaml',
      [
        'apiVersion: firebreak.dev/v1alpha1',
        'kind: Runbook',
        'metadata: { name: same-condition, owner: me, version: 1 }',
        'spec:',
        '  match: [alertname="A"]',
        '  correlateBy: [alertname]',
        `  severity: '"SEV3"'`,
        '  steps:',
        '    - { id: page, uses: page, with: { roles: [ml-oncall] } }',
        '    - { id: one, uses: notify, when: incident.firing > 0, with: { to: a, text: x } }',
        '    - { id: never, uses: wait, when: incident.firing > 100, with: { for: 1s } }',
        '    - { id: two, uses: notify, needs: [never], when: incident.firing > 0, with: { to: a, text: x } }',
        '',
      ].join('\n'),
    );
    const spec = { alerts: [{ labels: { alertname: 'A' } }], expect: { paged: ['ml-oncall'] } };
    const [coverage] = coverageOf([await rehearsed(spec, runbook)]);
    const never = Object.fromEntries((coverage?.never ?? []).map(({ step, branches }) => [step, branches]));
    expect(never.one).not.toContain('condition held');
    expect(never.two).toContain('condition held');
    expect(never.never).toContain('ran');
    expect(never.never).not.toContain('condition did not hold');
  });

  it('counts steps that ran and branches that were taken, over all scenarios of a runbook', async () => {
    const approved = await rehearsed(APPROVED);
    const rejected = await rehearsed({
      world: BAD_ABOVE_GOOD,
      people: [{ after: 'asked-rollback', person: 'maria', does: 'reject' }],
    });
    const [one] = coverageOf([rejected]);
    const [both] = coverageOf([approved, rejected]);
    expect(one?.never).toContainEqual({ step: 'restore', branches: ['ran', 'failed'] });
    expect(one?.never.find(({ step }) => step === 'rollback')?.branches).toEqual(
      expect.arrayContaining(['ran', 'approval given', 'approval overdue', 'failed']),
    );
    expect(both?.steps.covered).toBe(both?.steps.all);
    expect(both?.scenarios).toBe(2);
    expect(both?.branches.covered).toBeGreaterThan(one?.branches.covered ?? 0);
    expect(both?.never.find(({ step }) => step === 'rollback')?.branches).not.toContain('approval rejected');
  });
});
