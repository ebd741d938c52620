import type { KnownBlock } from '@slack/web-api';
import type { Postmortem } from '../../activities/records/store.ts';
import { fitting, lineSections, section } from '../../activities/slack/blocks.ts';
import { entryLine } from '../../activities/slack/entries.ts';
import { MAX_THREAD_SECTIONS } from '../../activities/slack/limits.ts';
import { planBlocks } from '../../activities/slack/plan-blocks.ts';
import { type RenderedMessage, renderStatus } from '../../activities/slack/render.ts';
import type { IncidentView, PendingApproval, TimelineEntry } from '../../domain/incident.ts';
import { escapeSlackWithin, stripControl, truncate } from '../../domain/plain-text.ts';

/** Slack cuts longer texts of messages itself. */
const MAX_FALLBACK = 4_000;
const MAX_LISTED = 15;
/** Entries of a timeline in one message; the whole one is in the thread and the CLI. */
const MAX_ENTRIES = 40;
/** Of a note or a reason in a timeline; the whole one is in the CLI. */
const MAX_WORDS = 500;

/** For the person who asked alone, beside what is there. */
export interface SlackMessage extends RenderedMessage {
  response_type: 'ephemeral';
  replace_original: false;
}

function forOne(message: RenderedMessage): SlackMessage {
  return { response_type: 'ephemeral', replace_original: false, ...message };
}

/**
 * A message for one person, shown literally: plain_text blocks know no links, mentions or formatting, and the fallback
 * text is escaped.
 */
export function plainMessage(text: string): SlackMessage {
  return forOne({ text: escapeSlackWithin(text, MAX_FALLBACK), blocks: [section(text.split('\n'))] });
}

export function listMessage(incidents: readonly IncidentView[], notes: readonly string[]): SlackMessage {
  const open = incidents.filter((view) => view.state !== 'closed');
  const lines = open
    .slice(0, MAX_LISTED)
    .map((view) => `${view.incidentId}  ${view.severity}  ${view.state}  ${view.title}`);
  if (open.length > MAX_LISTED) lines.push(`and ${open.length - MAX_LISTED} more`);
  return linesMessage([...(lines.length > 0 ? lines : ['No open incidents.']), ...notes]);
}

/** @param note why the answer may not be how it is now. */
export function statusMessage(view: IncidentView, note?: string): SlackMessage {
  return forOne(renderStatus(view, note));
}

/** The plan that waits, with buttons that decide on exactly it. */
export function planMessage(view: IncidentView, pending: PendingApproval): SlackMessage {
  const text = 'Read the plan, then approve exactly it:';
  const blocks = fitting((detail) => [section([text]), ...planBlocks(view, pending, detail)]);
  return forOne({ text, blocks });
}

/** The latest entries: what happened last is what is asked for at 3 a.m. */
export function timelineMessage(
  view: IncidentView,
  entries: readonly TimelineEntry[],
  note?: string,
): SlackMessage {
  for (let shown = Math.min(entries.length, MAX_ENTRIES); ; shown -= 1) {
    const hidden = entries.length - shown;
    const lines = [
      `${view.incidentId} ${view.title}`,
      ...(hidden > 0 ? [`${hidden} earlier entries: firebreak incident timeline ${view.incidentId}`] : []),
      ...entries.slice(hidden).map((entry) => `${entryLine(entry)}${wordsIn(entry)}`),
      ...(note ? [note] : []),
    ];
    const { taken } = lineSections(lines, MAX_THREAD_SECTIONS);
    if (taken === lines.length || shown === 0) return linesMessage(lines);
  }
}

/** Markdown as it is: a first look. Whoever edits or files it uses the CLI. */
export function postmortemMessage(incidentId: string, { markdown, draft }: Postmortem): SlackMessage {
  return linesMessage([
    `Postmortem of ${incidentId}${draft ? ' (draft)' : ''}. All of it: firebreak incident postmortem ${incidentId}`,
    ...markdown.split('\n'),
  ]);
}

/** As many of the lines as a message holds; a line break in somebody's text makes no line that looks like ours. */
function linesMessage(lines: readonly string[]): SlackMessage {
  const { blocks, taken } = lineSections(lines, MAX_THREAD_SECTIONS);
  const more: KnownBlock[] =
    taken < lines.length ? [section([`and ${lines.length - taken} more lines`])] : [];
  const text = escapeSlackWithin(lines.map(stripControl).join('\n'), MAX_FALLBACK);
  return forOne({ text, blocks: [...blocks, ...more] });
}

/** What a person gave with an entry: the note itself, or the reason of a decision. Nothing else of its data. */
function wordsIn({ kind, data }: TimelineEntry): string {
  if (kind !== 'note' && kind !== 'decision') return '';
  const { text, reason } = (data ?? {}) as { text?: unknown; reason?: unknown };
  const words = typeof text === 'string' ? text : reason;
  return typeof words === 'string' ? `: ${truncate(words, MAX_WORDS)}` : '';
}
