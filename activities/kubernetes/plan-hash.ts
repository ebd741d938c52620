import { createHash } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { RawDeployment } from './raw-objects.ts';

/**
 * SHA-256 (hex) of what people approve: target, uid, selector, strategy, the revision that is left and the two templates
 * (by their own hashes), and who has to approve, alone by break-glass too. The revision's number is in it so that an approval is spent by its use:
 * the same template shipped again is another revision. Selector and strategy come from the Deployment as it is now, so that the hash of an approved plan can
 * only be made again where nothing of it has changed. Replicas and generation are not in it: scaling is no drift.
 */
export function rollbackPlanHash(
  plan: Pick<RollbackPlan, 'target' | 'uid' | 'from' | 'to' | 'approval'>,
  spec: Pick<RawDeployment['spec'], 'selector' | 'strategy'>,
): string {
  const text = canonicalJson({
    target: plan.target,
    uid: plan.uid,
    selector: spec.selector,
    strategy: spec.strategy ?? null,
    fromRevision: plan.from.revision,
    from: plan.from.templateHash,
    to: plan.to.templateHash,
    approval: {
      from: [...plan.approval.from].sort(),
      count: plan.approval.count,
      ...(plan.approval.breakGlass ? { breakGlass: true } : {}),
    },
  });
  return createHash('sha256').update(`firebreak-rollback-plan-v1\n${text}`).digest('hex');
}
