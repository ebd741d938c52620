import { createHash } from 'node:crypto';
import type { DeclaredRollback } from '../../domain/rollback-inquiry.ts';
import { sayRollbackTo, withRollbackTo } from '../../runbooks/declared.ts';
import { rollbackRequest } from '../../runbooks/steps/rollback/run.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import { EdgeError } from '../errors.ts';
import type { Declared } from '../gateway/target-gateway.ts';
import { GatewayError } from '../gateway/types.ts';
import { acceptedBecause } from '../incidents/attempts.ts';
import { sendDeadlineAt, tryUntil } from '../incidents/send.ts';
import {
  edgeErrorOfTarget,
  manualRunbook,
  type PersonsRequest,
  type RollbackDeps,
  requestKey,
} from './deps.ts';
import { allowedTarget, attemptedOn, declareBody, parseBody, wantedTo } from './request.ts';

/**
 * Declares an incident by hand, from the runbook of manual rollbacks: the same approvals, records and proof as after an
 * alert. Every attempt is recorded, refused ones too.
 * @throws EdgeError.
 */
export async function declareRollback(
  deps: RollbackDeps,
  request: PersonsRequest,
): Promise<DeclaredRollback> {
  const { person, via } = request;
  let attempted = 'rollback';
  const record = (verdict: 'accepted' | 'denied' | 'duplicate' | 'invalid', reason: string) =>
    deps.recordAttempt({ incident: attempted, person: person.id, decision: 'declare', via, verdict, reason });
  const refusing = async <T>(verdict: 'denied' | 'invalid', work: () => T): Promise<T> => {
    try {
      return work();
    } catch (error) {
      if (error instanceof EdgeError) await record(verdict, error.message);
      throw error;
    }
  };

  const body = await refusing('invalid', () => parseBody(declareBody, request.body));
  const target = await refusing('invalid', () => allowedTarget(body.target, deps.clusters));
  attempted = attemptedOn(target);
  const permission = deps.access.may(person, 'declare');
  const right = await refusing('denied', () => {
    if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
    return permission.reason;
  });
  const { runbook, step } = await refusing('invalid', () => manualRunbook(deps));
  const to = wantedTo(body.to, rollbackRequest(runbook, step).to);
  const mode = deps.clusters[target.cluster]?.namespaces[target.namespace]?.mode ?? 'observe';
  const { cluster, namespace, kind, name } = target;
  const correlation = { cluster, namespace, kind, name };
  const workflowId = incidentWorkflowId(runbook.name, correlation, sha256);
  const key = requestKey('declare', request);

  await record('accepted', acceptedBecause(right, body.reason));
  const declared = await tryToDeclare(deps, {
    workflowId,
    key,
    start: {
      runbook: withRollbackTo(runbook, to),
      correlation,
      mode,
      target: { ok: true, target },
      declared: {
        person: person.id,
        via,
        reason: body.reason,
        atMs: deps.now(),
        dedupKey: key,
        asked: `Rollback to ${sayRollbackTo(to)}`,
        ...(body.planHash === undefined ? {} : { planHash: body.planHash }),
      },
    },
  });
  const { incidentId } = declared;
  if (declared.result === 'open') {
    const message = `${incidentId} is open already: a rollback of the same target that somebody declared`;
    await record('invalid', message).catch(() => undefined);
    throw new EdgeError('refused', `${message}.`, {
      hint: `Follow that one: firebreak incident show ${incidentId}. One that is resolved makes room within a minute or two.`,
    });
  }
  return {
    message:
      mode === 'observe'
        ? `${incidentId} is declared in mode observe: nobody is asked to approve and nothing is changed, unless the workload's own mode says otherwise.`
        : `${incidentId} is declared: people of ${step.approval.from.join(', ')} are asked to approve.`,
    incidentId,
    duplicate: declared.result === 'known',
    mode,
  };
}

/** The same key each time, so that it is declared once however often it is tried. */
async function tryToDeclare(
  { targets, sendDeadlineMs }: RollbackDeps,
  input: Parameters<RollbackDeps['targets']['declare']>[0],
): Promise<Declared> {
  const isSilence = (error: unknown) => error instanceof GatewayError && error.problem !== 'refused';
  try {
    return await tryUntil(sendDeadlineAt(sendDeadlineMs), () => targets.declare(input), isSilence);
  } catch (error) {
    if (!isSilence(error)) throw edgeErrorOfTarget(error);
    throw new EdgeError(
      'outcome_unknown',
      `It is not known whether it was declared: ${(error as Error).message}`,
      { cause: error, retryAfterSeconds: 5 },
    );
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
