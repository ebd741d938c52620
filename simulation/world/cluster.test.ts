import { describe, expect, it } from 'vitest';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { scenarioSchema } from '../scenario/schema.ts';
import { Cluster } from './cluster.ts';
import { Traffic } from './traffic.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const TARGET = { cluster: 'local', namespace: 'ai', kind: 'Deployment', name: 'llm-api' } as const;
const SEVEN = { revision: 7, image: 'llm:v7', harmRate: 0.12 };

function cluster(world: object) {
  const scenario = scenarioSchema.parse({
    apiVersion: 'firebreak.dev/v1alpha1',
    kind: 'Scenario',
    metadata: { name: 'x' },
    spec: { alerts: [{ labels: {} }], world, expect: { state: 'closed' } },
  });
  const traffic = new Traffic({
    startMs: START,
    requestsPerSecond: scenario.spec.world.traffic.requestsPerSecond,
    classified: [{ atMs: START, value: 1 }],
    fallbackHarmRate: [{ atMs: START, value: 0 }],
  });
  const made = new Cluster(TARGET, scenario.spec.world, traffic, START);
  const plan = (
    to: 'last-known-good' | 'previous' = 'last-known-good',
    gitops: 'refuse' | 'suspend' = 'refuse',
  ) =>
    made.planRollback(
      {
        target: TARGET,
        to,
        ledger: made.ledger(START),
        approval: { from: ['ml-oncall'], count: 1 },
        gitops,
        served: { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} },
      },
      START,
    );
  return { made, traffic, plan };
}

async function planned(one: ReturnType<typeof cluster>): Promise<RollbackPlan> {
  const answer = await one.plan();
  if (!('plan' in answer)) throw new Error(answer.none.reason);
  return answer.plan;
}

describe('the simulated Deployment', () => {
  it('is rolled back to the newest revision that served well, by the real choice', async () => {
    const one = cluster({
      revisions: [
        SEVEN,
        { revision: 6, image: 'llm:v6', harmRate: 0.05 },
        { revision: 5, image: 'llm:v5', known: 'bad' },
        { revision: 4, image: 'llm:v4', harmRate: 0.001 },
      ],
    });
    expect(await planned(one)).toMatchObject({ from: { revision: 7 }, to: { revision: 4 } });
  });

  it('has no rollback where nothing is known to be good, and says why', async () => {
    const one = cluster({ revisions: [SEVEN, { revision: 6, image: 'llm:v6', served: false }] });
    expect(await one.plan()).toMatchObject({
      none: { reason: expect.stringContaining('never verified'), candidates: [{ revision: 6 }] },
    });
  });

  it('does not cross a rollback barrier', async () => {
    const one = cluster({
      revisions: [
        { ...SEVEN, barrier: true },
        { revision: 6, image: 'llm:v6', known: 'good' },
      ],
    });
    expect(await one.plan()).toMatchObject({ none: { reason: expect.stringContaining('barrier') } });
  });

  it('hands over the revert where its template comes from Git', async () => {
    const one = cluster({
      target: { gitops: 'Argo CD Application llm-api' },
      revisions: [SEVEN, { revision: 6, image: 'llm:v6', known: 'good' }],
    });
    expect(await one.plan()).toMatchObject({
      none: {
        reason: expect.stringContaining('Argo CD'),
        revert: expect.stringContaining('+    - image: llm:v6'),
      },
    });
  });

  it('is kept from syncing by the rollback where the runbook says so, and stays so', async () => {
    const one = cluster({
      target: { gitops: 'Argo CD Application llm-api' },
      revisions: [SEVEN, { revision: 6, image: 'llm:v6', known: 'good' }],
    });
    const answer = await one.plan('last-known-good', 'suspend');
    if (!('plan' in answer)) throw new Error(answer.none.reason);
    expect(answer.plan.gitops?.suspend).toHaveLength(1);
    expect(answer.plan.warnings.join()).toContain('Argo CD Application llm-api will be suspended');
    expect(one.made.suspensions()).toEqual([]);
    one.made.applyRollback(answer.plan, START);
    expect(one.made.suspensions()).toMatchObject([{ state: 'suspended', shown: false }]);
  });

  it('gets a new revision by a rollback, which serves once the rollout is done', async () => {
    const one = cluster({
      revisions: [SEVEN, { revision: 6, image: 'llm:v6', known: 'good' }],
      rollout: { takes: '60s' },
    });
    const plan = await planned(one);
    expect(one.made.applyRollback(plan, START)).toMatchObject({ result: 'patched', revision: 8 });
    expect(one.made.rollOut(START)).toEqual({ outcome: 'complete', takes: 60_000 });
    expect(one.traffic.servingAt(START + 59_000)).toBe(plan.from.templateHash);
    expect(one.traffic.servingAt(START + 60_000)).toBe(plan.to.templateHash);
    expect(one.made.applyRollback(plan, START)).toMatchObject({ result: 'already-there' });
  });

  it('refuses a plan that was overtaken by what somebody shipped', async () => {
    const one = cluster({ revisions: [SEVEN, { revision: 6, image: 'llm:v6', known: 'good' }] });
    const plan = await planned(one);
    one.made.ship({ at: 0, image: 'llm:v8', harmRate: [{ atMs: 0, value: 0 }] }, START, START);
    expect(() => one.made.applyRollback(plan, START)).toThrow(/changed since the plan was made/);
    expect(one.made.facts()).toMatchObject({ revision: 8, images: ['llm:v8'] });
  });

  it('tells changes within the time that is asked for, newest first', () => {
    const one = cluster({
      revisions: [{ ...SEVEN, since: '-30m' }],
      changes: [
        { at: '-2h', what: 'ConfigMap prompts written' },
        { at: '1h', what: 'later' },
      ],
    });
    expect(one.made.listChanges(START - 3 * 3_600_000, START).changes.map(({ what }) => what)).toEqual([
      'rollout of revision 7',
      'ConfigMap prompts written',
    ]);
  });
});
