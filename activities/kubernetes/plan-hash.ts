import { createHash } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { GitOpsPlan } from '../../domain/gitops-plan.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { RawWorkload } from './raw-objects.ts';
import type { WorkloadType } from './workloads/workload.ts';

interface HashedSpec {
  selector: RawWorkload['spec']['selector'];
  strategy?: unknown;
}

/** Of a workload as it is now, what its plan's hash covers. */
export function whatIsHashed(type: WorkloadType, workload: RawWorkload): HashedSpec {
  return { selector: workload.spec.selector, strategy: type.strategyOf(workload) };
}

/**
 * SHA-256 (hex) of what people approve: target, uid, selector, strategy, the revision that is left and the two templates
 * (by their own hashes), and who has to approve, alone by break-glass too, and what is suspended. The revision's number is in it so that an approval is spent by its use:
 * the same template shipped again is another revision. Selector and strategy come from the workload as it is now, so that the hash of an approved plan can
 * only be made again where nothing of it has changed. Replicas and generation are not in it: scaling is no drift.
 */
export function rollbackPlanHash(
  plan: Pick<RollbackPlan, 'target' | 'uid' | 'from' | 'to' | 'approval' | 'gitops'>,
  { selector, strategy }: HashedSpec,
): string {
  const text = canonicalJson({
    target: plan.target,
    uid: plan.uid,
    selector,
    strategy: strategy ?? null,
    fromRevision: plan.from.revision,
    from: plan.from.templateHash,
    to: plan.to.templateHash,
    approval: {
      from: [...plan.approval.from].sort(),
      count: plan.approval.count,
      ...(plan.approval.breakGlass ? { breakGlass: true } : {}),
    },
    ...(plan.gitops === undefined ? {} : { gitops: whatIsSuspended(plan.gitops) }),
  });
  return createHash('sha256').update(`firebreak-rollback-plan-v1\n${text}`).digest('hex');
}

/** Which objects are changed and what they say now; not what Git has, which may move on without changing any of it. */
function whatIsSuspended({ policy, suspend }: GitOpsPlan): object {
  return {
    policy,
    suspend: suspend.map(({ kind, namespace, name, uid, was }) => ({ kind, namespace, name, uid, was })),
  };
}
