import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import { escapeSlackWithin, truncate } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import { SHORTEST_PLAN_HASH } from '../incidents/decide.ts';

/** Slack: text of a section block. */
const MAX_SECTION = 3_000;
/** Slack cuts longer texts of messages itself. */
const MAX_FALLBACK = 4_000;
/** The diff is for a first look; the whole one is in the CLI. */
const MAX_DIFF = 2_500;
const MAX_LISTED = 15;

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
    text: { type: 'plain_text', text: escapeSlackWithin(text, MAX_SECTION), emoji: false },
  };
}

export function listMessage(incidents: readonly IncidentView[], notes: readonly string[]): SlackMessage {
  const open = incidents.filter((view) => view.state !== 'closed');
  const lines = open
    .slice(0, MAX_LISTED)
    .map((view) => `${view.incidentId}  ${view.severity}  ${view.state}  ${view.title}`);
  if (open.length > MAX_LISTED) lines.push(`and ${open.length - MAX_LISTED} more`);
  return plainMessage([...(lines.length > 0 ? lines : ['No open incidents.']), ...notes].join('\n'));
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
  return plainMessage(
    lines.join('\n'),
    view.pendingApprovals.flatMap((pending) => planBlocks(view.incidentId, pending)),
  );
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
    section(lines.join('\n')),
    ...(pending.diff === undefined ? [] : [preformatted(truncate(pending.diff, MAX_DIFF))]),
    {
      type: 'actions',
      elements: [button('approve', 'Approve', 'primary', value), button('reject', 'Reject', 'danger', value)],
    },
  ];
}

function button(action: keyof typeof ACTION_IDS, label: string, style: string, value: string): Block {
  return {
    type: 'button',
    action_id: ACTION_IDS[action],
    style,
    value,
    text: { type: 'plain_text', text: label },
  };
}

/** A literal block: rich text knows no markup inside its text elements. */
function preformatted(text: string): Block {
  return {
    type: 'rich_text',
    elements: [{ type: 'rich_text_preformatted', elements: [{ type: 'text', text }] }],
  };
}
