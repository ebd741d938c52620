import { ApplicationFailure, isCancellation, log } from '@temporalio/workflow';
import type { SignedDecision } from '../../domain/decision.ts';
import type { Preapproval, RollbackPlan, RolloutResult } from '../../domain/rollback-plan.ts';
import { clusterMutations, clusterWaits } from '../activities.ts';
import { readFailure } from '../failure.ts';

export interface RollbackInput {
  plan: RollbackPlan;
  incidentId: string;
  step: string;
  decisions: SignedDecision[];
  preapproved?: Preapproval;
  commandId: string;
  rolloutTimeoutMs?: number;
}

export interface RollbackOutput {
  applied: 'patched' | 'already-there';
  approvedBy: string[];
  rollout: RolloutResult;
  /** When the rollout ended (epoch ms). */
  atMs: number;
}

/** Time around the wait itself: the activity ends by its own deadline, this only stops one that does not. */
const WAIT_MARGIN_MS = 120_000;
/** Longest progressDeadlineSeconds that the default wait allows for. */
const LONGEST_WAIT_MS = 2 * 3_600_000;

/** Applies an approved plan and waits for the rollout. Child of the target's actor, which alone mutates. */
export async function rollback(input: RollbackInput): Promise<RollbackOutput> {
  const { plan } = input;
  const applied = await clusterMutations(plan.target.cluster).applyRollback({
    plan,
    incidentId: input.incidentId,
    step: input.step,
    decisions: input.decisions,
    preapproved: input.preapproved,
    commandId: input.commandId,
  });
  log.info('rollback applied', { result: applied.result, toRevision: plan.to.revision });
  const rollout = await follow(input, applied.generation);
  return { applied: applied.result, approvedBy: applied.approvedBy, rollout, atMs: Date.now() };
}

/** Whatever fails from here on, the patch was made: it must not look like a refusal. */
async function follow({ plan, rolloutTimeoutMs }: RollbackInput, generation: number): Promise<RolloutResult> {
  const { target } = plan;
  const timeoutMs = (rolloutTimeoutMs ?? LONGEST_WAIT_MS) + WAIT_MARGIN_MS;
  try {
    return await clusterWaits(target.cluster, timeoutMs).awaitRollout({
      target,
      templateHash: plan.to.templateHash,
      generation,
      timeoutMs: rolloutTimeoutMs,
    });
  } catch (error) {
    if (isCancellation(error)) throw error;
    throw ApplicationFailure.nonRetryable(readFailure(error).message, 'Unavailable');
  }
}
