/** What a person can do next about an incident, most urgent first: chat, CLI and console say the same. Pure. */
import type { IncidentView, PendingApproval } from './incident.ts';

export type NextAction =
  | { kind: 'decide'; pending: PendingApproval }
  | { kind: 'acknowledge' }
  | { kind: 'retry'; step: string; status: 'failed' | 'rejected' }
  | { kind: 'look'; reason: string }
  | { kind: 'resolve' }
  | { kind: 'update'; dueAtMs: number }
  | { kind: 'wait'; what: string }
  | { kind: 'read-postmortem' }
  | { kind: 'read-timeline' };

/** Nobody is asked for anything any more. */
export function isOver({ state }: Pick<IncidentView, 'state'>): boolean {
  return state === 'resolved' || state === 'closed';
}

/** Whether somebody is on it now. The milestone says that somebody was: an acknowledgement lapses. */
export function isAcknowledged({ acknowledgedBy }: Pick<IncidentView, 'acknowledgedBy'>): boolean {
  return acknowledgedBy !== undefined;
}

/** Everything that can be done now; never empty. */
export function nextActions(view: IncidentView): NextAction[] {
  if (view.state === 'closed') return [{ kind: 'read-postmortem' }];
  const over = isOver(view);
  const next: NextAction[] = view.pendingApprovals.map((pending) => ({ kind: 'decide', pending }));
  if (!isAcknowledged(view)) next.push({ kind: 'acknowledge' });
  for (const { id, status } of view.steps) {
    if (status === 'failed' || status === 'rejected') next.push({ kind: 'retry', step: id, status });
  }
  if (!over) {
    for (const reason of view.humanNeeded) next.push({ kind: 'look', reason });
    if (view.updateDueAtMs !== undefined) next.push({ kind: 'update', dueAtMs: view.updateDueAtMs });
  }
  if (view.humanNeeded.length > 0 || view.state === 'mitigated') next.push({ kind: 'resolve' });
  const waiting = waitedFor(view);
  if (waiting !== undefined) next.push({ kind: 'wait', what: waiting });
  next.push({ kind: 'read-timeline' });
  return next;
}

/**
 * The one thing to do next, as a sentence for whoever is on call. May hold text of others (why a human is needed): show
 * it as plain text, bounded.
 */
export function nextActionLine(view: IncidentView): string {
  // Where it is resolved, nobody is asked for anything: what is left is written by itself.
  if (view.state === 'resolved') return 'Nothing: it is resolved, and the postmortem is being written.';
  const actions = nextActions(view);
  const looks = actions.find((action) => action.kind === 'look');
  const waits = actions.find((action) => action.kind === 'wait');
  const [first] = actions;
  switch (first?.kind) {
    case 'decide':
      return decideLine(view, first.pending);
    case 'acknowledge':
      return 'Acknowledge it: that stops the escalation and tells the others that somebody is on it.';
    case 'retry':
      return `Step ${first.step} ${first.status === 'failed' ? 'failed' : 'was rejected'}: ${looks === undefined ? 'mend what is in its way, then retry or skip it' : looks.reason}.`;
    case 'look':
      return `A human is needed: ${first.reason}.`;
    case 'update':
      return `Tell the stakeholders how it stands by ${clock(first.dueAtMs)}: /firebreak update.`;
    case 'resolve':
      return 'Nothing, if you agree that it is over: it resolves itself when no alert fires any more.';
    case 'read-postmortem':
      return 'Read the postmortem, and take on its action items.';
    default:
      return waits === undefined
        ? 'Look at the timeline: no step is under way and nobody is asked for anything.'
        : `Nothing right now: ${waits.what}.`;
  }
}

function decideLine(view: IncidentView, pending: PendingApproval): string {
  const missing = Math.max(1, pending.count - pending.approvedBy.length);
  const who = `${missing} of ${pending.groups.join(' or ')}`;
  const more =
    view.pendingApprovals.length > 1 ? ` (${view.pendingApprovals.length - 1} more after that)` : '';
  return `Approve or reject step ${pending.step} by ${clock(pending.expiresAtMs)}: ${who}${more}.`;
}

/** What Firebreak itself is busy with. */
function waitedFor(view: IncidentView): string | undefined {
  if (isOver(view)) return undefined;
  if (view.state === 'verifying') return 'it is measured whether the harm is gone';
  if (view.state === 'mitigated') return 'it resolves when no alert has fired for a while';
  const running = view.steps.filter(({ status }) => status === 'running').map(({ id }) => id);
  if (running.length > 0) return `under way: ${running.join(', ')}`;
  const waiting = view.steps.filter(({ status }) => status === 'watching' || status === 'waiting');
  return waiting.length > 0 ? `waits for its time: ${waiting.map(({ id }) => id).join(', ')}` : undefined;
}

/** UTC: readers sit in several time zones, and logs are in UTC. */
export function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(11, 16)} UTC`;
}
