import { ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../domain/failure.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { fail } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { type RawWorkload, readWorkload } from '../kubernetes/raw-objects.ts';
import { templateHash } from '../kubernetes/template.ts';
import { workloadTypeOf } from '../kubernetes/workloads/index.ts';
import { writePointer } from './pointer.ts';
import { isHeld, releaseSync, suspendSync } from './suspend.ts';

/**
 * Suspends what an approved plan suspends. The workload points at it first: then it can be found again, whatever ends this.
 * @returns the workload as it is then.
 */
export async function suspendFor(
  clients: ClusterClients,
  plan: RollbackPlan,
  incidentId: string,
): Promise<RawWorkload> {
  const { target, gitops } = plan;
  if (gitops === undefined) return await readWorkload(clients, target);
  const workload = await writePointer(clients, target, { add: gitops.suspend });
  await suspendSync(clients, gitops, {
    target,
    incident: incidentId,
    plan: plan.hash,
    bad: plan.from.templateHash,
    good: plan.to.templateHash,
  });
  return workload;
}

/**
 * After a failure that is final: where the target is as it was before the plan, template and revision, nothing needs the
 * suspension, and the sync is given back. Where it is not, whatever runs now is not verified: it stays suspended, and the
 * error says so.
 * @returns the error to be thrown.
 */
export async function withoutNeedlessSuspension(
  clients: ClusterClients,
  { plan, incidentId }: { plan: RollbackPlan; incidentId: string },
  error: unknown,
): Promise<unknown> {
  const { target, gitops } = plan;
  if (gitops === undefined || !(error instanceof ApplicationFailure) || error.nonRetryable !== true)
    return error;
  try {
    const workload = await readWorkload(clients, target);
    const type = workloadTypeOf(target.kind);
    const revisions = await type.listRevisions(clients, workload);
    const unchanged =
      workload.metadata.uid === plan.uid &&
      templateHash(workload.spec.template) === plan.from.templateHash &&
      // The same template shipped again has another number: it may have been rolled back from in between.
      type.revisionNumber(workload, revisions) === plan.from.revision;
    const forWhom = { target, plan: plan.hash };
    if (!unchanged) {
      if (!(await isHeld(clients, gitops, forWhom))) return error;
      return withNote(error, `what was suspended for incident ${incidentId} stays suspended`);
    }
    await releaseSync(clients, gitops, forWhom);
    await writePointer(clients, target, { remove: gitops.suspend });
    return error;
  } catch {
    const names = gitops.suspend.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`);
    return withNote(error, `${names.join(' and ')} may be suspended still: look, and resume by hand`);
  }
}

function withNote(error: ApplicationFailure, note: string): ApplicationFailure {
  return fail(error.type as FailureType, `${error.message}; ${note}`, { cause: error });
}
