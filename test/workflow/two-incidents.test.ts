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

  it('lets the first one go on while the second still waits for people, and keeps traffic away until it lets go', async () => {
    const world = new SharedWorld();
    await withTwo(world, async (first, second) => {
      const [one, two] = [await first.until('waiting', waits), await second.until('waiting', waits)];
      await first.approve(first.signed(one, 'maria'));
      await first.until('recovered', ({ milestones }) => milestones.recovered !== undefined);
      const held = await first.until('held', (view) => told(view).includes(`held by ${two.incidentId}`));
      expect(held.breaker?.state).not.toBe('closed');
      expect(world.breakers.map(({ state }) => state)).not.toContain('closed');

      await second.approve(second.signed(two, 'sam'));
      await second.until('mitigated', mitigated);
      await first.until('mitigated', mitigated);
      expect(world.rollouts).toBe(1);
      expect((await describeTarget(first)).breaker.state).toBe('closed');
      expect((await describeTarget(first)).holders).toEqual([]);
    });
  });

  it('is closed by the first when a person takes the second one back', async () => {
    const world = new SharedWorld();
    await withTwo(world, async (first, second) => {
      const [one, two] = [await first.until('waiting', waits), await second.until('waiting', waits)];
      await first.approve(first.signed(one, 'maria'));
      await first.until('held', (view) => told(view).includes(`held by ${two.incidentId}`));
      await second.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'the same harm as the other incident' }],
      });
      await first.until('mitigated', mitigated);
      expect(world.rollouts).toBe(1);
      expect((await describeTarget(first)).breaker.state).toBe('closed');
    });
  });

  it('roll back by themselves once in 24 h together: the second one asks people', async () => {
    const world = new SharedWorld();
    world.facts = { ...world.facts, mode: 'auto' };
    // While a diversion holds there is time to ask: only without one may a runbook approve.
    const automatic = (runbook: CompiledRunbook): CompiledRunbook => ({
      ...runbook,
      steps: runbook.steps
        .filter(({ id }) => id !== 'divert')
        .map((step) =>
          step.approval
            ? { ...step, approval: { ...step.approval, preapprovedWhen: 'metrics.harmRate > 0.05' } }
            : step,
        ),
    });
    const runbooks = {
      first: automatic(unhurried(await shippedRunbook())),
      second: automatic(await otherRunbook()),
    };
    await withTwo(
      world,
      async (first, second) => {
        await first.until(
          'decided',
          (view) => waits(view) || stepOf(view, 'rollback')?.status === 'succeeded',
        );
        await second.until(
          'decided',
          (view) => waits(view) || stepOf(view, 'rollback')?.status === 'succeeded',
        );
        const views = [await first.view(), await second.view()];
        expect(views.map((view) => waits(view)).sort()).toEqual([false, true]);
        expect(world.rollouts).toBe(1);
      },
      runbooks,
    );
  });
});
