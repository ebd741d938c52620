import { z } from 'zod';
import type { Access, Authentication, Person } from '../access/access.ts';
import { EdgeError } from '../errors.ts';
import { type ActDeps, act } from '../incidents/act.ts';
import type { RecordAttempt } from '../incidents/attempts.ts';
import { type DecideDeps, decide, findWaiting } from '../incidents/decide.ts';
import type { IncidentReader } from '../incidents/reader.ts';
import type { SlackCommand } from './commands.ts';
import { listMessage, plainMessage, planBlocks, type SlackMessage, statusMessage } from './render.ts';

const MAX_LISTED = 50;

export interface SlackHandlerDeps {
  access: Access;
  reader: IncidentReader;
  act: ActDeps;
  decide: DecideDeps;
  recordAttempt: RecordAttempt;
}

/** A pressed button, or a command that acts: what to do and to which incident. */
export type SlackRequest =
  | Exclude<SlackCommand, { kind: 'help' }>
  | { kind: 'button'; action: 'approve' | 'reject' | 'acknowledge'; value: string };

const buttonValue = z.object({
  incidentId: z.string().max(64),
  step: z.string().max(64).optional(),
  planHash: z.string().max(64).optional(),
});

/**
 * Does what a Slack user asked for and says how it went, in a message for that user. Never throws an EdgeError: those are
 * answers too.
 */
export async function handleSlack(
  deps: SlackHandlerDeps,
  slackUserId: string,
  request: SlackRequest,
): Promise<SlackMessage> {
  try {
    const authentication = deps.access.bySlackUser(slackUserId);
    if (!authentication.ok) return await refuseUnknown(deps, slackUserId, request, authentication);
    return await perform(deps, authentication.person, request);
  } catch (error) {
    if (error instanceof EdgeError) return plainMessage(`${error.message}\n${error.hint}`);
    throw error;
  }
}

async function perform(deps: SlackHandlerDeps, person: Person, request: SlackRequest): Promise<SlackMessage> {
  switch (request.kind) {
    case 'list': {
      mayView(deps.access, person);
      const { incidents, notes } = await deps.reader.list({ limit: MAX_LISTED });
      return listMessage(incidents, notes);
    }
    case 'status': {
      mayView(deps.access, person);
      const { view, note } = await deps.reader.read(request.id);
      return statusMessage(view, note);
    }
    case 'acknowledge':
      return said(
        await act(deps.act, { person, via: 'slack', action: 'acknowledge', incident: request.id, body: {} }),
      );
    case 'note': {
      const body = { text: request.text };
      return said(await act(deps.act, { person, via: 'slack', action: 'note', incident: request.id, body }));
    }
    case 'resolve': {
      const body = { reason: request.reason };
      return said(
        await act(deps.act, { person, via: 'slack', action: 'resolve', incident: request.id, body }),
      );
    }
    case 'approve':
      return approveByCommand(deps, person, request);
    case 'reject': {
      const { id: incident, reason } = request;
      return said(await decide(deps.decide, { person, via: 'slack', decision: 'reject', incident, reason }));
    }
    case 'button':
      return pressed(deps, person, request.action, request.value);
  }
}

/**
 * An approval is for one exact plan. Typed without the plan's hash it shows the plan, with buttons for it: the plan that
 * waits now may be another one than the person read a minute ago.
 */
async function approveByCommand(
  deps: SlackHandlerDeps,
  person: Person,
  request: Extract<SlackCommand, { kind: 'approve' }>,
): Promise<SlackMessage> {
  const { id: incident, step, planHash } = request;
  if (planHash !== undefined) {
    return said(
      await decide(deps.decide, { person, via: 'slack', decision: 'approve', incident, step, planHash }),
    );
  }
  mayView(deps.access, person);
  const { view } = await deps.reader.read(incident);
  const waiting = findWaiting(view, step);
  if (waiting instanceof EdgeError) throw waiting;
  return plainMessage('Read the plan, then approve exactly it:', planBlocks(view.incidentId, waiting));
}

async function pressed(
  deps: SlackHandlerDeps,
  person: Person,
  action: 'approve' | 'reject' | 'acknowledge',
  text: string,
): Promise<SlackMessage> {
  const value = readButton(text);
  if (value === undefined) return plainMessage('This button is not one that this version of Firebreak made.');
  const { incidentId: incident, step, planHash } = value;
  if (action === 'acknowledge') {
    return said(await act(deps.act, { person, via: 'slack', action, incident, body: {} }));
  }
  return said(
    await decide(deps.decide, {
      person,
      via: 'slack',
      decision: action,
      incident,
      step,
      planHash: planHash ?? '',
    }),
  );
}

/** Somebody of the workspace who is nobody in the access file: told so, and recorded where they tried to act. */
async function refuseUnknown(
  deps: SlackHandlerDeps,
  slackUserId: string,
  request: SlackRequest,
  authentication: Extract<Authentication, { ok: false }>,
): Promise<SlackMessage> {
  if (request.kind !== 'list' && request.kind !== 'status') {
    const button = request.kind === 'button' ? readButton(request.value) : undefined;
    const incident = request.kind === 'button' ? button?.incidentId : request.id;
    await deps.recordAttempt({
      incident: (incident ?? 'unknown').slice(0, 64),
      ...(button?.step === undefined ? {} : { step: button.step }),
      ...(button?.planHash === undefined ? {} : { planHash: button.planHash }),
      decision: request.kind === 'button' ? request.action : request.kind,
      verdict: 'denied',
      reason: `${authentication.reason} (${slackUserId})`,
      via: 'slack',
    });
  }
  return plainMessage(
    `Refused: ${authentication.reason}.\nAsk whoever keeps the access file to add your Slack user id (${slackUserId}).`,
  );
}

function readButton(text: string): z.output<typeof buttonValue> | undefined {
  try {
    return buttonValue.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function mayView(access: Access, person: Person): void {
  const permission = access.may(person, 'view');
  if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
}

function said({ message }: { message: string }): SlackMessage {
  return plainMessage(message);
}
