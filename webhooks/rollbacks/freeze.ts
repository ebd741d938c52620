import { targetKey } from '../../domain/target.ts';
import { type Answer, freezeUpdate, unfreezeUpdate } from '../../workflows/messages.ts';
import { EdgeError } from '../errors.ts';
import { acceptedBecause, refusing } from '../incidents/attempts.ts';
import { edgeErrorOfTarget, type PersonsRequest, type RollbackDeps, requestKey } from './deps.ts';
import { allowedTarget, attemptedOn, freezeBody, parseBody, unfreezeBody } from './request.ts';

/**
 * Stops everything but containment of a target for a time, or ends that. Every attempt is recorded.
 * @throws EdgeError.
 */
export async function setFrozen(
  deps: RollbackDeps,
  action: 'freeze' | 'unfreeze',
  request: PersonsRequest,
): Promise<Answer & { target: string }> {
  const { person, via } = request;
  let attempted: string = action;
  const record = (verdict: 'accepted' | 'denied' | 'invalid', reason: string) =>
    deps.recordAttempt({ incident: attempted, person: person.id, decision: action, via, verdict, reason });
  const refuse = refusing(record);
  const parse = () => {
    const body = parseBody(action === 'freeze' ? freezeBody : unfreezeBody, request.body);
    return { body, target: allowedTarget(body.target, deps.clusters) };
  };
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    return refuse('invalid', error);
  }
  const { body, target } = parsed;
  attempted = attemptedOn(target);
  const permission = deps.access.may(person, 'freeze');
  if (!permission.allowed) {
    return refuse('denied', new EdgeError('forbidden', `Not allowed: ${permission.reason}.`));
  }
  await record('accepted', acceptedBecause(permission.reason, body.reason));
  const actor = { person: person.id, via };
  try {
    const answer = await deps.targets.updateTarget({
      target,
      name: (action === 'freeze' ? freezeUpdate : unfreezeUpdate).name,
      updateId: `${action}-${requestKey(action, request)}`,
      argument: { actor, reason: body.reason, ...('forMs' in body ? { forMs: body.forMs } : {}) },
    });
    return { ...answer, target: targetKey(target) };
  } catch (error) {
    const told = edgeErrorOfTarget(error);
    if (told instanceof EdgeError && told.code === 'refused') {
      await record('invalid', `the target refused it: ${told.message}`).catch(() => undefined);
    }
    throw told;
  }
}
