import type { RecordsStore } from '../../activities/records/store.ts';
import type { Access, Authentication, Person } from '../access/access.ts';
import { EdgeError } from '../errors.ts';
import { type ActDeps, act } from '../incidents/act.ts';
import { ACTIONS, type ActionName } from '../incidents/actions.ts';
import type { RecordAttempt } from '../incidents/attempts.ts';
import { type DecideDeps, decide, findWaiting } from '../incidents/decide.ts';
import { fromRecords, type IncidentReader } from '../incidents/reader.ts';
import { declareRollback } from '../rollbacks/declare.ts';
import type { RollbackDeps } from '../rollbacks/deps.ts';
import { type ButtonName, type ButtonValue, readButton } from './buttons.ts';
import type { Named, SlackCommand } from './commands.ts';
import type { FormMetadata, FormName } from './forms.ts';
import {
  listMessage,
  plainMessage,
  planMessage,
  postmortemMessage,
  type SlackMessage,
  statusMessage,
  timelineMessage,
} from './render.ts';
import { type SlackChannel, whichIncident } from './which-incident.ts';

const MAX_LISTED = 50;

export interface SlackHandlerDeps {
  access: Access;
  reader: IncidentReader;
  records: Pick<RecordsStore, 'timeline' | 'postmortem'>;
  act: ActDeps;
  decide: DecideDeps;
  rollbacks: RollbackDeps;
  recordAttempt: RecordAttempt;
}

/** Who asks, from where. */
export interface SlackCaller {
  userId: string;
  channel?: SlackChannel | undefined;
  /**
   * The same for the same click, command or form, however often it arrives: a request that is replayed, or sent again after its
   * answer got lost, does nothing a second time.
   */
  requestKey?: string | undefined;
}

/** A command that is more than help, a pressed button, or a form that was sent. */
export type SlackRequest =
  | Exclude<SlackCommand, { kind: 'help' }>
  | { kind: 'button'; name: ButtonName; value: string }
  | { kind: 'form'; about: FormMetadata; reason: string };

/** Buttons and forms that are one update of the incident's workflow. */
const ACTION_OF = {
  acknowledge: 'acknowledge',
  escalate: 'escalate',
  'take-command': 'commander',
  'false-positive': 'false-positive',
  stop: 'abort',
} as const satisfies Partial<Record<ButtonName, ActionName>>;

/**
 * Does what a Slack user asked for and says how it went, in a message for that user. Never throws an EdgeError: those are
 * answers too.
 */
export async function handleSlack(
  deps: SlackHandlerDeps,
  caller: SlackCaller,
  request: SlackRequest,
): Promise<SlackMessage> {
  try {
    const authentication = await deps.access.bySlackUser(caller.userId);
    if (!authentication.ok) return await refuseUnknown(deps, caller.userId, request, authentication);
    return await perform(deps, { ...caller, person: authentication.person }, request);
  } catch (error) {
    if (error instanceof EdgeError) {
      return plainMessage([error.message, ...(error.problems ?? []), error.hint].join('\n'));
    }
    throw error;
  }
}

/**
 * Where a form is certainly not for this person: the refusal, recorded. Undefined where it is, or is not known. What counts is
 * asked again when the form is sent.
 */
export async function refuseForm(
  deps: SlackHandlerDeps,
  caller: SlackCaller,
  form: FormName,
  about: ButtonValue,
): Promise<SlackMessage | undefined> {
  const authentication = await deps.access.bySlackUser(caller.userId);
  const request = { kind: 'form', about: { form, ...about }, reason: '' } as const;
  if (!authentication.ok) {
    if (authentication.unavailable) return undefined;
    return refuseUnknown(deps, caller.userId, request, authentication);
  }
  // Who decides on a plan depends on the plan, which takes a look at the incident.
  if (form === 'reject') return undefined;
  const { person } = authentication;
  const permission = deps.access.may(person, ACTIONS[ACTION_OF[form]].access);
  if (permission.allowed) return undefined;
  await deps.recordAttempt({
    incident: about.incidentId,
    person: person.id,
    decision: ACTION_OF[form],
    verdict: 'denied',
    reason: permission.reason,
    via: 'slack',
  });
  return plainMessage(`Not allowed: ${permission.reason}.`);
}

interface Known extends SlackCaller {
  person: Person;
}

async function perform(deps: SlackHandlerDeps, caller: Known, request: SlackRequest): Promise<SlackMessage> {
  const { person } = caller;
  switch (request.kind) {
    case 'list': {
      mayView(deps.access, person);
      const { incidents, notes } = await deps.reader.list({ limit: MAX_LISTED });
      return listMessage(incidents, notes);
    }
    case 'status': {
      mayView(deps.access, person);
      const { view, note } = await deps.reader.read(await incidentOf(deps, caller, request.id));
      return statusMessage(view, note);
    }
    case 'timeline': {
      mayView(deps.access, person);
      const { view, note } = await deps.reader.read(await incidentOf(deps, caller, request.id));
      // The workflow may keep only the last entries; the records keep all, a moment later.
      const recorded = await deps.records.timeline(view.incidentId).catch(() => []);
      const bySeq = new Map([...recorded, ...view.timeline].map((entry) => [entry.seq, entry]));
      return timelineMessage(
        view,
        [...bySeq.values()].sort((a, b) => a.seq - b.seq),
        note,
      );
    }
    case 'postmortem': {
      mayView(deps.access, person);
      const id = await deps.reader.resolveId(await incidentOf(deps, caller, request.id));
      const found = await fromRecords(() => deps.records.postmortem(id));
      if (found !== undefined) return postmortemMessage(id, found);
      throw new EdgeError('not_found', `There is no postmortem of ${id} yet.`, {
        hint: 'It is drafted when the steps before it have ended.',
      });
    }
    case 'declare': {
      const { target, reason } = request;
      const { requestKey: idempotencyKey } = caller;
      return said(
        await declareRollback(deps.rollbacks, {
          person,
          via: 'slack',
          body: { target, reason },
          idempotencyKey,
        }),
      );
    }
    case 'commander': {
      const commander = await personNamed(deps.access, person, request.who);
      return acting(deps, caller, 'commander', await incidentOf(deps, caller, request.id), { commander });
    }
    case 'act':
      return acting(deps, caller, request.action, await incidentOf(deps, caller, request.id), request.body);
    case 'approve':
      return approveByCommand(deps, caller, request);
    case 'reject': {
      const incident = await incidentOf(deps, caller, request.id);
      const { reason } = request;
      return said(await decide(deps.decide, { person, via: 'slack', decision: 'reject', incident, reason }));
    }
    case 'button':
      return pressed(deps, caller, request.name, request.value);
    case 'form':
      return sent(deps, caller, request);
  }
}

async function acting(
  deps: SlackHandlerDeps,
  { person, requestKey: idempotencyKey }: Known,
  action: ActionName,
  incident: string,
  body: unknown,
): Promise<SlackMessage> {
  return said(await act(deps.act, { person, via: 'slack', action, incident, body, idempotencyKey }));
}

function incidentOf(deps: SlackHandlerDeps, caller: Known, given: string | undefined): Promise<string> {
  if (given === undefined) mayView(deps.access, caller.person);
  return whichIncident(deps.reader, given, caller.channel);
}

/** @throws EdgeError invalid_request where the name is nobody's. */
async function personNamed(access: Access, me: Person, who: Named): Promise<string> {
  if (who === 'me') return me.id;
  if ('slackUser' in who) {
    const found = await access.bySlackUser(who.slackUser);
    if (found.ok) return found.person.id;
    throw new EdgeError('invalid_request', `${who.slackUser} cannot take command: ${found.reason}.`, {
      hint: 'Name somebody of the access file.',
    });
  }
  if (access.person(who.person) !== undefined) return who.person;
  throw new EdgeError('invalid_request', 'The access file has nobody with that id.', {
    hint: 'Mention the person (@name), or give their id in the access file.',
  });
}

/**
 * An approval is for one exact plan. Typed without the plan's hash it shows the plan, with buttons for it: the plan that
 * waits now may be another one than the person read a minute ago.
 */
async function approveByCommand(
  deps: SlackHandlerDeps,
  caller: Known,
  request: Extract<SlackCommand, { kind: 'approve' }>,
): Promise<SlackMessage> {
  const { person } = caller;
  const { step, planHash } = request;
  const incident = await incidentOf(deps, caller, request.id);
  if (planHash !== undefined) {
    return said(
      await decide(deps.decide, { person, via: 'slack', decision: 'approve', incident, step, planHash }),
    );
  }
  mayView(deps.access, person);
  const { view } = await deps.reader.read(incident);
  const waiting = findWaiting(view, step);
  if (waiting instanceof EdgeError) throw waiting;
  return planMessage(view, waiting);
}

async function pressed(
  deps: SlackHandlerDeps,
  caller: Known,
  name: ButtonName,
  text: string,
): Promise<SlackMessage> {
  const value = readButton(text);
  if (value === undefined) return notOurs();
  const { incidentId: incident, step, planHash = '' } = value;
  const { person } = caller;
  switch (name) {
    case 'approve':
      return said(
        await decide(deps.decide, { person, via: 'slack', decision: 'approve', incident, step, planHash }),
      );
    case 'acknowledge':
      return acting(deps, caller, 'acknowledge', incident, {});
    case 'take-command':
      return acting(deps, caller, 'commander', incident, { commander: person.id });
    default:
      // The others ask for a reason in a form: a press by itself does nothing.
      return notOurs();
  }
}

async function sent(
  deps: SlackHandlerDeps,
  caller: Known,
  { about, reason }: Extract<SlackRequest, { kind: 'form' }>,
): Promise<SlackMessage> {
  const { form, incidentId: incident, step, planHash = '' } = about;
  if (form === 'reject') {
    const { person } = caller;
    return said(
      await decide(deps.decide, {
        person,
        via: 'slack',
        decision: 'reject',
        incident,
        step,
        planHash,
        reason,
      }),
    );
  }
  return acting(deps, caller, ACTION_OF[form], incident, reason === '' ? {} : { reason });
}

function notOurs(): SlackMessage {
  return plainMessage('This button is not one that this version of Firebreak made.');
}

/** Somebody of the workspace who is nobody in the access file: told so, and recorded where they tried to act. */
async function refuseUnknown(
  deps: SlackHandlerDeps,
  slackUserId: string,
  request: SlackRequest,
  authentication: Extract<Authentication, { ok: false }>,
): Promise<SlackMessage> {
  const tried = triedIn(request);
  if (tried !== undefined) {
    await deps.recordAttempt({
      ...tried,
      incident: (tried.incident ?? 'unknown').slice(0, 64),
      verdict: 'denied',
      reason: `${authentication.reason} (${slackUserId})`,
      via: 'slack',
    });
  }
  return plainMessage(
    `Refused: ${authentication.reason}.\nAsk whoever keeps the access file to add your Slack user id (${slackUserId}).`,
  );
}

/** What of a request goes into the record of attempts; undefined for one that only looks. */
function triedIn(
  request: SlackRequest,
): { decision: string; incident?: string | undefined; step?: string; planHash?: string } | undefined {
  switch (request.kind) {
    case 'list':
    case 'status':
    case 'timeline':
    case 'postmortem':
      return undefined;
    case 'declare':
      return { decision: 'declare', incident: 'rollback' };
    case 'act':
      return { decision: request.action, incident: request.id };
    case 'approve':
    case 'reject':
    case 'commander':
      return { decision: request.kind, incident: request.id };
    case 'button': {
      const { incidentId, ...plan } = readButton(request.value) ?? { incidentId: undefined };
      const { name } = request;
      return {
        decision: name === 'approve' || name === 'reject' ? name : ACTION_OF[name],
        incident: incidentId,
        ...plan,
      };
    }
    case 'form': {
      const { form, incidentId, step, planHash } = request.about;
      return {
        decision: form === 'reject' ? form : ACTION_OF[form],
        incident: incidentId,
        ...(step === undefined ? {} : { step }),
        ...(planHash === undefined ? {} : { planHash }),
      };
    }
  }
}

function mayView(access: Access, person: Person): void {
  const permission = access.may(person, 'view');
  if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
}

function said({ message }: { message: string }): SlackMessage {
  return plainMessage(message);
}
