import { createHash, randomUUID } from 'node:crypto';
import type { Actor, Answer } from '../../workflows/messages.ts';
import type { Access, Person } from '../access/access.ts';
import { EdgeError } from '../errors.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import { problemsOf } from '../zod-problems.ts';
import { ACTIONS, type ActionName, type ActionSpec } from './actions.ts';
import { acceptedBecause, type RecordAttempt, refusing } from './attempts.ts';
import { readLive } from './decide.ts';
import type { IncidentReader } from './reader.ts';
import { sendDeadlineAt, sendUpdate } from './send.ts';

/** A hint is read in a line of a terminal or of Slack. */
const MAX_NAMED = 20;

export interface ActDeps {
  gateway: IncidentGateway;
  reader: IncidentReader;
  access: Access;
  recordAttempt: RecordAttempt;
  sendDeadlineMs?: number;
}

export interface ActInput {
  person: Person;
  via: Actor['via'];
  action: ActionName;
  /** Id or unique prefix. */
  incident: string;
  body: unknown;
  /** Given by a client that may send the same request again. */
  idempotencyKey?: string | undefined;
}

/**
 * Everything people do to an incident but approving and rejecting: check the body and the person, record, send.
 * @throws EdgeError.
 */
export async function act(deps: ActDeps, input: ActInput): Promise<Answer & { incidentId: string }> {
  const { person, via, action } = input;
  const spec: ActionSpec = ACTIONS[action];
  let attempted: { incident: string; step?: string } = { incident: input.incident.slice(0, 64) };
  const record = (verdict: 'accepted' | 'denied' | 'invalid', reason: string | undefined) =>
    deps.recordAttempt({ ...attempted, person: person.id, decision: action, via, verdict, reason });
  const refuse = refusing(record);

  const permission = deps.access.may(person, spec.access, { via });
  if (!permission.allowed)
    return refuse('denied', new EdgeError('forbidden', `Not allowed: ${permission.reason}.`));
  const parsed = spec.body.safeParse(input.body ?? {});
  if (!parsed.success) {
    return refuse(
      'invalid',
      new EdgeError('invalid_request', `The body does not fit ${action}.`, {
        problems: problemsOf(parsed.error),
      }),
    );
  }
  const given = spec.given?.(parsed.data);
  const active = deps.access.activePeople().map(({ id }) => id);
  if (given !== undefined && !active.includes(given)) return refuse('invalid', nobodyActive(active));
  const told = spec.record(parsed.data);
  attempted = { ...attempted, ...(told.step === undefined ? {} : { step: told.step }) };
  const deadlineAtMs = sendDeadlineAt(deps.sendDeadlineMs);
  const view = await readLive(deps.reader, input.incident, deadlineAtMs).catch((error: unknown) =>
    refuse('invalid', error),
  );
  attempted = { ...attempted, incident: view.incidentId };

  await record('accepted', acceptedBecause(permission.reason, told.reason));
  try {
    const answer = await sendUpdate(
      deps.gateway,
      {
        workflowId: view.workflowId,
        name: spec.update,
        updateId: updateIdFor(input),
        argument: spec.argument({ person: person.id, via }, parsed.data),
      },
      deadlineAtMs,
    );
    return { ...answer, incidentId: view.incidentId };
  } catch (error) {
    if (error instanceof EdgeError && error.code !== 'outcome_unknown') {
      await record('invalid', `the incident refused it: ${error.message}`).catch(() => undefined);
    }
    throw error;
  }
}

function nobodyActive(active: readonly string[]): EdgeError {
  const more = active.length - MAX_NAMED;
  const names = `${active.slice(0, MAX_NAMED).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
  return new EdgeError('invalid_request', 'The access file has nobody active with that id.', {
    hint: `Name somebody of the access file: ${names}.`,
  });
}

/** A key belongs to the person who sent it: nobody else's key answers with this person's result. */
function updateIdFor({ action, person, idempotencyKey }: ActInput): string {
  if (idempotencyKey === undefined) return `${action}-${randomUUID()}`;
  const digest = createHash('sha256')
    .update(JSON.stringify([person.id, idempotencyKey]))
    .digest('hex');
  return `${action}-${digest.slice(0, 32)}`;
}
