import type { GitRevert } from '../../../domain/gitops-plan.ts';
import type {
  NoRollback,
  PlanApproval,
  RevisionSummary,
  RollbackPlan,
  RollbackTo,
} from '../../../domain/rollback-plan.ts';
import type { CompiledRunbook, GitOpsPolicy, StepPlan } from '../../../domain/runbook.ts';
import type { ServedCriteria } from '../../../domain/target-command.ts';
import {
  commandWhenFree,
  type Patience,
  type Prepared,
  type StepContext,
  StepFailure,
  type StepRunner,
} from '../context.ts';
import type { RollbackInput } from './definition.ts';

/** Another incident's share of traffic is verified, or given back, within minutes. */
const WHEN_FREE: Patience = {
  passes: new Set(['Conflict']),
  everyMs: 15_000,
  kind: 'rollback',
  waiting: 'The rollback waits',
};

/** What a step of a runbook asks to be planned. */
interface RollbackRequest {
  to: RollbackTo;
  approval: PlanApproval;
  gitops: GitOpsPolicy;
  served: ServedCriteria;
}

/**
 * The request that follows from the runbook alone, so that the incident and the worker that checks a pre-approval make the
 * same one.
 */
export function rollbackRequest(
  runbook: Pick<CompiledRunbook, 'gitops' | 'metrics'>,
  step: StepPlan,
): RollbackRequest {
  const input = step.with as RollbackInput;
  return {
    to: input.to,
    approval: {
      from: step.approval?.from ?? [],
      count: Math.max(1, step.approval?.count ?? 1),
      ...(step.approval?.breakGlass ? { breakGlass: true } : {}),
    },
    gitops: runbook.gitops,
    served: {
      forMs: input.servedForMs,
      minClassified: input.minClassified,
      harmRateBelow: input.harmRateBelow,
      metrics: runbook.metrics,
    },
  };
}

function imagesOf(revision: RevisionSummary): string {
  return revision.images.join(', ');
}

function summaryOf(plan: RollbackPlan): string {
  return `Roll ${plan.target.kind} ${plan.target.namespace}/${plan.target.name} back from revision ${plan.from.revision} (${imagesOf(plan.from)}) to revision ${plan.to.revision} (${imagesOf(plan.to)})`;
}

/** No plan: what people can do instead. The change to revert in Git goes to the timeline, for whoever does it. */
async function refusalOf(
  context: StepContext,
  { reason, revert, git, candidates }: NoRollback,
): Promise<StepFailure> {
  if (revert !== undefined) {
    context.record('evidence', 'Prepared the change to revert in Git', { step: context.step.id, revert });
    const how = git === undefined ? BY_HAND : await proposed(context, git);
    return new StepFailure(
      'Refused',
      `No rollback was planned: ${reason}. ${how}. Then retry the step with the revision that Git has brought back, so that recovery is proved`,
    );
  }
  const choices = candidates.map((candidate) => `${candidate.revision} (${imagesOf(candidate)})`).join(', ');
  const choose = choices ? ` Choose one of the revisions ${choices} by retrying the step with it.` : '';
  return new StepFailure('Refused', `No rollback was planned: ${reason}.${choose}`);
}

const BY_HAND = 'Revert it in Git: see the prepared change on the timeline';

/** Opens a pull request, which changes nothing by itself. @returns what people do then. */
async function proposed(context: StepContext, git: GitRevert): Promise<string> {
  const { mode, drill } = context.view();
  if (mode === 'observe' || drill !== undefined) {
    const why = drill === undefined ? 'In observe mode' : 'In a drill';
    return `${why} no pull request is made. ${BY_HAND}`;
  }
  const answer = await context.proposeRevert(git);
  if (answer.state === 'failed') {
    context.record('evidence', 'No pull request could be made', {
      step: context.step.id,
      problem: answer.problem,
    });
    return `No pull request could be made: ${answer.problem}. ${BY_HAND}`;
  }
  if (answer.state === 'in-git') return `Git has it back already: let ${git.owner} sync it`;
  const { state, url, commit, files } = answer;
  context.record('evidence', `Pull request ${state}: ${url}`, { step: context.step.id, commit, files });
  return `Merge ${url}, which takes it back in Git, and let ${git.owner} sync it`;
}

async function prepare(context: StepContext): Promise<Prepared> {
  const request = rollbackRequest(context.runbook, context.step);
  const to: RollbackTo =
    context.chosenRevision === undefined ? request.to : { revision: context.chosenRevision };
  const rehearsal = context.view().drill !== undefined;
  const answer = await context.command({
    kind: 'plan-rollback',
    ...request,
    to,
    ...(rehearsal ? { rehearsal } : {}),
  });
  if (answer.kind === 'no-plan') throw await refusalOf(context, answer.none);
  if (answer.kind !== 'plan')
    throw new StepFailure('InvalidInput', `the target answered ${answer.kind} to a plan`);
  const { plan } = answer;
  context.record('rollback', `${summaryOf(plan)}: planned`, {
    planHash: plan.hash,
    warnings: plan.warnings,
    owners: plan.owners,
  });
  const prepared = {
    planHash: plan.hash,
    summary: summaryOf(plan),
    warnings: plan.warnings,
    diff: plan.diff,
    plan,
  };
  // In observe mode nothing is rolled back, so nothing is shown as if it were.
  if (context.view().mode === 'observe' || rehearsal) return prepared;
  context.keep({
    rollback: {
      fromRevision: plan.from.revision,
      toRevision: plan.to.revision,
      fromImage: imagesOf(plan.from),
      toImage: imagesOf(plan.to),
      planHash: plan.hash,
    },
  });
  return prepared;
}

/** Rolls the deployment back by a plan that people approved; the target's actor and its worker do the patching. */
export const run: StepRunner = {
  prepare,
  async run(context, { prepared, decisions, preapproved }) {
    const plan = prepared?.plan;
    if (!plan) throw new StepFailure('InvalidInput', 'a rollback was started without a plan');
    const input = context.step.with as RollbackInput;
    const result = await commandWhenFree(
      context,
      {
        kind: 'rollback',
        plan,
        step: context.step.id,
        decisions,
        preapproved,
        rolloutTimeoutMs: input.rolloutTimeoutMs,
      },
      WHEN_FREE,
    );
    if (result.kind !== 'rolled-back')
      throw new StepFailure('InvalidInput', `the target answered ${result.kind} to a rollback`);
    const { rollout } = result;
    const kept = context.view().rollback;
    if (kept) context.keep({ rollback: { ...kept, rollout } });
    if (rollout.outcome !== 'complete') {
      throw new StepFailure(
        'Unavailable',
        `The rollback was applied, but the rollout ended as ${rollout.outcome}: ${rollout.detail}. Traffic stays where it is; look at the pods of revision ${plan.to.revision}`,
        'not-recovered',
      );
    }
    context.record(
      'rollback',
      result.applied === 'already-there'
        ? `Revision ${plan.to.revision}'s template was already in place; ${rollout.readyReplicas} pods are ready`
        : `Rolled back; ${rollout.readyReplicas}/${rollout.wantedReplicas} pods ready after ${rollout.seconds.toFixed(1)} s`,
      { approvedBy: result.approvedBy },
    );
    context.reach('rolledBack', result.atMs);
    return { applied: result.applied, revision: plan.to.revision, templateHash: plan.to.templateHash };
  },
};
