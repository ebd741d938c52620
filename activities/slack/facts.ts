import { formatRate } from '../../domain/harm-history/format.ts';
import { sparkline } from '../../domain/harm-history/sparkline.ts';
import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import { clock, isAcknowledged, isOver } from '../../domain/next-action.ts';
import { truncate } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import type { Detail } from './limits.ts';

/** What everybody asks first, in pairs of a name and a value. */
export function factsOf(view: IncidentView): [name: string, value: string][] {
  const { breaker, rollback, verification } = view;
  const facts: [string, string | undefined][] = [
    ['State', view.outcome === undefined ? view.state : `${view.state} (${view.outcome})`],
    [
      'Target',
      view.target ? targetKey(view.target) : `none: ${view.targetProblem ?? 'the runbook names none'}`,
    ],
    [
      'Harm rate',
      view.lastHarmRate === undefined ? 'not measured' : `${formatRate(view.lastHarmRate)} when last looked`,
    ],
    [
      'Traffic',
      breaker === undefined
        ? 'all to the target'
        : `${breaker.state}: ${formatRate(breaker.share)} to the target${breaker.fallback ? `, the rest to ${breaker.fallback}` : ''}`,
    ],
    ['Acknowledged by', acknowledgedBy(view)],
    ['Commander', someone(view.commander, view.commanderSinceMs)],
    ['Mode', view.mode === 'observe' ? 'observe: nothing is changed' : view.mode],
    [
      'Rollback',
      rollback &&
        `revision ${rollback.fromRevision} to ${rollback.toRevision}${rollback.rollout ? `: ${rollback.rollout.outcome}` : ''}`,
    ],
    ['Verification', verification && `${verification.outcome}, see below`],
    [
      'Break-glass',
      view.breakGlass?.map(({ person, step }) => `${person} approved ${step} alone`).join(', ') || undefined,
    ],
  ];
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as [string, string]]));
}

function acknowledgedBy(view: IncidentView): string {
  const firstMs = view.milestones.acknowledged;
  if (!isAcknowledged(view) && firstMs !== undefined) {
    return `nobody any more: it was acknowledged at ${clock(firstMs)}, and that has lapsed`;
  }
  return someone(view.acknowledgedBy, view.acknowledgedAtMs ?? firstMs);
}

function someone(person: string | undefined, sinceMs: number | undefined): string {
  if (person === undefined) return 'nobody yet';
  return sinceMs === undefined ? person : `${person}, since ${clock(sinceMs)}`;
}

/** The harm rate over time: a line of blocks, and the same in words. */
export function trendOf({ harmHistory }: IncidentView): { line: string; words: string } | undefined {
  return harmHistory && sparkline(harmHistory, { unicode: true });
}

/** Who and what waits for whom and since when, the most urgent first. */
export function waitingLines(view: IncidentView, detail: Detail): string[] {
  if (isOver(view)) return [];
  const hidden = view.pendingApprovals.length - detail.approvals;
  const paged = [...new Set(view.pages.map((page) => page.role))].join(', ');
  const pagedAtMs = Math.min(...view.pages.map((page) => page.acceptedAtMs));
  const lines = [
    ...view.humanNeeded.map((reason) => `A human is needed: ${reason}`),
    ...view.pendingApprovals.slice(0, detail.approvals).map(approvalLine),
    ...(hidden > 0 ? [`${hidden} more approvals wait: firebreak incident show ID`] : []),
    ...(isAcknowledged(view)
      ? []
      : [`Nobody has acknowledged it yet${paged === '' ? '' : ` (paged ${clock(pagedAtMs)}: ${paged})`}`]),
  ];
  return lines.map((line) => truncate(line, detail.line));
}

function approvalLine(pending: PendingApproval): string {
  const so = pending.approvedBy.length > 0 ? `, so far by ${pending.approvedBy.join(', ')}` : '';
  const who = `${pending.approvedBy.length} of ${pending.count} from ${pending.groups.join(' or ')}${so}`;
  return `Step ${pending.step} waits for approval since ${clock(pending.requestedAtMs)}, until ${clock(pending.expiresAtMs)} (${who})`;
}

/** What stakeholders were told last, and when they hear again. */
export function stakeholderLines({ updates, updateDueAtMs }: IncidentView, detail: Detail): string[] {
  const last = updates?.at(-1);
  return [
    ...(last === undefined ? [] : [`${clock(last.atMs)}, ${last.by}: ${truncate(last.text, detail.line)}`]),
    ...(updateDueAtMs === undefined
      ? []
      : [`Next update due by ${clock(updateDueAtMs)}: /firebreak update ID TEXT`]),
  ];
}
