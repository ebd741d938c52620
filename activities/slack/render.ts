import type { KnownBlock } from '@slack/web-api';
import { verdictLines } from '../../domain/harm-history/verdict-words.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { isAcknowledged, isOver, nextActionLine } from '../../domain/next-action.ts';
import { escapeSlackWithin, stripControl } from '../../domain/plain-text.ts';
import {
  actions,
  button,
  channelLine,
  fields,
  fitting,
  heading,
  linkLine,
  plain,
  preformatted,
  section,
  strongLine,
} from './blocks.ts';
import { factsOf, stakeholderLines, trendOf, waitingLines } from './facts.ts';
import { DETAILS, type Detail, MAX_FALLBACK, MAX_HEADER } from './limits.ts';
import { planBlocks } from './plan-blocks.ts';

export interface RenderedMessage {
  /** For notifications and screen readers; escaped. */
  text: string;
  blocks: KnownBlock[];
}

/** Where else in the workspace the incident is shown. */
export interface Elsewhere {
  /** Id of the incident's own channel. */
  room?: string | undefined;
  /** Why there is none, though there should be. */
  roomProblem?: string | undefined;
  /** Address of the message in the channel of all incidents. */
  main?: string | undefined;
}

/**
 * The incident's message in the channel: what is going on, who is on it, what waits for whom, what to do next, and the
 * buttons for it. Pure. Every text is shown literally, whoever wrote it. Where everything would be more than Slack takes,
 * the long parts are cut shorter.
 */
export function renderIncident(view: IncidentView, elsewhere: Elsewhere = {}): RenderedMessage {
  const blocks = fitting((detail) => blocksOf(view, detail, elsewhere, threadOf(elsewhere)));
  return { text: fallbackOf(view), blocks };
}

/** The same for one person who asked, in no thread, with the steps. @param note what the person has to know of the answer itself. */
export function renderStatus(view: IncidentView, note?: string): RenderedMessage {
  const steps = `Steps: ${view.steps.map(({ id, status }) => `${id} ${status}`).join(', ')}`;
  const blocks = fitting((detail) => [
    ...(note === undefined ? [] : [section([note], detail.line)]),
    ...blocksOf(view, detail, {}, ''),
    section([steps], detail.section),
  ]);
  return {
    text: `${fallbackOf(view)} (${view.incidentId}). ${escapeSlackWithin(steps, MAX_FALLBACK)}`,
    blocks,
  };
}

function threadOf({ main }: Elsewhere): string {
  return main === undefined ? ' · details in the thread' : '';
}

/** @param where what follows the runbook's name, at the end. */
function blocksOf(view: IncidentView, detail: Detail, elsewhere: Elsewhere, where: string): KnownBlock[] {
  const waiting = waitingLines(view, detail);
  const trend = trendOf(view);
  const told = stakeholderLines(view, detail);
  return [
    { type: 'header', text: plain(stripControl(`[${view.severity}] ${view.title}`), MAX_HEADER) },
    strongLine('Next', nextActionLine(view), detail.line),
    fields(factsOf(view), detail.field),
    ...(trend === undefined
      ? []
      : [preformatted(trend.line, detail.line), section([`Harm rate ${trend.words}`], detail.line)]),
    ...(waiting.length > 0 ? [heading('Waiting'), section(waiting, detail.section)] : []),
    ...(view.verification
      ? [heading('Verification'), section(verdictLines(view.verification), detail.section)]
      : []),
    ...(told.length > 0 ? [heading('Stakeholders'), section(told, detail.section)] : []),
    ...view.pendingApprovals
      .slice(0, detail.approvals)
      .flatMap((pending) => planBlocks(view, pending, detail)),
    ...controls(view),
    ...(view.ticketUrl === undefined ? [] : [linkLine('Ticket', view.ticketUrl, detail.line)]),
    ...(elsewhere.room === undefined ? [] : [channelLine('Channel of this incident', elsewhere.room)]),
    ...(elsewhere.roomProblem === undefined
      ? []
      : [section([`The channel of this incident is not up to date: ${elsewhere.roomProblem}`], detail.line)]),
    ...(elsewhere.main === undefined
      ? []
      : [linkLine('Timeline, in the thread of', elsewhere.main, detail.line)]),
    {
      type: 'context',
      elements: [
        plain(
          `${view.incidentId} · runbook ${view.runbook.name} v${view.runbook.version}${where}`,
          detail.line,
        ),
      ],
    },
  ];
}

/** Buttons for what can be done now; none for what has been done, and none at all when it is over. */
function controls(view: IncidentView): KnownBlock[] {
  if (isOver(view)) return [];
  const value = { incidentId: view.incidentId };
  const mayStop = view.steps.some(({ endedAtMs }) => endedAtMs === undefined);
  return actions([
    isAcknowledged(view) ? undefined : button('acknowledge', 'Acknowledge', value),
    button('escalate', 'Escalate', value),
    button('take-command', 'Take command', value),
    view.outcome === undefined ? button('false-positive', 'False positive', value) : undefined,
    mayStop ? button('stop', 'Stop', value, 'danger') : undefined,
  ]);
}

function fallbackOf(view: IncidentView): string {
  const [urgent] = waitingLines(view, DETAILS[0]);
  const state = `${view.state}${urgent === undefined ? '' : `. ${urgent}`}`;
  return escapeSlackWithin(stripControl(`[${view.severity}] ${view.title} is ${state}`), MAX_FALLBACK);
}
