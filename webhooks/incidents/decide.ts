import type { RecordsStore } from '../../activities/records/store.ts';
import { type Decision, mayNotApproveAlone } from '../../domain/decision.ts';
import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import { approveUpdate, rejectUpdate } from '../../workflows/messages.ts';
import type { Access, Person } from '../access/access.ts';
import { type DecisionSigner, updateIdOf } from '../decisions/sign.ts';
import { EdgeError } from '../errors.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import { acceptedBecause, type RecordAttempt, refusing } from './attempts.ts';
import { fromRecords, type IncidentReader, temporalUnavailable } from './reader.ts';
import { sendDeadlineAt, sendUpdate, tryUntil } from './send.ts';

/** Digits of a plan's hash that tell two plans of one incident apart for certain: 48 bits. */
export const SHORTEST_PLAN_HASH = 12;
/** An approval given alone is for now, not for the next quarter of an hour. */
const BREAK_GLASS_TTL_MS = 5 * 60_000;
/** The reason is what the review has to go by: a word is none. */
const SHORTEST_BREAK_GLASS_REASON = 10;

export interface DecideDeps {
  gateway: IncidentGateway;
  reader: IncidentReader;
  access: Access;
  signer: DecisionSigner;
  records: Pick<RecordsStore, 'attempts'>;
  recordAttempt: RecordAttempt;
  now: () => number;
  sendDeadlineMs?: number;
}

export interface DecideInput {
  person: Person;
  via: Decision['via'];
  decision: Decision['decision'];
  /** Id or unique prefix. */
  incident: string;
  /** Absent: the only step that waits. */
  step?: string | undefined;
  /**
   * Hash of the plan that the person has read, or at least its first 12 digits. Only a rejection may leave it out: saying no
   * to whatever waits is safe.
   */
  planHash?: string | undefined;
  reason?: string | undefined;
  /** Approve alone, where runbook and access file allow it. Needs the whole hash and a reason. */
  breakGlass?: boolean | undefined;
}

export interface DecideResult {
  message: string;
  incidentId: string;
  step: string;
  planHash: string;
  /** The same person had decided the same before: nothing new was sent. */
  duplicate: boolean;
}

/**
 * The one way of an approval or rejection from a person to an incident, for every edge: read what waits, check the
 * person, record the attempt (also one that is denied, invalid or a duplicate), sign, send.
 * @throws EdgeError.
 */
export async function decide(deps: DecideDeps, input: DecideInput): Promise<DecideResult> {
  const { person, decision, via } = input;
  // One access file for the check and for what is signed, whatever is loaded meanwhile.
  const access = deps.access.current();
  const attempt = attemptOf(input);
  let attempted = { incident: input.incident.slice(0, 64), step: input.step, planHash: input.planHash };
  const record = (verdict: 'accepted' | 'denied' | 'duplicate' | 'invalid', reason: string | undefined) =>
    deps.recordAttempt({ ...attempted, person: person.id, decision: attempt, via, verdict, reason });
  const refuse = refusing(record);

  const deadlineAtMs = sendDeadlineAt(deps.sendDeadlineMs);
  const view = await readLive(deps.reader, input.incident, deadlineAtMs).catch((error: unknown) =>
    refuse('invalid', error),
  );
  const incidentId = view.incidentId;
  attempted = { ...attempted, incident: incidentId };
  const again = (step: string, planHash: string): DecideResult => ({
    message: `${person.id} has already decided this: ${attempt} for step ${step} was recorded before.`,
    incidentId,
    step,
    planHash,
    duplicate: true,
  });

  const waiting = findWaiting(view, input.step);
  if (waiting instanceof EdgeError) {
    const before = await earlierDecision(deps.records, incidentId, input);
    if (before === undefined) return refuse('invalid', waiting);
    attempted = { ...attempted, ...before };
    await record('duplicate', 'decided before; nothing waits any more');
    return again(before.step, before.planHash);
  }
  const { step, planHash } = waiting;
  attempted = { ...attempted, step };

  const permission = await access.mayNow(person, attempt, { groups: waiting.groups, via });
  if (!permission.allowed)
    return refuse('denied', new EdgeError('forbidden', `Not allowed: ${permission.reason}.`));
  if (!namesPlan(input, planHash)) {
    return refuse(
      'invalid',
      new EdgeError('plan_changed', `Step ${step} waits for a decision on another plan.`),
    );
  }
  attempted = { ...attempted, planHash };
  if (input.breakGlass === true) {
    const problem = breakGlassProblem(input, waiting);
    if (problem !== undefined) return refuse(problem.code === 'forbidden' ? 'denied' : 'invalid', problem);
  } else if (
    decision === 'approve' &&
    mayNotApproveAlone({ declaredBy: view.declaredBy, person: person.id, count: waiting.count })
  ) {
    return refuse(
      'denied',
      new EdgeError('forbidden', `${person.id} declared this incident and does not approve alone.`, {
        hint: waiting.breakGlass
          ? 'Ask another person of the groups that decide here; when nobody answers, break-glass is there for those who have that right.'
          : 'Ask another person of the groups that decide here.',
      }),
    );
  } else if (decision === 'approve' && waiting.approvedBy.includes(person.id)) {
    await record('duplicate', 'approved before');
    return again(step, planHash);
  }

  await record('accepted', acceptedBecause(permission.reason, input.reason));
  const issuedAtMs = deps.now();
  const ttlMs = input.breakGlass ? Math.min(access.decisionTtlMs, BREAK_GLASS_TTL_MS) : access.decisionTtlMs;
  const signed = deps.signer.sign({
    decision,
    incidentId,
    step,
    planHash,
    person: person.id,
    groups: [...(access.person(person.id)?.groups ?? person.groups)],
    ...(input.reason === undefined ? {} : { reason: input.reason }),
    ...(input.breakGlass ? { breakGlass: true as const } : {}),
    issuedAtMs,
    expiresAtMs: issuedAtMs + ttlMs,
    accessVersion: access.accessVersion,
    via,
  });
  try {
    const { message } = await sendUpdate(
      deps.gateway,
      {
        workflowId: view.workflowId,
        name: (decision === 'approve' ? approveUpdate : rejectUpdate).name,
        updateId: updateIdOf(step, planHash, person.id, attempt, waiting.requestedAtMs),
        argument: { actor: { person: person.id, via }, signed },
      },
      deadlineAtMs,
    );
    return { message, incidentId, step, planHash, duplicate: false };
  } catch (error) {
    // The record says accepted by the edge; what the incident then made of it is told as well, as far as that goes.
    if (error instanceof EdgeError && error.code !== 'outcome_unknown') {
      await record('invalid', `the incident refused it: ${error.message}`).catch(() => undefined);
    }
    throw error;
  }
}

/** What is tried, as it is recorded and asked of the access file: an approval given alone is another thing than one of several. */
function attemptOf({ decision, breakGlass }: DecideInput): Decision['decision'] | 'break-glass' {
  return decision === 'approve' && breakGlass === true ? 'break-glass' : decision;
}

/** Why nobody may approve this alone, whoever asks; undefined where one may. */
function breakGlassProblem(input: DecideInput, waiting: PendingApproval): EdgeError | undefined {
  if (input.decision !== 'approve') {
    return new EdgeError('invalid_request', 'Break-glass is for approving: one rejection is enough anyway.', {
      hint: 'Send the rejection without breakGlass.',
    });
  }
  if (!waiting.breakGlass) {
    return new EdgeError('forbidden', `The runbook allows no break-glass for step ${waiting.step}.`, {
      hint: 'Ask the groups that the approval names; the runbook can allow it with approval.breakGlass.',
    });
  }
  if (input.planHash !== waiting.planHash) {
    return new EdgeError('invalid_request', 'Break-glass takes the whole hash of the plan.');
  }
  if ((input.reason ?? '').trim().length < SHORTEST_BREAK_GLASS_REASON) {
    return new EdgeError(
      'invalid_request',
      `Break-glass needs a reason of at least ${SHORTEST_BREAK_GLASS_REASON} characters.`,
    );
  }
  return undefined;
}

/**
 * The incident as it runs. Temporal that is silent for a moment, restarting perhaps, is asked again until the deadline:
 * nothing has been sent yet.
 * @throws EdgeError when it does not run, or when it cannot be known whether it runs.
 */
export async function readLive(
  reader: IncidentReader,
  incident: string,
  deadlineAtMs: number,
): Promise<IncidentView> {
  const read = async () => {
    const found = await reader.read(incident);
    if (found.note !== undefined) throw temporalUnavailable('Temporal does not answer, so nothing was sent.');
    return found;
  };
  const { source, view } = await tryUntil(
    deadlineAtMs,
    read,
    (error) => error instanceof EdgeError && error.code === 'temporal_unavailable',
  );
  if (source === 'live') return view;
  throw new EdgeError('incident_ended', 'The incident is over, so nothing can be decided on it any more.');
}

/** The approval that waits for this step, or for the only step that waits. */
export function findWaiting(view: IncidentView, step: string | undefined): PendingApproval | EdgeError {
  const pending = view.pendingApprovals;
  if (step !== undefined) {
    return (
      pending.find((one) => one.step === step) ??
      new EdgeError('nothing_waiting', `Step ${step} does not wait for a decision.`)
    );
  }
  const [only, ...others] = pending;
  if (only === undefined) return new EdgeError('nothing_waiting', 'No step waits for a decision.');
  if (others.length > 0) {
    const steps = pending.map((one) => one.step).join(', ');
    return new EdgeError('invalid_request', `Several steps wait for a decision: ${steps}.`, {
      hint: 'Name the step.',
    });
  }
  return only;
}

/** The step for which this person has made this very decision before, with success as far as the edge knows. */
async function earlierDecision(
  records: Pick<RecordsStore, 'attempts'>,
  incidentId: string,
  input: DecideInput,
): Promise<{ step: string; planHash: string } | undefined> {
  const attempts = await fromRecords(() => records.attempts(incidentId));
  const same = attempts.filter(
    (attempt) =>
      attempt.person === input.person.id &&
      attempt.decision === attemptOf(input) &&
      attempt.planHash !== undefined &&
      namesPlan(input, attempt.planHash) &&
      (input.step === undefined || attempt.step === input.step),
  );
  // The last word counts: accepted by the edge and refused by the incident is no decision.
  const last = same.filter(({ verdict }) => verdict === 'accepted' || verdict === 'invalid').at(-1);
  if (last?.verdict !== 'accepted' || last.step === undefined || last.planHash === undefined)
    return undefined;
  return { step: last.step, planHash: last.planHash };
}

/** Whether the person means this plan. */
function namesPlan({ decision, planHash }: DecideInput, waitingHash: string): boolean {
  if (planHash === undefined) return decision === 'reject';
  return planHash.length >= SHORTEST_PLAN_HASH && waitingHash.startsWith(planHash);
}
