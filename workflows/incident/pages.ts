/** What the paging workflow and the pagers themselves tell an incident. */
import type {
  PageReport,
  PagerEvent,
  PagerEventKind,
  PagerPage,
  UndeliveredPage,
} from '../../domain/paging.ts';
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
    const again = report.escalated ? ' (escalated)' : report.level > 0 ? ' (nobody had acknowledged)' : '';
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
  if (report.withdrawn) {
    withdrawRequest(incident, report, nowMs);
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

/** Somebody is on it: nobody has to be reached by this request any more, and nothing waits for it. */
function withdrawRequest(incident: Incident, { requestId }: PageReport, nowMs: number): void {
  const { data } = incident;
  data.withdrawnRequests ??= [];
  if (!data.withdrawnRequests.includes(requestId)) {
    data.withdrawnRequests.push(requestId);
    if (data.withdrawnRequests.length > REMEMBERED_EVENTS) data.withdrawnRequests.shift();
    incident.record('page', 'A page that nobody has taken is given up: somebody has acknowledged', nowMs);
  }
  settleUndelivered(incident, (page) => page.requestId === requestId && !page.refused);
  incident.touch();
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

const TOLD_UNKNOWN =
  'Acknowledged at the pager: who it was could not be asked for yet, and is tried again; nobody else is called meanwhile';

/** Told late: whatever it has changed, something newer has changed it since. */
const LATE = ', told late: something newer is known of this page, so it changes nothing';

/**
 * Writes down what happened in the pager. Its events may come late and out of order: the newest of each page counts.
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
  const { kind, pager, by, notJoined, key, atMs } = event;
  const about = { pager, by, notJoined, key, atMs };
  const page = { key: key ?? '', atMs };
  if (kind === 'acknowledged') {
    const newest = notePage(incident, page, true);
    const told = event.joinedLater ? TOLD_UNKNOWN : TOLD.acknowledged;
    incident.record('page', newest ? told : `Acknowledged at the pager${LATE}`, nowMs, about);
    return newest ? 'acknowledged' : undefined;
  }
  if (kind === 'unacknowledged') return recordLapse(incident, page, about, nowMs);
  // Whoever held this page holds nothing any more; who is on the incident stays on it.
  if (kind === 'resolved') notePage(incident, page, false);
  incident.record('page', TOLD[kind], nowMs, about);
  return undefined;
}

function recordLapse(
  incident: Incident,
  page: PagerPage,
  about: Record<string, unknown>,
  nowMs: number,
): 'unacknowledged' | undefined {
  const { data } = incident;
  // Given here since, and told to the pager: the lapse is of the one before it.
  const givenSince =
    data.acknowledgedBy !== undefined &&
    data.acknowledgedOn === undefined &&
    page.atMs < (data.acknowledgedAtMs ?? 0);
  if (!notePage(incident, page, false) || givenSince) {
    incident.record('page', `The acknowledgement lapsed at the pager${LATE}`, nowMs, about);
    return undefined;
  }
  const elsewhere = data.pagerPages?.some(({ held }) => held) === true;
  if (!elsewhere || data.acknowledgedOn === page.key) data.acknowledgedBy = undefined;
  incident.record(
    'page',
    elsewhere
      ? 'The acknowledgement of one page lapsed at the pager; somebody holds another one, so nobody else is called'
      : TOLD.unacknowledged,
    nowMs,
    about,
  );
  return elsewhere ? undefined : 'unacknowledged';
}

/** @returns false where something newer is known of this page. */
function notePage({ data }: Incident, { key, atMs }: PagerPage, held: boolean): boolean {
  data.pagerPages ??= [];
  const known = data.pagerPages.find((page) => page.key === key);
  if (known !== undefined && known.atMs > atMs) return false;
  if (known !== undefined) Object.assign(known, { atMs, held });
  else data.pagerPages.push({ key, atMs, held });
  if (data.pagerPages.length > REMEMBERED_EVENTS) data.pagerPages.shift();
  return true;
}

/**
 * Somebody is on it. Where somebody else was before, who acknowledges takes over; who decides only stops the calls.
 * @param page where it was acknowledged in a pager.
 * @returns what the person is told; `late`: the pager has told something newer of that page, and nothing changes.
 */
export function acknowledgeBy(
  incident: Incident,
  person: string,
  nowMs: number,
  { takesOver = false, page }: { takesOver?: boolean; page?: PagerPage | undefined } = {},
): { late: boolean; message: string } {
  const { data } = incident;
  if (page !== undefined && !notePage(incident, page, true)) {
    incident.record('page', `Acknowledged at the pager${LATE}`, nowMs, { ...page }, person);
    return { late: true, message: 'Noted: something newer is known of this page' };
  }
  const before = data.acknowledgedBy;
  if (!incident.acknowledge(person, nowMs)) {
    if (before === person) return { late: false, message: `Already acknowledged by ${person}` };
    if (!takesOver) return { late: false, message: `Acknowledged by ${before}` };
    data.acknowledgedBy = person;
    incident.record('decision', `acknowledged: takes over from ${before}`, nowMs, undefined, person);
  }
  data.acknowledgedAtMs = nowMs;
  data.acknowledgedOn = page?.key;
  return {
    late: false,
    message: before === undefined ? 'Acknowledged' : `Acknowledged: you take over from ${before}`,
  };
}
