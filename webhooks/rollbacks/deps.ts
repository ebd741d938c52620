import { createHash, randomUUID } from 'node:crypto';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { rollbackStepOf } from '../../runbooks/declared.ts';
import type { RunbookSource } from '../../runbooks/live.ts';
import { MANUAL_ROLLBACK_RUNBOOK } from '../../runbooks/match.ts';
import type { Actor } from '../../workflows/messages.ts';
import type { Access, AccessAction, Person } from '../access/access.ts';
import type { AllowedTargets } from '../alertmanager/route-alert.ts';
import { EdgeError } from '../errors.ts';
import type { TargetGateway } from '../gateway/target-gateway.ts';
import { GatewayError } from '../gateway/types.ts';
import type { RecordAttempt } from '../incidents/attempts.ts';
import { type IncidentReader, temporalUnavailable } from '../incidents/reader.ts';

/** What rollbacks that people ask for need. */
export interface RollbackDeps {
  targets: TargetGateway;
  reader: IncidentReader;
  access: Access;
  runbooks: RunbookSource;
  clusters: AllowedTargets;
  recordAttempt: RecordAttempt;
  now: () => number;
  sendDeadlineMs?: number | undefined;
}

/** One request of one person. */
export interface PersonsRequest {
  person: Person;
  via: Actor['via'];
  body: unknown;
  /** Given by a client that may send the same request again. */
  idempotencyKey?: string | undefined;
}

/** @throws EdgeError forbidden. */
export function mayOrThrow(
  { access }: Pick<RollbackDeps, 'access'>,
  person: Person,
  action: AccessAction,
): void {
  const permission = access.may(person, action);
  if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
}

/**
 * The runbook of rollbacks that people declare, as it is now, and its step that rolls back.
 * @throws EdgeError refused where an installation's own one has none that asks people.
 */
export function manualRunbook({ runbooks }: RollbackDeps): {
  runbook: CompiledRunbook;
  step: StepPlan & { approval: NonNullable<StepPlan['approval']> };
} {
  const runbook = runbooks.current().runbooks.find(({ name }) => name === MANUAL_ROLLBACK_RUNBOOK);
  const step = runbook === undefined ? undefined : rollbackStepOf(runbook);
  if (runbook === undefined || step === undefined) {
    throw new EdgeError(
      'refused',
      runbook === undefined
        ? `No runbook ${MANUAL_ROLLBACK_RUNBOOK} is loaded.`
        : `Runbook ${MANUAL_ROLLBACK_RUNBOOK} has no rollback that asks people.`,
      { hint: 'See the runbooks of this installation: the shipped one is used where none has this name.' },
    );
  }
  return { runbook, step };
}

/** A key belongs to the person who sent it: nobody else's key answers with this person's result. */
export function requestKey(action: string, { person, idempotencyKey }: PersonsRequest): string {
  const text = JSON.stringify([action, person.id, idempotencyKey ?? randomUUID()]);
  return createHash('sha256').update(text).digest('hex');
}

/** What a gateway's problem is for a person who asked about a target. */
export function edgeErrorOfTarget(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error;
  if (error.problem !== 'refused') return temporalUnavailable(error.message);
  switch (error.failureType) {
    case 'NotFound':
      return new EdgeError('not_found', error.message, {
        hint: 'See what there is: kubectl get deployments -n NAMESPACE',
      });
    case 'Unavailable':
    case 'RateLimited':
    case 'Conflict':
      return new EdgeError('cluster_unavailable', error.message, { retryAfterSeconds: 5 });
    default:
      return new EdgeError('refused', error.message, { hint: 'Nothing was changed.' });
  }
}
