import type { PagerEvent } from '../../domain/paging.ts';
import { acknowledgeUpdate, pagerEventUpdate } from '../../workflows/messages.ts';
import type { Access, Person } from '../access/access.ts';
import { EdgeError } from '../errors.ts';
import type { PagesGateway } from '../gateway/pages-gateway.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import type { RecordAttempt } from '../incidents/attempts.ts';
import type { IncidentReader } from '../incidents/reader.ts';
import { sendDeadlineAt, sendUpdate } from '../incidents/send.ts';
import type { PagerDutyDelivery } from './schema.ts';
import type { PagerDutyUsers } from './users.ts';

/** As many as a list of incidents has; a page that is told of belongs to one of the newest. */
const MAX_LOOKED_AT = 500;
/** PagerDuty waits 5 s, and sends again what was not answered 2xx. */
const SEND_DEADLINE_MS = 3_000;

export interface PagerDutyDeps {
  access: Pick<Access, 'byEmail' | 'may'>;
  /** Absent: nobody can be joined, as webhooks name an id of PagerDuty only. */
  users?: PagerDutyUsers | undefined;
  gateway: IncidentGateway;
  pages?: PagesGateway | undefined;
  reader: IncidentReader;
  recordAttempt: RecordAttempt;
}

/** What became of an event, for metrics and the log. */
export type PagerDutyResult = 'ping' | 'ignored' | 'unknown-page' | 'ended' | 'acknowledged' | 'noted';

/**
 * Takes over what happened in PagerDuty. Told twice, an event changes nothing the second time: its id is that of the update.
 * @throws EdgeError with a status of 5xx where it may be told again.
 */
export async function handlePagerDuty(
  deps: PagerDutyDeps,
  delivery: PagerDutyDelivery,
): Promise<PagerDutyResult> {
  const { kind, key, user } = delivery;
  if (kind === 'ping') return 'ping';
  if (kind === undefined || key === undefined) return 'ignored';
  // By nobody: our own event coming back, or another integration's. A lapse and an escalation are PagerDuty's own doing.
  if (user === undefined && (kind === 'acknowledged' || kind === 'resolved')) return 'ignored';
  if (deps.pages?.isWatchdogKey(key)) {
    if (kind !== 'acknowledged' && kind !== 'unacknowledged') return 'ignored';
    const told = await deps.pages.tellWatchdogPages(key, kind);
    return told === 'signalled' ? 'noted' : 'ended';
  }
  const incidents = await incidentsOfPage(deps.reader, key);
  if (incidents.length === 0) return 'unknown-page';
  const joined = kind === 'acknowledged' && user !== undefined ? await join(deps, user.id) : undefined;
  // One after another: two incidents share a page only where one group of alerts meant both.
  let result: PagerDutyResult = 'ended';
  for (const incident of incidents) {
    const one = await tell(deps, delivery, incident, joined);
    if (one !== 'ended') result = one;
  }
  if (joined?.ok === false && joined.askAgain && result !== 'ended') {
    throw new EdgeError('identity_unavailable', `Who acknowledged is not known yet: ${joined.reason}.`, {
      hint: 'The escalation has stopped. PagerDuty sends the event again, and the person is asked for anew.',
      retryAfterSeconds: 5,
    });
  }
  return result;
}

interface PagedIncident {
  incidentId: string;
  workflowId: string;
}

async function tell(
  deps: PagerDutyDeps,
  { id, kind, key, user, atMs }: PagerDutyDelivery,
  { incidentId, workflowId }: PagedIncident,
  joined: Joined | undefined,
): Promise<PagerDutyResult> {
  // The same event may say more when it is told again.
  const askAgain = joined?.ok === false && joined.askAgain === true;
  const eventId = askAgain ? `${id}-unknown` : id;
  const updateId = `pagerduty-${eventId}`;
  const send = async (name: string, argument: unknown): Promise<boolean> => {
    try {
      await sendUpdate(
        deps.gateway,
        { workflowId, name, updateId, argument },
        sendDeadlineAt(SEND_DEADLINE_MS),
      );
      return true;
    } catch (error) {
      if (error instanceof EdgeError && (error.code === 'incident_ended' || error.code === 'refused'))
        return false;
      throw error;
    }
  };
  if (joined !== undefined && !askAgain) {
    const verdict = joined.ok ? 'accepted' : 'denied';
    await deps.recordAttempt({
      // Told again, also to another process, it is the same attempt.
      id: `pagerduty-${id}-${incidentId}-${verdict}`,
      incident: incidentId,
      ...(joined.person && { person: joined.person.id }),
      decision: 'acknowledge',
      via: 'pager',
      verdict,
      reason: joined.ok ? `acknowledged in PagerDuty (event ${id})` : `${joined.reason} (event ${id})`,
    });
  }
  if (joined?.ok) {
    const actor = { person: joined.person.id, via: 'pager' as const };
    const page = key === undefined ? undefined : { key, atMs };
    return (await send(acknowledgeUpdate.name, { actor, page })) ? 'acknowledged' : 'ended';
  }
  const event: PagerEvent = {
    id: eventId,
    pager: 'pagerduty',
    kind: kind as PagerEvent['kind'],
    ...(user && { by: `PagerDuty: ${user.name}` }),
    ...(joined && { notJoined: joined.reason }),
    ...(askAgain && { joinedLater: true }),
    ...(key !== undefined && { key }),
    atMs,
  };
  return (await send(pagerEventUpdate.name, { event })) ? 'noted' : 'ended';
}

/** `askAgain`: who it is is not known yet. */
type Joined = { ok: true; person: Person } | { ok: false; person?: Person; reason: string; askAgain?: true };

/** Who of the access file this is, by e-mail; or why nobody, or somebody who may not acknowledge. */
async function join({ access, users }: PagerDutyDeps, userId: string): Promise<Joined> {
  if (users === undefined) {
    return { ok: false, reason: 'PagerDuty cannot be asked for e-mails: configure access.pagerduty' };
  }
  const found = await users.emailOf(userId);
  if ('problem' in found) {
    return { ok: false, reason: found.problem, ...(found.askAgain && { askAgain: true }) };
  }
  const known = access.byEmail(found.email);
  if (!known.ok) return { ok: false, reason: known.reason };
  const permission = access.may(known.person, 'acknowledge');
  return permission.allowed
    ? { ok: true, person: known.person }
    : { ok: false, person: known.person, reason: permission.reason };
}

/** Incidents whose pages go by this key, or by one made of it (see workflows/paging): open ones. */
async function incidentsOfPage(reader: IncidentReader, key: string): Promise<PagedIncident[]> {
  const { incidents, notes } = await reader.list({ limit: MAX_LOOKED_AT });
  const found = incidents.filter(
    ({ dedupKey, state }) =>
      dedupKey !== undefined &&
      dedupKey !== '' &&
      state !== 'closed' &&
      (key === dedupKey || key.startsWith(`${dedupKey}-`)),
  );
  // Half a list says nothing about what is not on it.
  if (found.length === 0 && notes.length > 0) {
    throw new EdgeError('temporal_unavailable', 'Whose page this is could not be looked up.', {
      retryAfterSeconds: 2,
    });
  }
  // Of keys that begin alike, the longest one is meant.
  const longest = Math.max(...found.map(({ dedupKey = '' }) => dedupKey.length));
  return found.filter(({ dedupKey = '' }) => dedupKey.length === longest);
}
