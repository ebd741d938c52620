/** Keeps the incident's ticket up to date while it goes on, and opens one late. Nothing waits for it. */
import { condition, isCancellation, log } from '@temporalio/workflow';
import type { PlottedView, TicketActivities } from '../../activities/contract.ts';
import type { IncidentView, VerificationSummary } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { renderTicket, renderVerification } from '../../domain/ticket.ts';
import { ticketStatus } from '../../domain/ticket-status.ts';
import { tickets } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { Incident } from './state.ts';

/** Pause between two updates: changes come in bursts, and each one is a mail to those who watch the ticket. */
const TICKET_PAUSE_MS = 15_000;
/** Of one update; what could not be written is written anew, from what is true then, after a pause. */
const UPDATE_ATTEMPTS = 3;
/** First pause after an update that failed; it doubles up to the cap, so that an outage of days leaves a short history. */
const FIRST_PAUSE_AFTER_FAILURE_MS = 60_000;
/** A ticket system that comes back, or a token that is made anew, is used within this time. */
const LONGEST_PAUSE_AFTER_FAILURE_MS = 15 * 60_000;

/** The vendor's key of the incident's ticket, once a step has opened it. */
export function ticketKey(view: Pick<IncidentView, 'steps'>): string | undefined {
  const keys = view.steps.map((step) => (step.uses === 'ticket' ? step.outputs?.key : undefined));
  return keys.find((key) => typeof key === 'string');
}

/**
 * Writes what changed into the ticket until the incident is resolved: status, severity, and each verdict as a comment. An outage
 * is told once on the timeline, and so is its end.
 * @param ending whether this run of the workflow ends.
 */
export async function keepTicket(state: Incident, nowMs: () => number, ending: () => boolean): Promise<void> {
  const { data } = state;
  const over = () => ending() || data.milestones.resolved !== undefined;
  let seen = -1;
  let shown = '';
  let told = '';
  let failures = 0;
  while (!over()) {
    await condition(() => (ticketKey(data) !== undefined && state.version !== seen) || over());
    const key = ticketKey(data);
    if (over() || key === undefined) return;
    const { version } = state;
    const view = state.view();
    const status = ticketStatus(view);
    const verdict = verdictKey(view);
    if (JSON.stringify(status) === shown && (verdict === undefined || verdict === told)) {
      seen = version;
      continue;
    }
    const calls = tickets({ attempts: UPDATE_ATTEMPTS });
    try {
      await calls.updateTicket({ key, incidentId: data.incidentId, status });
      shown = JSON.stringify(status);
      if (verdict !== undefined && verdict !== told) {
        await tellVerdict(calls, view, key);
        told = verdict;
      }
      seen = version;
      if (failures > 0) state.record('evidence', 'The ticket is kept up to date again', nowMs());
      failures = 0;
    } catch (error) {
      if (isCancellation(error)) throw error;
      const problem = readFailure(error).message;
      log.warn('the ticket could not be updated', { problem });
      if (failures === 0) {
        state.record('evidence', 'The ticket cannot be kept up to date; it is tried again', nowMs(), {
          problem,
        });
      }
      failures++;
    }
    await condition(over, failures === 0 ? TICKET_PAUSE_MS : pauseAfter(failures));
  }
}

function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_AFTER_FAILURE_MS, FIRST_PAUSE_AFTER_FAILURE_MS * 2 ** (failures - 1));
}

/** Whether a ticket was being opened when the incident was resolved: the vendor may have it, without an answer. */
export function isUnderWay(view: Pick<IncidentView, 'steps' | 'milestones'>): boolean {
  return stepUnderWay(view) !== undefined;
}

/**
 * Opens, or finds, the ticket that was being opened when the incident was resolved.
 * @param withinMs after which it is given up.
 * @returns the vendor's key.
 */
export async function openUnderWay(
  view: IncidentView,
  runbook: CompiledRunbook,
  nowMs: number,
  withinMs: number,
): Promise<string | undefined> {
  const step = stepUnderWay(view);
  if (!step) return undefined;
  const labels = runbook.steps.find(({ id }) => id === step.id)?.with.labels;
  const { title, body } = renderTicket(view, [], nowMs);
  const { key } = await tickets({ withinMs }).openTicket({
    incidentId: view.incidentId,
    title,
    status: ticketStatus(view),
    bodyMarkdown: body,
    labels: Array.isArray(labels) ? labels.filter((label) => typeof label === 'string') : [],
  });
  return key;
}

/** Begun, and ended by the resolution: not by a person, who may have had a reason. */
function stepUnderWay({ steps, milestones }: Pick<IncidentView, 'steps' | 'milestones'>) {
  const { resolved } = milestones;
  return steps.find(
    ({ uses, status, startedAtMs, endedAtMs }) =>
      uses === 'ticket' &&
      status === 'skipped' &&
      startedAtMs !== undefined &&
      resolved !== undefined &&
      (endedAtMs ?? 0) >= resolved,
  );
}

/** A verdict that is settled: while one is being looked for, the last one is not news. */
function verdictKey(view: IncidentView): string | undefined {
  const looking = view.steps.some(({ uses, status }) => uses === 'verify' && status === 'running');
  return view.verification && !looking ? keyOf(view.verification) : undefined;
}

/** The same verdict is told once, in whichever run. */
function keyOf({ outcome, harmful, classified, seconds }: VerificationSummary): string {
  return `verification-${outcome}-${harmful}-${classified}-${Math.round(seconds)}`;
}

/** The verdict of a view that has one, as a comment with its plot. */
export async function tellVerdict(calls: TicketActivities, view: IncidentView, key: string): Promise<void> {
  const { incidentId, verification } = view;
  if (!verification) return;
  await calls.commentTicket({
    key,
    incidentId,
    commentKey: keyOf(verification),
    bodyMarkdown: renderVerification(view),
    plot: plotted(view),
  });
}

function plotted(view: IncidentView): PlottedView {
  const { incidentId, title, target, harmHistory, verification, milestones, timeline } = view;
  return { incidentId, title, target, harmHistory, verification, milestones, timeline };
}
