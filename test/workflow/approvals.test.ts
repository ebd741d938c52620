/** Who may let a step run: several people, nobody in time, the runbook's own version, one person alone. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { SignalingActivities } from '../../activities/contract.ts';
import type { Decision } from '../../domain/decision.ts';
import type { GitRevert } from '../../domain/gitops-plan.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { ApprovalSpec, CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import type { Mode } from '../../domain/target.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, outOfStep, shippedRunbook, withIncident } from './harness.ts';
import { type AllActivities, World } from './world.ts';

const HARMFUL = 'metrics.harmRate > 0.05';

/** The shipped runbook with approvals changed by step; `without` are steps that it does not have. */
async function runbookWith(
  approvals: Record<string, Partial<ApprovalSpec>>,
  without: readonly string[] = [],
): Promise<CompiledRunbook> {
  const shipped = await shippedRunbook();
  const asked: ApprovalSpec = { from: ['ml-oncall'], count: 1, timeoutMs: 600_000, onTimeout: 'escalate' };
  const change = (step: StepPlan): StepPlan => {
    const approval = approvals[step.id];
    const changed =
      approval === undefined ? outOfStep(step) : { ...step, approval: { ...asked, ...approval } };
    return { ...changed, needs: step.needs.filter((need) => !without.includes(need)) };
  };
  return {
    ...shipped,
    watchEveryMs: 600_000,
    steps: shipped.steps.filter(({ id }) => !without.includes(id)).map(change),
  };
}

function worldIn(mode: Mode): World {
  const world = new World();
  world.facts = { ...world.facts, mode };
  return world;
}

function stepOf(view: IncidentView, id: string) {
  return view.steps.find((step) => step.id === id);
}
const waitsFor = (id: string) => (view: IncidentView) =>
  view.pendingApprovals.some(({ step }) => step === id);
const endedAs = (id: string, status: string) => (view: IncidentView) => stepOf(view, id)?.status === status;
const told = (view: IncidentView) => view.timeline.map(({ text }) => text);

function run<T>(
  world: World,
  runbook: CompiledRunbook,
  test: (incident: IncidentDriver) => Promise<T>,
): Promise<T> {
  return withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      return test(incident);
    },
    { runbook },
  );
}

describe('several people', () => {
  it('a step that asks two starts at the second person, and one person is not two', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ rollback: { count: 2 } }), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      expect((await incident.approve(incident.signed(waiting, 'maria'))).message).toMatch(/1 of 2/);
      await expect(
        incident.approve(incident.signed(waiting, 'maria', { reason: 'once more' })),
      ).rejects.toMatchObject({ cause: { message: 'maria has approved this plan already' } });
      expect((await incident.view()).pendingApprovals).toMatchObject([{ approvedBy: ['maria'], count: 2 }]);
      expect(world.rollouts).toBe(0);
      await incident.approve(incident.signed(waiting, 'sam'));
      await incident.until('rolled back', (view) => view.milestones.rolledBack !== undefined);
      expect(world.rollouts).toBe(1);
    });
  });

  it('one rejection outweighs an approval', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ rollback: { count: 2 } }), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.reject(incident.signed(waiting, 'sam', { decision: 'reject' }));
      const view = await incident.until('rejected', endedAs('rollback', 'rejected'));
      expect(stepOf(view, 'rollback')?.reason).toBe('rejected by sam');
      expect(world.rollouts).toBe(0);
    });
  });
});

describe('nobody in time', () => {
  it('onTimeout: reject ends the step, asks for a human, and stays contained', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ rollback: { onTimeout: 'reject' } }), async (incident) => {
      const view = await incident.until('rejected', endedAs('rollback', 'rejected'));
      expect(stepOf(view, 'rollback')?.reason).toBe('nobody approved in time');
      expect(view.humanNeeded.join()).toContain('step rollback was not approved in time');
      expect(view.breaker?.state).toBe('open');
      expect(world.rollouts).toBe(0);
    });
  });

  it('onTimeout: escalate pages the commander each time, and a late approval still counts', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ rollback: {} }), async (incident) => {
      const overdue = () => world.pages.filter(({ dedupKey }) => dedupKey.includes('approval-rollback'));
      const waiting = await incident.until('escalated twice', () => overdue().length >= 2);
      expect(overdue().map(({ role }) => role)).toEqual(overdue().map(() => 'commander'));
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('rolled back', (view) => view.milestones.rolledBack !== undefined);
    });
  });
});

describe('an approval that nobody gives in time', () => {
  it('has the next level of the page called, long before its own time', async () => {
    const world = worldIn('approve');
    const runbook = await runbookWith({ rollback: {} });
    const later = { afterMs: 24 * 3_600_000, to: ['platform-oncall'] };
    const steps = runbook.steps.map((step) =>
      step.uses === 'page' ? { ...step, with: { ...step.with, escalate: later } } : step,
    );
    await run(world, { ...runbook, steps }, async (incident) => {
      const called = () => world.pages.filter(({ role }) => role === 'platform-oncall');
      const view = await incident.until('the next level called', () => called().length > 0);
      const asked = view.milestones.triggered ?? 0;
      const overdue = view.timeline.find(({ text }) => text.includes('Nobody has decided on rollback'));
      expect((overdue?.atMs ?? Number.POSITIVE_INFINITY) - asked).toBeLessThan(later.afterMs);
    });
  });
});

describe('pre-approval', () => {
  const preapproved = { preapprovedWhen: HARMFUL };

  it('in mode auto the runbook approves a diversion, and its version is named', async () => {
    const world = worldIn('auto');
    const runbook = await runbookWith({ divert: preapproved });
    await run(world, runbook, async (incident) => {
      const view = await incident.until('diverted', endedAs('divert', 'succeeded'));
      expect(told(view)).toContain(`divert is approved by ${runbook.name} v${runbook.version}: ${HARMFUL}`);
      expect(told(view).join()).not.toContain('Approval of divert asked');
      expect(world.breakers[0]?.state).toBe('open');
    });
  });

  it('in mode approve people are asked all the same', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ divert: preapproved }), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('divert'));
      expect(world.breakers).toEqual([]);
      const planHash = waiting.pendingApprovals.find(({ step }) => step === 'divert')?.planHash ?? '';
      await incident.approve(incident.signed(waiting, 'maria', { step: 'divert', planHash }));
      await incident.until('diverted', endedAs('divert', 'succeeded'));
    });
  });

  it.each([
    ['unknown', undefined, /divert is not pre-approved: .*(unknown|no data)/],
    [
      'known not to hold',
      0.055,
      /divert is not pre-approved: it is not the case that metrics.harmRate > 0.06/,
    ],
  ] as const)('people are asked where the condition is %s', async (_what, harmRate, why) => {
    const world = worldIn('auto');
    world.harmRate = harmRate;
    const runbook = await runbookWith({ divert: { preapprovedWhen: 'metrics.harmRate > 0.06' } });
    await run(world, runbook, async (incident) => {
      const view = await incident.until('waiting', waitsFor('divert'));
      expect(told(view).filter((text) => why.test(text))).toHaveLength(1);
      expect(world.breakers).toEqual([]);
    });
  });

  it('never lets a rollback run by itself while traffic is diverted', async () => {
    const world = worldIn('auto');
    const runbook = await runbookWith({ rollback: preapproved });
    // The diversion first, or there would be nothing to hold it back.
    const steps = runbook.steps.map((step) =>
      step.id === 'rollback' ? { ...step, needs: [...step.needs, 'divert'] } : step,
    );
    await run(world, { ...runbook, steps }, async (incident) => {
      const view = await incident.until('waiting', waitsFor('rollback'));
      expect(view.breaker?.state).toBe('open');
      expect(world.rollouts).toBe(0);
    });
  });

  it('rolls back by itself once in 24 h, and asks people the second time', async () => {
    const world = worldIn('auto');
    await run(world, await runbookWith({ rollback: preapproved }, ['divert']), async (incident) => {
      await incident.until('verified', endedAs('verify', 'succeeded'));
      expect(world.rollouts).toBe(1);
      await incident.until('restored', (view) => stepOf(view, 'restore')?.endedAtMs !== undefined);
      await incident.until('postmortem', (view) => stepOf(view, 'postmortem')?.endedAtMs !== undefined);
      const retry = { step: 'rollback', reason: 'it is harmful again' };
      await incident.handle.executeUpdate(messages.retryStepUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, ...retry }],
      });
      const again = await incident.until('people being asked', waitsFor('rollback'));
      expect(told(again).join('\n')).toMatch(
        /The pre-approval of rollback does not count: .* was rolled back without people already/,
      );
      expect(world.rollouts).toBe(1);
      expect(again.milestones.approved).toBeUndefined();
      await incident.approve(incident.signed(again, 'maria'));
      await incident.until('rolled back again', endedAs('rollback', 'succeeded'));
      expect(world.rollouts).toBe(2);
    });
  });

  it('people decide on the same plan where the worker in the cluster does not believe the runbook', async () => {
    const world = worldIn('auto');
    let attempts = 0;
    world.beforeApply = () => {
      if (attempts++ === 0)
        throw ApplicationFailure.nonRetryable('no runbook with this hash', 'Unauthorized');
    };
    await run(world, await runbookWith({ rollback: preapproved }, ['divert']), async (incident) => {
      const view = await incident.until('waiting', waitsFor('rollback'));
      expect(told(view)).toContain('The pre-approval of rollback does not count: no runbook with this hash');
      expect(view.pendingApprovals[0]?.planHash).toBe('plan-1');
      expect(view.state).not.toBe('needs-human');
      expect(world.rollouts).toBe(0);
      await incident.approve(incident.signed(view, 'maria'));
      await incident.until('rolled back', endedAs('rollback', 'succeeded'));
      expect(world.rollouts).toBe(1);
    });
  });
});

/** Git writes the template; `git` says where, for a pull request. */
class GitWorld extends World {
  readonly git: GitRevert | undefined;
  proposal: () => ReturnType<AllActivities['proposeRevert']> = async () => ({
    state: 'opened',
    url: 'https://git.example/pulls/7',
    commit: 'c0ffee',
    files: ['llm.yaml'],
  });

  constructor(git?: GitRevert) {
    super();
    this.git = git;
  }

  override activities(signalTarget: SignalingActivities): AllActivities {
    const reason = 'Argo CD application models takes the template from Git';
    const none = { reason, revert: '-image: v2\n+image: v1', git: this.git, candidates: [this.previous] };
    return {
      ...super.activities(signalTarget),
      planRollback: async () => ({ none }),
      proposeRevert: () => {
        this.proposals++;
        return this.proposal();
      },
    };
  }
}

describe('gitops: refuse', () => {
  it('hands the change over to whoever reverts it in Git, and changes nothing', async () => {
    const world = new GitWorld();
    await run(world, await shippedRunbook(), async (incident) => {
      const view = await incident.until('refused', endedAs('rollback', 'failed'));
      expect(view.humanNeeded.join()).toMatch(
        /Argo CD application models takes .*Revert it in Git: see the prepared change on the timeline/,
      );
      expect(view.timeline.find(({ kind, data }) => kind === 'evidence' && data?.revert)?.data).toEqual({
        step: 'rollback',
        revert: '-image: v2\n+image: v1',
      });
      expect(view.pendingApprovals).toEqual([]);
      expect(world.rollouts).toBe(0);
      expect(world.proposals).toBe(0);
    });
  });
});

describe('gitops: pull-request', () => {
  const GIT: GitRevert = {
    owner: 'Application argocd/models',
    source: { repository: 'https://git.example/acme/models', path: 'prod', follows: 'main' },
    leave: ['llm:v2'],
    bringBack: ['llm:v1'],
  };
  const refused = async (world: GitWorld) =>
    run(world, await shippedRunbook(), async (incident) => {
      const view = await incident.until('refused', endedAs('rollback', 'failed'));
      expect(world.rollouts).toBe(0);
      return view;
    });

  it('opens one, and tells people to merge it', async () => {
    const world = new GitWorld(GIT);
    const view = await refused(world);
    expect(view.humanNeeded.join()).toMatch(
      /Merge https:\/\/git\.example\/pulls\/7, which takes it back in Git, and let Application argocd\/models sync it\. Then retry/,
    );
    expect(told(view)).toContain('Pull request opened: https://git.example/pulls/7');
    expect(world.proposals).toBe(1);
  });

  it('hands the change over where none can be made, and says why', async () => {
    const world = new GitWorld(GIT);
    world.proposal = async () => {
      throw ApplicationFailure.nonRetryable('llm.yaml was changed again', 'PreconditionFailed');
    };
    const view = await refused(world);
    expect(view.humanNeeded.join()).toMatch(
      /No pull request could be made: llm\.yaml was changed again\. Revert it in Git: see the prepared change/,
    );
  });

  it('opens none in a mode that changes nothing', async () => {
    const world = new GitWorld(GIT);
    world.facts = { ...world.facts, mode: 'observe' };
    const view = await run(world, await shippedRunbook(), (incident) =>
      incident.until('observed', endedAs('rollback', 'failed')),
    );
    expect(world.proposals).toBe(0);
    expect(JSON.stringify(view.timeline)).toContain('In observe mode no pull request is made');
  });
});

describe('break-glass', () => {
  const allowed = { rollback: { count: 2, breakGlass: true } };
  const alone: Partial<Decision> = { breakGlass: true, reason: 'nobody else answers', groups: ['commander'] };

  it('one person is enough where the runbook allows it; it is paged, shown and followed up', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith(allowed), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      expect(waiting.pendingApprovals[0]?.breakGlass).toBe(true);
      await incident.approve(incident.signed(waiting, 'kim', alone));
      const view = await incident.until('rolled back', endedAs('rollback', 'succeeded'));
      expect(view.breakGlass).toMatchObject([
        { person: 'kim', step: 'rollback', reason: 'nobody else answers', atMs: expect.any(Number) },
      ]);
      expect(told(view)).toContain('approved step rollback alone, by break-glass');
      await incident.until('the commander being paged', () =>
        world.pages.some(({ role, dedupKey }) => role === 'commander' && dedupKey.includes('break-glass')),
      );
      await incident.until('the postmortem', () => world.postmortems.length > 0);
      expect(world.actionItems.map(({ id }) => id)).toContainEqual(
        expect.stringMatching(/control-break-glass$/),
      );
    });
  });

  it('who has approved as one of two may go on alone', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith(allowed), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.approve(incident.signed(waiting, 'maria', alone));
      await incident.until('rolled back', endedAs('rollback', 'succeeded'));
    });
  });

  it('is refused where the runbook does not allow it, and without a reason', async () => {
    const world = worldIn('approve');
    await run(world, await runbookWith({ rollback: { count: 2 } }), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      await expect(incident.approve(incident.signed(waiting, 'kim', alone))).rejects.toMatchObject({
        cause: { message: 'the runbook allows no break-glass for step rollback' },
      });
      expect((await incident.view()).breakGlass).toBeUndefined();
    });
    await run(worldIn('approve'), await runbookWith(allowed), async (incident) => {
      const waiting = await incident.until('waiting', waitsFor('rollback'));
      await expect(
        incident.approve(incident.signed(waiting, 'kim', { ...alone, reason: ' ' })),
      ).rejects.toMatchObject({ cause: { message: 'a reason is needed' } });
    });
    expect(world.rollouts).toBe(0);
  });
});
