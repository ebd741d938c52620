import type { IncidentState, IncidentView, Outcome } from './incident.ts';
import { escapeMarkdown, truncate } from './plain-text.ts';
import type { Severity } from './severity.ts';

/** A ticket is read at a glance: more reasons than these are in the incident. */
const MAX_REASONS = 5;
/** One line on a phone or two. */
const MAX_REASON_LENGTH = 300;

/** What a ticket's own section says, and what its title and labels follow. Plain JSON. */
export interface TicketStatus {
  severity: Severity;
  state: IncidentState;
  /** A list of Markdown, everything from outside escaped. */
  markdown: string;
}

/**
 * The part of a ticket that follows the incident. It holds no clock: the same state gives the same text, so that nothing is
 * written where nothing changed.
 */
export function ticketStatus(view: IncidentView): TicketStatus {
  const rows: [string, string][] = [
    ['State', view.state],
    ['Severity', view.severity],
  ];
  if (view.outcome !== undefined) rows.push(['Outcome', view.outcome]);
  rows.push(['Commander', view.commander ?? 'nobody']);
  rows.push(['Acknowledged by', view.acknowledgedBy ?? 'nobody']);
  if (view.breaker !== undefined) rows.push(['Traffic', traffic(view.breaker)]);
  if (view.rollback !== undefined) {
    const { fromRevision, toRevision, rollout } = view.rollback;
    rows.push(['Rollback', `revision ${fromRevision} to ${toRevision}: ${rollout?.outcome ?? 'planned'}`]);
  }
  for (const { step, groups, approvedBy, count } of view.pendingApprovals) {
    rows.push([
      'Waits for',
      `approval of ${step} by ${groups.join(', ')} (${approvedBy.length} of ${count})`,
    ]);
  }
  for (const reason of view.humanNeeded.slice(0, MAX_REASONS)) rows.push(['Needs a human', reason]);
  const left = view.humanNeeded.length - MAX_REASONS;
  if (left > 0) rows.push(['Needs a human', `for ${left} more reasons`]);
  return {
    severity: view.severity,
    state: view.state,
    markdown: rows
      .map(([name, value]) => `- ${name}: ${escapeMarkdown(truncate(value, MAX_REASON_LENGTH))}`)
      .join('\n'),
  };
}

function traffic({ state, share, fallback }: NonNullable<IncidentView['breaker']>): string {
  if (state === 'closed') return 'all of it reaches the target';
  const rest = fallback === undefined ? 'the rest is blocked' : `the rest goes to ${fallback}`;
  return `${Math.round(share * 100)}% reaches the target, ${rest}`;
}

/** Outcomes after which nothing is left to be mended in the ticket itself: harm is proved to be over, or never was. */
const DONE: ReadonlySet<Outcome> = new Set(['recovered', 'false-positive', 'drill']);

/**
 * Whether policy may close the ticket: an incident that people took over, or whose recovery was not proved, goes on where the
 * ticket is.
 */
export function mayClose(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && DONE.has(outcome);
}
