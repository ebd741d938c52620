/** What the incident's ticket is told at the end, through outages of hours. Nothing but the end of the workflow waits for it. */
import { isCancellation, sleep } from '@temporalio/workflow';
import type { TicketActivities } from '../../activities/contract.ts';
import { FAILURES } from '../../domain/failure.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { type FiledItem, renderOutcome } from '../../domain/ticket.ts';
import { ticketStatus } from '../../domain/ticket-status.ts';
import { tickets } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { openUnderWay, tellVerdict, ticketKey } from './ticket.ts';

/** A ticket system that is away at the end is waited for this long: an outage of a working day, at most. */
export const LAST_WORDS_WITHIN_MS = 8 * 3_600_000;
/** Of one part, then it is the others' turn: longer than the hour for which GitHub's rate limit can ask to wait. */
const PART_WITHIN_MS = 75 * 60_000;
/** Before the parts that could not be written are tried again. */
const ROUND_PAUSE_MS = 5 * 60_000;
/** What is left to a part at the very end: one attempt. */
const LAST_ATTEMPT_MS = 60_000;

interface Part {
  what: string;
  write(calls: TicketActivities): Promise<void>;
}

/**
 * The end, in the ticket: the verdict, an issue for each action item, the outcome with links to them, the postmortem, and the
 * last status, with which it is closed where the configuration says so. Each part is found where it is there already, so all of
 * it can be done again. A part that cannot be written does not keep the others from being written: it is tried again after
 * them, until `untilMs`; one that is refused is not.
 * @param view of the incident with its final action items.
 * @param problems filled with what could not be written so far, and why: also where this is cancelled.
 */
export async function tellTheEnd(
  view: IncidentView,
  runbook: CompiledRunbook,
  { untilMs, nowMs, problems }: { untilMs: number; nowMs: () => number; problems: Map<string, string> },
): Promise<void> {
  const leftMs = () => Math.max(LAST_ATTEMPT_MS, untilMs - nowMs());
  const key = ticketKey(view) ?? (await openUnderWay(view, runbook, nowMs(), leftMs()));
  if (key === undefined) return;
  const filed: Record<string, FiledItem> = {};
  const outcome = outcomeOf(view, key, filed);
  let pending = partsOf(view, key, filed, outcome);
  for (;;) {
    const last = nowMs() >= untilMs;
    const again: Part[] = [];
    let limited = false;
    for (const part of pending) {
      // It has the links to the action items, and is written once.
      const waits = part === outcome && again.some(({ what }) => what.startsWith(ITEM)) && !last;
      if (limited || waits) {
        again.push(part);
        continue;
      }
      try {
        await part.write(tickets({ withinMs: Math.min(PART_WITHIN_MS, leftMs()) }));
        problems.delete(part.what);
      } catch (error) {
        if (isCancellation(error)) throw error;
        const { type, message } = readFailure(error);
        problems.set(part.what, message);
        if (FAILURES[type].retryable) again.push(part);
        // Of the whole account: the other parts would only prolong it.
        limited = type === 'RateLimited' && !last;
      }
    }
    pending = again;
    if (pending.length === 0 || last) return;
    await sleep(ROUND_PAUSE_MS);
  }
}

const ITEM = 'action item';

function outcomeOf(view: IncidentView, key: string, filed: Readonly<Record<string, FiledItem>>): Part {
  const { incidentId } = view;
  return {
    what: 'the outcome',
    async write(calls) {
      const bodyMarkdown = renderOutcome(view, filed);
      await calls.commentTicket({ key, incidentId, commentKey: 'outcome', bodyMarkdown });
    },
  };
}

function partsOf(view: IncidentView, key: string, filed: Record<string, FiledItem>, outcome: Part): Part[] {
  const { incidentId } = view;
  return [
    ...(view.verification
      ? [{ what: 'the verdict', write: (calls: TicketActivities) => tellVerdict(calls, view, key) }]
      : []),
    ...view.actionItems.map((item) => ({
      what: `${ITEM} ${item.id}`,
      async write(calls: TicketActivities) {
        const at = await calls.fileActionItem({ key, incidentId, item });
        filed[item.id] = { key: at.key, url: at.url };
      },
    })),
    outcome,
    {
      what: 'the postmortem',
      async write(calls) {
        await calls.publishPostmortem({ key, incidentId });
      },
    },
    {
      what: 'the last status',
      async write(calls) {
        const status = ticketStatus(view);
        await calls.updateTicket({ key, incidentId, status, ...(view.outcome && { outcome: view.outcome }) });
      },
    },
  ];
}
