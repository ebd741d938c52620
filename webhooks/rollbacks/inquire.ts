import { isOver } from '../../domain/next-action.ts';
import type { OpenIncident, RollbackInquiry, TargetActor } from '../../domain/rollback-inquiry.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { rollbackRequest } from '../../runbooks/steps/rollback/run.ts';
import type { TargetView } from '../../workflows/messages.ts';
import {
  edgeErrorOfTarget,
  manualRunbook,
  mayOrThrow,
  type PersonsRequest,
  type RollbackDeps,
} from './deps.ts';
import { allowedTarget, inquiryBody, parseBody, wantedTo } from './request.ts';

/** Incidents that are looked through for those of the target. */
const MAX_LISTED = 200;

/**
 * What a rollback would be, and how the target stands: read by a short workflow on the queue of the target's cluster.
 * Changes nothing.
 * @throws EdgeError.
 */
export async function inquire(deps: RollbackDeps, request: PersonsRequest): Promise<RollbackInquiry> {
  mayOrThrow(deps, request.person, 'plan');
  const body = parseBody(inquiryBody, request.body);
  const target = allowedTarget(body.target, deps.clusters);
  const { runbook, step } = manualRunbook(deps);
  const wanted = rollbackRequest(runbook, step);
  try {
    const actor = await deps.targets.describeTarget(target);
    const [inquiry, openIncidents] = await Promise.all([
      deps.targets.inquire({
        target,
        ...wanted,
        to: wantedTo(body.to, wanted.to),
        ledger: actor?.ledger ?? {},
      }),
      openIncidentsOf(deps, target),
    ]);
    const { name, version, owner } = runbook;
    return {
      ...inquiry,
      runbook: { name, version, owner },
      approval: { ...wanted.approval, timeoutMs: step.approval.timeoutMs },
      ...(actor === undefined ? {} : { actor: actorOf(actor) }),
      openIncidents,
    };
  } catch (error) {
    throw edgeErrorOfTarget(error);
  }
}

/** Best effort: a plan is shown where the records do not answer. */
async function openIncidentsOf({ reader }: RollbackDeps, target: Target): Promise<OpenIncident[]> {
  const { incidents } = await reader.list({ limit: MAX_LISTED }).catch(() => ({ incidents: [] }));
  return incidents
    .filter((one) => one.target !== undefined && targetKey(one.target) === targetKey(target))
    .filter((view) => !isOver(view))
    .map(({ incidentId, title, state, runbook }) => ({ incidentId, title, state, runbook: runbook.name }));
}

function actorOf({ breaker, holders, ledger, override, frozen }: TargetView): TargetActor {
  return {
    breaker,
    holders,
    ledger,
    ...(override ? { override } : {}),
    ...(frozen ? { frozen } : {}),
  };
}
