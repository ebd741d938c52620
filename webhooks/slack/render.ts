import type { Postmortem } from '../../activities/records/store.ts';
import type { IncidentView, PendingApproval, TimelineEntry } from '../../domain/incident.ts';
import { isAcknowledged } from '../../domain/next-action.ts';
import { escapeSlackWithin, stripControl, truncate } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import { SHORTEST_PLAN_HASH } from '../incidents/decide.ts';

/** Slack: text of a section block. */
const MAX_SECTION = 3_000;
/** Slack cuts longer texts of messages itself. */
const MAX_FALLBACK = 4_000;
/** The diff is for a first look; the whole one is in the CLI. */
const MAX_DIFF = 2_500;
const MAX_LISTED = 15;
/** Entries of a timeline in one message; the whole one is in the thread and the CLI. */
const MAX_ENTRIES = 40;
/** Of a note or a reason in a timeline; the whole one is in the CLI. */
const MAX_WORDS = 500;
/** Sections of one postmortem: with 3,000 characters each more than anybody reads in a message. */
const MAX_SECTIONS = 8;
/** Of a confirmation: https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object */
const MAX_CONFIRM_TEXT = 300;
const OVER: readonly string[] = ['resolved', 'closed'];

type Block = Record<string, unknown>;
export interface SlackMessage {
  response_type: 'ephemeral';
  replace_original: false;
  text: string;
  blocks?: Block[];
}

/** The buttons' action ids, and the JSON in their values: what a pressed button means. */
export const ACTION_IDS = {
  approve: 'firebreak_approve',
  reject: 'firebreak_reject',
  acknowledge: 'firebreak_acknowledge',
  escalate: 'firebreak_escalate',
  'take-command': 'firebreak_take_command',
  'false-positive': 'firebreak_false_positive',
  stop: 'firebreak_stop',
} as const;
interface ButtonValue {
  incidentId: string;
  step?: string;
  planHash?: string;
}

/**
 * A message for one person, shown literally: plain_text blocks know no links, mentions or formatting, and the fallback
 * text is escaped.
 */
export function plainMessage(text: string, more: Block[] = []): SlackMessage {
  return {
    response_type: 'ephemeral',
    replace_original: false,
    text: escapeSlackWithin(text, MAX_FALLBACK),
    blocks: [section(text), ...more],
  };
}

function section(text: string): Block {
  return {
    type: 'section',
    text: { type: 'plain_text', text: visible(escapeSlackWithin(text, MAX_SECTION)), emoji: false },
  };
}

/** One line for each: a line break in somebody's text must not make a line that looks like ours. */
function joined(lines: readonly string[]): string {
  return lines.map(stripControl).join('\n');
}

/** Slack refuses a text of nothing, and the whole message with it. */
function visible(text: string): string {
  return text.trim() === '' ? '-' : text;
}

export function listMessage(incidents: readonly IncidentView[], notes: readonly string[]): SlackMessage {
  const open = incidents.filter((view) => view.state !== 'closed');
  const lines = open
    .slice(0, MAX_LISTED)
    .map((view) => `${view.incidentId}  ${view.severity}  ${view.state}  ${view.title}`);
  if (open.length > MAX_LISTED) lines.push(`and ${open.length - MAX_LISTED} more`);
  return plainMessage(joined([...(lines.length > 0 ? lines : ['No open incidents.']), ...notes]));
}

export function statusMessage(view: IncidentView, note?: string): SlackMessage {
  const lines = [
    `${view.severity} ${view.title}`,
    `${view.incidentId} is ${view.state}${view.outcome ? ` (${view.outcome})` : ''}`,
    `Target: ${view.target ? targetKey(view.target) : (view.targetProblem ?? 'none')}`,
    ...(view.breaker
      ? [`Breaker: ${view.breaker.state}, ${Math.round(view.breaker.share * 100)}% of traffic to the target`]
      : []),
    ...(view.humanNeeded.length > 0 ? [`A human is needed: ${view.humanNeeded.join('; ')}`] : []),
    `Steps: ${view.steps.map((step) => `${step.id} ${step.status}`).join(', ')}`,
    ...(view.ticketUrl ? [`Ticket: ${view.ticketUrl}`] : []),
    ...(note ? [note] : []),
  ];
  return plainMessage(joined(lines), [
    ...view.pendingApprovals.flatMap((pending) => planBlocks(view.incidentId, pending)),
    ...(OVER.includes(view.state) ? [] : [incidentButtons(view)]),
  ]);
}

/** What can be done to an incident that is open, beside deciding on a plan. */
function incidentButtons(view: IncidentView): Block {
  const value = JSON.stringify({ incidentId: view.incidentId } satisfies ButtonValue);
  return {
    type: 'actions',
    elements: [
      ...(isAcknowledged(view) ? [] : [button('acknowledge', 'Acknowledge', 'primary', value)]),
      button('take-command', 'Take command', undefined, value),
      button('escalate', 'Escalate', undefined, value),
      button('false-positive', 'False positive', undefined, value),
      button('stop', 'Stop', 'danger', value),
    ],
  };
}

export function timelineMessage(
  view: IncidentView,
  entries: readonly TimelineEntry[],
  note?: string,
): SlackMessage {
  const shown = entries.slice(-MAX_ENTRIES);
  const hidden = entries.length - shown.length;
  const lines = [
    `${view.incidentId} ${view.title}`,
    ...(hidden > 0 ? [`${hidden} earlier entries: firebreak incident timeline ${view.incidentId}`] : []),
    ...shown.map((entry) => `${clock(entry.atMs)}  ${entry.text} (${entry.actor})${wordsIn(entry)}`),
    ...(note ? [note] : []),
  ];
  return longMessage(lines);
}

/** Markdown as it is: a first look. Whoever edits or files it uses the CLI. */
export function postmortemMessage(incidentId: string, { markdown, draft }: Postmortem): SlackMessage {
  return longMessage([
    `Postmortem of ${incidentId}${draft ? ' (draft)' : ''}. All of it: firebreak incident postmortem ${incidentId}`,
    ...markdown.split('\n'),
  ]);
}

/** Lines in as many sections as they need, MAX_SECTIONS at most. */
function longMessage(texts: readonly string[]): SlackMessage {
  const lines = texts.map(stripControl);
  const sections: string[] = [];
  let left = lines.length;
  for (const line of lines) {
    const text = escapeSlackWithin(line, MAX_SECTION);
    const last = sections.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= MAX_SECTION) {
      sections[sections.length - 1] = `${last}\n${text}`;
    } else if (sections.length < MAX_SECTIONS) sections.push(text);
    else break;
    left -= 1;
  }
  return {
    response_type: 'ephemeral',
    replace_original: false,
    text: escapeSlackWithin(lines.join('\n'), MAX_FALLBACK),
    blocks: [
      // Escaped line by line above.
      ...sections.map((text) => ({
        type: 'section',
        text: { type: 'plain_text', text: visible(text), emoji: false },
      })),
      ...(left > 0 ? [section(`and ${left} more lines`)] : []),
    ],
  };
}

/** What a person gave with an entry: the note itself, or the reason of a decision. Nothing else of its data. */
function wordsIn({ kind, data }: TimelineEntry): string {
  if (kind !== 'note' && kind !== 'decision') return '';
  const { text, reason } = (data ?? {}) as { text?: unknown; reason?: unknown };
  const words = typeof text === 'string' ? text : reason;
  return typeof words === 'string' ? `: ${truncate(words, MAX_WORDS)}` : '';
}

/** UTC: the readers sit in several time zones, and logs are in UTC. */
function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(11, 19)} UTC`;
}

/** The plan that waits, with buttons that decide on exactly it. */
export function planBlocks(incidentId: string, pending: PendingApproval): Block[] {
  const who = `${pending.approvedBy.length} of ${pending.count} from ${pending.groups.join(', ')}`;
  const lines = [
    `Step ${pending.step} waits for approval (${who})`,
    pending.summary,
    ...pending.warnings.map((warning) => `Warning: ${warning}`),
    ...pending.changes.map((change) => `Changed: ${change}`),
    `Plan ${pending.planHash.slice(0, SHORTEST_PLAN_HASH)}`,
  ];
  const value = JSON.stringify({
    incidentId,
    step: pending.step,
    planHash: pending.planHash,
  } satisfies ButtonValue);
  return [
    section(joined(lines)),
    ...(pending.diff === undefined ? [] : [preformatted(pending.diff)]),
    {
      type: 'actions',
      elements: [
        { ...button('approve', 'Approve', 'primary', value), confirm: approveConfirm(pending) },
        button('reject', 'Reject', 'danger', value),
      ],
    },
  ];
}

/** Asked before an approval is sent: one press on a telephone must not change production. */
function approveConfirm({ step, summary, planHash }: PendingApproval) {
  const text = (content: string, length: number) => ({
    type: 'plain_text' as const,
    text: visible(escapeSlackWithin(content, length)),
    emoji: false,
  });
  return {
    title: text('Change production?', 100),
    text: text(`${summary}\nStep ${step}, plan ${planHash.slice(0, SHORTEST_PLAN_HASH)}`, MAX_CONFIRM_TEXT),
    confirm: text('Approve', 30),
    deny: text('Go back', 30),
    style: 'primary' as const,
  };
}

function button(
  action: keyof typeof ACTION_IDS,
  label: string,
  style: 'primary' | 'danger' | undefined,
  value: string,
): Block {
  return {
    type: 'button',
    action_id: ACTION_IDS[action],
    ...(style === undefined ? {} : { style }),
    value,
    text: { type: 'plain_text', text: label },
  };
}

/** A literal block: rich text knows no markup inside its text elements. */
function preformatted(diff: string): Block {
  const text = truncate(diff.split('\n').map(stripControl).join('\n'), MAX_DIFF).trimEnd() || '-';
  return {
    type: 'rich_text',
    elements: [{ type: 'rich_text_preformatted', elements: [{ type: 'text', text }] }],
  };
}
