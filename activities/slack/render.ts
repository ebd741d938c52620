import type { KnownBlock } from '@slack/web-api';
import { verdictLines } from '../../domain/harm-history/verdict-words.ts';
import type { IncidentView, PendingApproval, TimelineEntry } from '../../domain/incident.ts';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import { button, fields, linkLine, plain, preformatted, section } from './blocks.ts';
import {
  MAX_BLOCKS,
  MAX_DIFF,
  MAX_FALLBACK,
  MAX_HEADER,
  MAX_PLAN_LINES,
  MAX_SECTION,
  MAX_SHOWN_APPROVALS,
  MAX_THREAD_SECTIONS,
} from './limits.ts';

export interface RenderedMessage {
  /** For notifications and screen readers; escaped. */
  text: string;
  blocks: KnownBlock[];
}

/** Digits of a plan's hash that people compare and type: what `/firebreak approve` asks for at least. */
const SHOWN_HASH = 12;
const OVER: readonly string[] = ['resolved', 'closed'];

/**
 * The incident's message in the channel: what is going on, who waits for whom, and the buttons for it. Pure. Every text is
 * shown literally, whoever wrote it.
 */
export function renderIncident(view: IncidentView): RenderedMessage {
  const { incidentId } = view;
  const shown = view.pendingApprovals.slice(0, MAX_SHOWN_APPROVALS);
  const waiting = waitingLines(view);
  const blocks: KnownBlock[] = [
    { type: 'header', text: plain(`[${view.severity}] ${view.title}`, MAX_HEADER) },
    fields(factsOf(view)),
    ...(waiting.length > 0 ? [section(['Waiting', ...waiting])] : []),
    ...(view.verification ? [section(['Verification', ...verdictLines(view.verification)])] : []),
    ...shown.flatMap((pending) => planBlocks(incidentId, pending)),
    ...acknowledgeBlock(view),
    ...(view.ticketUrl === undefined ? [] : [linkLine('Ticket', view.ticketUrl)]),
    {
      type: 'context',
      elements: [
        plain(
          `${incidentId} · runbook ${view.runbook.name} v${view.runbook.version} · details in the thread`,
          MAX_SECTION,
        ),
      ],
    },
  ];
  const state = `${view.state}${waiting[0] === undefined ? '' : `. ${waiting[0]}`}`;
  return {
    text: escapeSlackWithin(`[${view.severity}] ${view.title} is ${state}`, MAX_FALLBACK),
    blocks: blocks.slice(0, MAX_BLOCKS),
  };
}

/** New timeline entries for the thread, one message. Entries' own texts only: their data may be anybody's. */
export function renderEntries(entries: readonly TimelineEntry[]): RenderedMessage {
  const sections: string[] = [];
  let left = entries.length;
  for (const entry of entries) {
    const line = escapeSlackWithin(`${clock(entry.atMs)}  ${entry.text} (${entry.actor})`, MAX_SECTION);
    const last = sections.at(-1);
    if (last !== undefined && last.length + 1 + line.length <= MAX_SECTION)
      sections[sections.length - 1] = `${last}\n${line}`;
    else if (sections.length < MAX_THREAD_SECTIONS) sections.push(line);
    else break;
    left -= 1;
  }
  const text = entries.map((entry) => entry.text).join(' · ');
  return {
    text: escapeSlackWithin(text, MAX_FALLBACK) || '-',
    blocks: [
      // Escaped line by line above.
      ...sections.map(
        (lines): KnownBlock => ({ type: 'section', text: { type: 'plain_text', text: lines, emoji: false } }),
      ),
      ...(left > 0 ? [section([`and ${left} more entries: firebreak incident show ID`])] : []),
    ],
  };
}

function factsOf(view: IncidentView): [string, string][] {
  const { breaker, rollback, verification } = view;
  return [
    ['State', view.outcome === undefined ? view.state : `${view.state} (${view.outcome})`],
    ['Severity', view.severity],
    [
      'Target',
      view.target ? targetKey(view.target) : `none: ${view.targetProblem ?? 'the runbook names none'}`,
    ],
    ['Harm rate', view.lastHarmRate === undefined ? 'not measured' : percent(view.lastHarmRate)],
    [
      'Traffic',
      breaker === undefined
        ? 'all to the target'
        : `${breaker.state}: ${percent(breaker.share)} to the target${breaker.fallback ? `, the rest to ${breaker.fallback}` : ''}`,
    ],
    ['Mode', view.mode === 'observe' ? 'observe: nothing is changed' : view.mode],
    ['Commander', view.commander ?? 'nobody yet'],
    ['Acknowledged by', view.acknowledgedBy ?? 'nobody yet'],
    ...(rollback
      ? ([
          [
            'Rollback',
            `revision ${rollback.fromRevision} to ${rollback.toRevision}${rollback.rollout ? `: ${rollback.rollout.outcome}` : ''}`,
          ],
        ] as [string, string][])
      : []),
    ...(verification ? ([['Verification', `${verification.outcome}, see below`]] as [string, string][]) : []),
    ...(view.breakGlass
      ? ([
          [
            'Break-glass',
            view.breakGlass.map(({ person, step }) => `${person} approved ${step} alone`).join(', '),
          ],
        ] as [string, string][])
      : []),
  ];
}

/** Who and what waits for whom, the most urgent first. */
function waitingLines(view: IncidentView): string[] {
  if (OVER.includes(view.state)) return [];
  const hidden = view.pendingApprovals.length - MAX_SHOWN_APPROVALS;
  const paged = [...new Set(view.pages.map((page) => page.role))].join(', ');
  return [
    ...view.humanNeeded.map((reason) => `A human is needed: ${reason}`),
    ...view.pendingApprovals.slice(0, MAX_SHOWN_APPROVALS).map(approvalLine),
    ...(hidden > 0 ? [`${hidden} more approvals wait: firebreak incident show ID`] : []),
    ...(isAcknowledged(view)
      ? []
      : [`Nobody has acknowledged it yet${paged === '' ? '' : ` (paged: ${paged})`}`]),
  ];
}

function approvalLine(pending: PendingApproval): string {
  const so = pending.approvedBy.length > 0 ? `, so far by ${pending.approvedBy.join(', ')}` : '';
  const who = `${pending.approvedBy.length} of ${pending.count} from ${pending.groups.join(' or ')}${so}`;
  return `Step ${pending.step} waits for approval until ${clock(pending.expiresAtMs)} (${who})`;
}

/** The plan that waits, with buttons that decide on exactly it. */
function planBlocks(incidentId: string, pending: PendingApproval): KnownBlock[] {
  const value = { incidentId, step: pending.step, planHash: pending.planHash };
  const buttons = [
    button('approve', 'Approve', value, 'primary'),
    button('reject', 'Reject', value, 'danger'),
  ];
  const elements = buttons.filter((element) => element !== undefined);
  return [
    { type: 'divider' },
    section([
      `Plan of step ${pending.step}`,
      pending.summary,
      ...bounded(pending.warnings.map((warning) => `Warning: ${warning}`)),
      ...bounded(pending.changes.map((change) => `Changed: ${change}`)),
      `Plan hash ${pending.planHash.slice(0, SHOWN_HASH)}`,
    ]),
    ...(pending.diff === undefined ? [] : [preformatted(pending.diff, MAX_DIFF)]),
    elements.length > 0
      ? { type: 'actions', elements }
      : section(['To decide: firebreak incident approve or reject, in a terminal']),
  ];
}

function acknowledgeBlock(view: IncidentView): KnownBlock[] {
  if (isAcknowledged(view) || OVER.includes(view.state)) return [];
  const element = button('acknowledge', 'Acknowledge', { incidentId: view.incidentId });
  return element === undefined ? [] : [{ type: 'actions', elements: [element] }];
}

function isAcknowledged(view: IncidentView): boolean {
  return view.acknowledgedBy !== undefined || view.milestones.acknowledged !== undefined;
}

function bounded(lines: readonly string[]): string[] {
  const more = lines.length - MAX_PLAN_LINES;
  return more > 0 ? [...lines.slice(0, MAX_PLAN_LINES), `and ${more} more`] : [...lines];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 2 : 0)} %`;
}

/** UTC: the channel's readers sit in several time zones, and logs are in UTC. */
function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(11, 19)} UTC`;
}
