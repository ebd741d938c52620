import type { PlanApproval, RollbackTo } from '../../../domain/rollback-plan.ts';
import type { CompiledRunbook, GitOpsPolicy, StepPlan } from '../../../domain/runbook.ts';
import type { ServedCriteria } from '../../../domain/target-command.ts';
import type { RollbackInput } from './definition.ts';

/** What a step of a runbook asks to be planned. */
export interface RollbackRequest {
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
