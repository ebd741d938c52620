/** What the paging workflow and the pagers themselves tell an incident. */
import type { PageReport, PagerEvent, PagerEventKind, UndeliveredPage } from '../../domain/paging.ts';
import type { Incident } from './state.ts';

/** Events of a pager remembered for deduplication; it tells a few for each page. */
const REMEMBERED_EVENTS = 200;

function needOf(role: string): string {
  return `nobody could page ${role}`;
}

export function recordPage(incident: Incident, report: PageReport, nowMs: number): void {
  const { data } = incident;
  const { requestId, role, accepted, problem = 'unknown reason' } = report;
  if (accepted !== undefined) {
    data.pages.push({ requestId, role, channel: accepted.channel, acceptedAtMs: accepted.atMs });
    const again = report.level > 0 ? ' (nobody had acknowledged)' : '';
    if (report.fallOver) {
      incident.record('page', `No level could be reached: ${role} told by ${accepted.channel}`, nowMs);
    } else incident.record('page', `${role} paged by ${accepted.channel}${again}`, nowMs);
    // A channel tells people and wakes nobody: it does not make a page delivered.
    if (role.startsWith('channel ')) return;
    const settled = (page: UndeliveredPage) =>
      ((page.requestId === requestId || isEarlierTry(page.requestId, requestId)) &&
        (page.role === role || report.fallOver === true)) ||
      tellsOfFailure(page.requestId, requestId);
    settleUndelivered(incident, settled);
    return;
  }
  if (report.exhausted) {
    incident.record('page', `The escalation has ended: ${problem}`, nowMs);
    incident.needHuman(`nobody acknowledges: ${role} has been called to its end`, nowMs);
    return;
  }
  data.pageProblems.push(role);
  data.undelivered ??= [];
  const known = data.undelivered.find((page) => page.requestId === requestId && page.role === role);
  const refused = report.retrying ? {} : { refused: true };
  if (known) Object.assign(known, refused);
  else data.undelivered.push({ requestId, role, sinceMs: nowMs, ...refused });
  const what = report.retrying ? 'No channel has accepted so far' : 'No channel accepted';
  incident.record('page', `${what} the page to ${role}: ${problem}`, nowMs);
  incident.needHuman(needOf(role), nowMs);
}

/** The step of a request that a step made: those are named round.step.try. */
function stepOf(requestId: string): string | undefined {
  return /^(\d+\.[\w-]+)\.\d+$/.exec(requestId)?.[1];
}

function isEarlierTry(earlier: string, later: string): boolean {
  return stepOf(later) !== undefined && stepOf(earlier) === stepOf(later);
}

/** The commander was to be told that this step had failed: it has been tried again since, and somebody is reached. */
function tellsOfFailure(earlier: string, later: string): boolean {
  const step = stepOf(later)?.replace(/^\d+\./, '');
  return step !== undefined && earlier.startsWith(`failed-${step}-`);
}

/** Pages that were taken after all, or matter no more. */
export function settleUndelivered(
  incident: Incident,
  settled: (page: UndeliveredPage) => boolean = () => true,
): void {
  const { data } = incident;
  const before = data.undelivered ?? [];
  if (before.length === 0) return;
  data.undelivered = before.filter((page) => !settled(page));
  for (const { role } of before.filter(settled)) {
    if (!data.undelivered.some((page) => page.role === role)) incident.settle({ reason: needOf(role) });
  }
  incident.touch();
}

const TOLD: Readonly<Record<PagerEventKind, string>> = {
  acknowledged:
    'Acknowledged at the pager by somebody who is not joined: nobody else is called, and nothing else follows',
  unacknowledged: 'The acknowledgement lapsed at the pager: escalation goes on',
  reassigned: 'Reassigned at the pager',
  escalated: 'Escalated at the pager',
  resolved: 'Resolved at the pager; the incident goes on here until it is resolved here',
};

/**
 * Writes down what happened in the pager.
 * @returns what the paging workflow has to be told; undefined: nothing, or it was told before.
 */
export function recordPagerEvent(
  incident: Incident,
  event: PagerEvent,
  nowMs: number,
): 'acknowledged' | 'unacknowledged' | undefined {
  const { data } = incident;
  data.pagerEvents ??= [];
  if (data.pagerEvents.includes(event.id)) return undefined;
  data.pagerEvents.push(event.id);
  if (data.pagerEvents.length > REMEMBERED_EVENTS) data.pagerEvents.shift();
  const { pager, by, notJoined, atMs } = event;
  incident.record('page', TOLD[event.kind], nowMs, { pager, by, notJoined, atMs });
  if (event.kind === 'unacknowledged') {
    data.acknowledgedBy = undefined;
    incident.touch();
  }
  return event.kind === 'acknowledged' || event.kind === 'unacknowledged' ? event.kind : undefined;
}
