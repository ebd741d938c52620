/** Two incidents, by different runbooks, about one target at once: its one actor keeps them apart. */
import { describe, expect, it } from 'vitest';
import type { SignalingActivities } from '../../activities/contract.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { targetWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { IncidentDriver, shippedRunbook, unhurried, withIncident } from './harness.ts';
import { type AllActivities, TARGET, World } from './world.ts';

const waits = ({ pendingApprovals }: IncidentView) => pendingApprovals.length === 1;
const mitigated = ({ state }: IncidentView) => state === 'mitigated';
const ended = (view: IncidentView) => view.steps.every(({ endedAtMs }) => endedAtMs !== undefined);
const stepOf = (view: IncidentView, id: string) => view.steps.find((step) => step.id === id);
const told = (view: IncidentView) => view.timeline.map(({ text }) => text).join('\n');

/** One cluster for both: it patches a template that stands there already no second time, and writes down who did what when. */
class SharedWorld extends World {
  /** Begin and end of everything that changes the deployment, in order. */
  readonly changes: string[] = [];
  private writing = 0;
  /** Writes of the breaker under way at once, at most. */
  mostWriting = 0;

  override activities(
    signalTarget: Pick<SignalingActivities, 'commandTarget' | 'raiseAlert'>,
  ): AllActivities {
    const all = super.activities(signalTarget);
    return {
      ...all,
      applyRollback: async (input) => {
        this.changes.push(`apply ${input.incidentId}`);
        const there = input.plan.to.templateHash === this.running.templateHash;
        const approvedBy = input.decisions.map(({ decision }) => decision.person);
        return there
          ? { result: 'already-there', generation: 3, revision: 3, approvedBy }
          : await all.applyRollback(input);
      },
      awaitRollout: async (input) => {
        const result = await all.awaitRollout(input);
        this.changes.push(result.outcome);
        return result;
      },
      projectBreaker: async (input) => {
        this.mostWriting = Math.max(this.mostWriting, ++this.writing);
        try {
          return await all.projectBreaker(input);
        } finally {
          this.writing--;
        }
      },
    };
  }
}

/** The shipped runbook under another name: other alerts, the same target. */
async function otherRunbook(change: (step: StepPlan) => StepPlan = (step) => step): Promise<CompiledRunbook> {
  const shipped = unhurried(await shippedRunbook());
  return { ...shipped, name: 'ai-latency-response', hash: 'another', steps: shipped.steps.map(change) };
}

/** Runs a test with two incidents that have both been sent their alert. */
async function withTwo(
  world: World,
  test: (first: IncidentDriver, second: IncidentDriver) => Promise<void>,
  runbooks: { first?: CompiledRunbook; second?: CompiledRunbook } = {},
): Promise<void> {
  const second = runbooks.second ?? (await otherRunbook());
  await withIncident(
    world,
    async (first) => {
      const other = new IncidentDriver(first.env, 'firebreak', TARGET, second, {});
      await Promise.all([first.send(first.alert()), other.send(other.alert())]);
      await test(first, other);
    },
    { runbook: runbooks.first },
  );
}

const describeTarget = ({ env }: IncidentDriver) =>
  env.client.workflow.getHandle(targetWorkflowId(TARGET)).query(messages.describeTargetQuery);

describe('two incidents about one target', () => {
  it('change the revision once, one after the other, and the breaker closes when the last one lets go', async () => {
    const world = new SharedWorld();
    await withTwo(world, async (first, second) => {
      const plans = [await first.until('waiting', waits), await second.until('waiting', waits)] as const;
      expect(new Set(plans.map(({ incidentId }) => incidentId)).size).toBe(2);
      expect((await describeTarget(first)).holders.sort()).toEqual(
        plans.map(({ incidentId }) => incidentId).sort(),
      );
      await Promise.all([
        first.approve(first.signed(plans[0], 'maria')),
        second.approve(second.signed(plans[1], 'sam')),
      ]);
      const views = [await first.until('mitigated', mitigated), await second.until('mitigated', mitigated)];

      expect(world.rollouts).toBe(1);
      const applied = world.changes.filter((change) => change.startsWith('apply'));
      expect(applied.sort()).toEqual(plans.map(({ incidentId }) => `apply ${incidentId}`).sort());
      // Each is applied and waited for before the next begins.
      expect(world.changes.map((change) => change.split(' ')[0])).toEqual([
        'apply',
        'complete',
        'apply',
        'complete',
      ]);
      expect(views.map((view) => stepOf(view, 'rollback')?.outputs?.applied).sort()).toEqual([
        'already-there',
        'patched',
      ]);
      expect(world.mostWriting).toBe(1);

      const target = await describeTarget(first);
      expect(target.breaker.state).toBe('closed');
      expect(target.holders).toEqual([]);
      expect(world.breakers.filter(({ state }) => state === 'closed')).toHaveLength(1);
      expect(views.map(told).join('\n')).toContain('held by');
    });
  });
});
