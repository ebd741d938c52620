/** Asks a cluster what a rollback would be, for a person who has not declared anything yet. Changes nothing. */
import { ApplicationFailure, CancellationScope, isCancellation } from '@temporalio/workflow';
import type { Ledger } from '../../activities/contract.ts';
import type { ServedByRevision, TargetInquiry } from '../../domain/rollback-inquiry.ts';
import type {
  NoRollback,
  PlanApproval,
  RevisionSummary,
  RollbackPlan,
  RollbackTo,
} from '../../domain/rollback-plan.ts';
import type { GitOpsPolicy } from '../../domain/runbook.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { ServedCriteria } from '../../domain/target-command.ts';
import { clusterActivities, clusterWaits } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { clusterTaskQueue } from '../ids.ts';

export interface PlanningInput {
  target: Target;
  /** What the target's actor knows of its revisions. */
  ledger: Ledger;
  to: RollbackTo;
  approval: PlanApproval;
  gitops: GitOpsPolicy;
  served: ServedCriteria;
}

/** A person waits at a terminal: an answer that takes longer than this is that the cluster's worker does not answer. */
export const PLANNED_WITHIN_MS = 15_000;
/** What is nice to know beside the plan: the plan is shown without what is not there by then. */
const BESIDE_WITHIN_MS = 8_000;
/** A look, no wait: the rollout is what it is at the first look. */
const LOOK_MS = 1;
/** Two attempts of a call that fails: a person can ask again. */
const ATTEMPTS = 2;

/** @throws ApplicationFailure as the cluster's activities do; Unavailable where its worker does not answer. */
export async function planning(input: PlanningInput): Promise<TargetInquiry> {
  const { target, ledger, to, approval, gitops, served } = input;
  const cluster = clusterActivities(target.cluster, ATTEMPTS);
  try {
    return await CancellationScope.withTimeout(PLANNED_WITHIN_MS, async () => {
      const [facts, answer, breaker] = await Promise.all([
        cluster.readTarget({ target }),
        cluster.planRollback({ target, to, ledger, approval, gitops, served }),
        cluster.readBreaker({ target }),
      ]);
      const history =
        'plan' in answer ? answer.plan.history : await historyOf(input, facts.revision, answer.none);
      const [servedBy, rollout] = await Promise.all([
        besides(() =>
          cluster.readServed({ target, revisions: history.map((one) => one.replicaSet), criteria: served }),
        ),
        besides(() => lookAtRollout(target, answer)),
      ]);
      const known: ServedByRevision = servedBy?.served ?? {};
      return {
        target,
        facts,
        answer,
        history: history.map((revision) => withServed(revision, known)),
        servedProblem: servedBy === undefined ? 'Prometheus did not answer in time' : servedBy.problem,
        breaker: breaker.breaker,
        rollout,
      };
    });
  } catch (error) {
    if (isCancellation(error)) {
      throw ApplicationFailure.nonRetryable(
        `The worker of cluster ${target.cluster} has not answered for ${PLANNED_WITHIN_MS / 1_000} s ` +
          `(queue ${clusterTaskQueue(target.cluster)}): is it running?`,
        'Unavailable',
      );
    }
    const { type, message } = readFailure(error);
    throw ApplicationFailure.nonRetryable(`${targetKey(target)}: ${message}`, type);
  }
}

/**
 * Where no rollback is possible the answer has only what could be chosen. A plan that goes nowhere, to the revision that
 * runs, has the whole history.
 */
async function historyOf(
  { target, ledger, approval, gitops, served }: PlanningInput,
  revision: number | undefined,
  none: NoRollback,
): Promise<RevisionSummary[]> {
  if (revision === undefined || revision < 1) return none.candidates;
  const answer = await besides(() =>
    clusterActivities(target.cluster, ATTEMPTS).planRollback({
      target,
      to: { revision },
      ledger,
      approval,
      gitops,
      served,
    }),
  );
  return answer !== undefined && 'plan' in answer ? answer.plan.history : none.candidates;
}

/** What is not there in time, or fails, is left out: it is not what was asked for. */
async function besides<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await CancellationScope.withTimeout(BESIDE_WITHIN_MS, work);
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return undefined;
  }
}

/** Where there is no plan the hash of the running template is not known, so it is asked for. */
async function lookAtRollout(
  target: Target,
  answer: { plan: RollbackPlan } | { none: NoRollback },
): Promise<TargetInquiry['rollout']> {
  const templateHash =
    'plan' in answer
      ? answer.plan.from.templateHash
      : (await clusterActivities(target.cluster, ATTEMPTS).readTemplateHash({ target })).templateHash;
  return clusterWaits(target.cluster, BESIDE_WITHIN_MS).awaitRollout({
    target,
    templateHash,
    generation: 0,
    timeoutMs: LOOK_MS,
  });
}

function withServed(revision: RevisionSummary, served: ServedByRevision): RevisionSummary {
  return Object.hasOwn(served, revision.replicaSet)
    ? { ...revision, served: served[revision.replicaSet] }
    : revision;
}
