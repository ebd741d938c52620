import type { Decision } from '../domain/decision.ts';
import type { IncidentView, PendingApproval } from '../domain/incident.ts';
import * as messages from '../workflows/messages.ts';
import type { PersonEvent } from './scenario/schema.ts';
import type { World } from './world/world.ts';

/** Where the scenario gives no reason and one is needed. */
const NO_REASON = 'written in the scenario';
/** As the edge signs decisions (webhooks/incidents/decide.ts): they are used at once. */
const DECISION_VALID_MS = 15 * 60_000;

export interface Deed {
  update: string;
  input: Record<string, unknown>;
}

/** The update that an edge would send for what a person does. */
export function deedOf(event: PersonEvent, view: IncidentView, world: World, nowMs: number): Deed {
  const actor: messages.Actor = { person: event.person, via: 'cli' };
  const reason = event.reason ?? NO_REASON;
  const send = (update: { name: string }, input: Record<string, unknown> = {}): Deed => ({
    update: update.name,
    input: { actor, ...input },
  });
  switch (event.does) {
    case 'approve':
      return send(messages.approveUpdate, { signed: world.signed(decisionOf(event, view, nowMs)) });
    case 'reject':
      return send(messages.rejectUpdate, { signed: world.signed(decisionOf(event, view, nowMs)) });
    case 'acknowledge':
      return send(messages.acknowledgeUpdate);
    case 'retry':
      return send(messages.retryStepUpdate, { step: event.step, reason, toRevision: event.toRevision });
    case 'skip':
      return send(messages.skipStepUpdate, { step: event.step, reason });
    case 'abort':
      return send(messages.abortUpdate, { reason });
    case 'override':
      return send(messages.overrideBreakerUpdate, { force: event.force, reason, forMs: event.for });
    case 'note':
      return send(messages.addNoteUpdate, { text: reason });
    case 'escalate':
      return send(messages.escalateUpdate, { reason: event.reason });
    case 'update':
      return send(messages.informUpdate, { text: reason, remindAfterMs: event.for });
    case 'false-positive':
      return send(messages.markFalsePositiveUpdate, { reason });
    case 'resolve':
      return send(messages.resolveUpdate, { reason });
    case 'severity':
      return send(messages.setSeverityUpdate, { severity: event.severity, reason });
    case 'commander':
      return send(messages.assignCommanderUpdate, { commander: event.commander ?? event.person });
  }
}

/** About the plan that waits; where none does, the workflow's validator says so. */
function decisionOf(event: PersonEvent, view: IncidentView, nowMs: number): Decision {
  const pending: PendingApproval | undefined =
    event.step === undefined
      ? view.pendingApprovals[0]
      : view.pendingApprovals.find(({ step }) => step === event.step);
  return {
    decision: event.does === 'reject' ? 'reject' : 'approve',
    incidentId: view.incidentId,
    step: pending?.step ?? event.step ?? '',
    planHash: pending?.planHash ?? '',
    person: event.person,
    groups: event.groups ?? pending?.groups ?? [],
    ...(event.reason === undefined ? {} : { reason: event.reason }),
    ...(event.breakGlass ? { breakGlass: true as const } : {}),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + DECISION_VALID_MS,
    accessVersion: 'simulation',
    via: 'cli',
  };
}

export function decides({ does }: PersonEvent): boolean {
  return does === 'approve' || does === 'reject';
}

/** `maria: approve rollback`, as it is told. */
export function sayDeed({ person, does, step }: PersonEvent): string {
  return `${person}: ${does}${step === undefined ? '' : ` ${step}`}`;
}
