import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { TargetInquiry } from '../../domain/rollback-inquiry.ts';
import type { Target } from '../../domain/target.ts';
import { PLANNING_WORKFLOW } from '../../workflows/messages.ts';
import type { PlanningInput } from '../../workflows/planning/workflow.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { TARGET, World } from './world.ts';

const HOUR_MS = 3_600_000;

function plan({ env }: IncidentDriver, target: Target): Promise<TargetInquiry> {
  const input: PlanningInput = {
    target,
    ledger: {},
    to: 'previous',
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: { forMs: HOUR_MS, minClassified: 500, harmRateBelow: 0.01, metrics: {} },
  };
  return env.client.workflow.execute(PLANNING_WORKFLOW, {
    workflowId: `planning-${target.cluster}`,
    taskQueue: 'firebreak',
    args: [input],
  });
}

describe('planning', () => {
  it('gives the plan with what revisions served and how the rollout stands, and changes nothing', async () => {
    const world = new World();
    await withIncident(world, async (driver) => {
      const { answer, history, facts, rollout } = await plan(driver, TARGET);
      expect('plan' in answer && answer.plan).toMatchObject({ to: { revision: 1 }, requested: 'previous' });
      expect(history.map(({ revision, served }) => [revision, served?.classified])).toEqual([
        [2, 1_000],
        [1, 1_000],
      ]);
      expect(facts.mode).toBe('approve');
      expect(rollout?.outcome).toBe('complete');
    });
    expect(world.rollouts).toBe(0);
    expect(world.breakers).toEqual([]);
  });

  it('has the whole history where no rollback is possible', async () => {
    const world = new World();
    const activities = world.activities.bind(world);
    world.activities = (signaling) => {
      const real = activities(signaling);
      return {
        ...real,
        planRollback: async (input) =>
          typeof input.to === 'string'
            ? { none: { reason: 'no revision is known to be good', candidates: [] } }
            : real.planRollback(input),
      };
    };
    await withIncident(world, async (driver) => {
      const { answer, history } = await plan(driver, TARGET);
      expect(answer).toEqual({ none: { reason: 'no revision is known to be good', candidates: [] } });
      expect(history.map(({ revision }) => revision)).toEqual([2, 1]);
    });
  });

  it('says which worker does not answer', async () => {
    await withIncident(new World(), async (driver) => {
      const failure = await plan(driver, { ...TARGET, cluster: 'away' }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(WorkflowFailedError);
      const { cause } = failure as WorkflowFailedError;
      expect(cause).toBeInstanceOf(ApplicationFailure);
      expect(cause).toMatchObject({
        type: 'Unavailable',
        message: expect.stringContaining(
          'The worker of cluster away has not answered for 15 s (queue firebreak-cluster-away)',
        ),
      });
    });
  });
});
