/** Keeps the incident's ticket up to date, and tells it how the incident ended. Nothing waits for it. */
import { condition, isCancellation, log } from '@temporalio/workflow';
import type { PlottedView } from '../../activities/contract.ts';
import type { IncidentView, VerificationSummary } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { type FiledItem, renderOutcome, renderTicket, renderVerification } from '../../domain/ticket.ts';
import { ticketStatus } from '../../domain/ticket-status.ts';
import { vendors } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { Incident } from './state.ts';

/** Pause between two updates: changes come in bursts, and each one is a mail to those who watch the ticket. */
const TICKET_PAUSE_MS = 15_000;
/** Of an update: the next change writes all of it again. */
const UPDATE_ATTEMPTS = 3;

/** The vendor's key of the incident's ticket, once a step has opened it. */
export function ticketKey(view: Pick<IncidentView, 'steps'>): string | undefined {
  const keys = view.steps.map((step) => (step.uses === 'ticket' ? step.outputs?.key : undefined));
  return keys.find((key) => typeof key === 'string');
}

/**
 * Writes what changed into the ticket until the incident is resolved: status, severity, and each verdict as a comment.
 * @param ending whether this run of the workflow ends.
 */
export async function keepTicket(state: Incident, ending: () => boolean): Promise<void> {
  const { data } = state;
  const over = () => ending() || data.milestones.resolved !== undefined;
  let seen = -1;
  let shown = '';
  let told = '';
  while (!over()) {
    await condition(() => (ticketKey(data) !== undefined && state.version !== seen) || over());
    const key = ticketKey(data);
    if (over() || key === undefined) return;
    seen = state.version;
    const view = state.view();
    const status = ticketStatus(view);
    const verdict = verdictKey(view);
    if (JSON.stringify(status) === shown && (verdict === undefined || verdict === told)) continue;
    try {
      await vendors(UPDATE_ATTEMPTS).updateTicket({ key, incidentId: data.incidentId, status });
      shown = JSON.stringify(status);
      if (verdict !== undefined && verdict !== told) {
        await tellVerdict(view, key, verdict, UPDATE_ATTEMPTS);
        told = verdict;
      }
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn('the ticket could not be updated', { problem: readFailure(error).message });
    }
    await condition(over, TICKET_PAUSE_MS);
  }
}

/**
 * The end, in the ticket: the verdict, an issue for each action item, the outcome with links to them, the postmortem, and the
 * last status, with which it is closed where the configuration says so. Each part is found where it is there already, so all of
 * it can be done again. A part that is refused does not keep the others from being written.
 * @param view of the incident with its final action items.
 * @returns what could not be written, and why.
 */
export async function finishTicket(view: IncidentView, key: string): Promise<string[]> {
  const { incidentId } = view;
  const problems: string[] = [];
  const tried = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (isCancellation(error)) throw error;
      problems.push(`${what}: ${readFailure(error).message}`);
      return undefined;
    }
  };
  const { verification } = view;
  if (verification) {
    await tried('the verdict', () => tellVerdict(view, key, keyOf(verification)));
  }
  const filed: Record<string, FiledItem> = {};
  for (const item of view.actionItems) {
    const at = await tried(`action item ${item.id}`, () =>
      vendors().fileActionItem({ key, incidentId, item }),
    );
    if (at) filed[item.id] = { key: at.key, url: at.url };
  }
  await tried('the outcome', () =>
    vendors().commentTicket({
      key,
      incidentId,
      commentKey: 'outcome',
      bodyMarkdown: renderOutcome(view, filed),
    }),
  );
  await tried('the postmortem', () => vendors().publishPostmortem({ key, incidentId }));
  await tried('the last status', () =>
    vendors().updateTicket({
      key,
      incidentId,
      status: ticketStatus(view),
      ...(view.outcome && { outcome: view.outcome }),
    }),
  );
  return problems;
}

/** Whether a ticket was being opened when the incident was resolved: the vendor may have it, without an answer. */
export function isUnderWay(view: Pick<IncidentView, 'steps' | 'milestones'>): boolean {
  return stepUnderWay(view) !== undefined;
}

/**
 * Opens, or finds, the ticket that was being opened when the incident was resolved.
 * @returns the vendor's key.
 */
export async function openUnderWay(
  view: IncidentView,
  runbook: CompiledRunbook,
  nowMs: number,
): Promise<string | undefined> {
  const step = stepUnderWay(view);
  if (!step) return undefined;
  const labels = runbook.steps.find(({ id }) => id === step.id)?.with.labels;
  const { title, body } = renderTicket(view, [], nowMs);
  const { key } = await vendors().openTicket({
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

async function tellVerdict(
  view: IncidentView,
  key: string,
  commentKey: string,
  maxAttempts?: number,
): Promise<void> {
  await vendors(maxAttempts).commentTicket({
    key,
    incidentId: view.incidentId,
    commentKey,
    bodyMarkdown: renderVerification(view),
    plot: plotted(view),
  });
}

function plotted(view: IncidentView): PlottedView {
  const { incidentId, title, target, harmHistory, verification, milestones, timeline } = view;
  return { incidentId, title, target, harmHistory, verification, milestones, timeline };
}
