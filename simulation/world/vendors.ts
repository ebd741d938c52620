import type { ApplicationFailure } from '@temporalio/common';
import { fail } from '../../activities/failure.ts';
import type { Vendor, VendorTrouble } from '../scenario/schema.ts';

/** A refused connection or an error page takes about this long. */
const FAILS_AFTER_MS = 1_000;
/** Slow enough to be noticed, and beyond the timeout of quick calls. */
const SLOW_MS = 30_000;

/** Production's client gives up on a query after this long (activities/prometheus/client.ts). */
export const QUERY_TIMEOUT_MS = 10_000;

/** Which vendor answers an activity; those that are not here never fail. */
export const VENDOR_OF: Readonly<Record<string, Vendor>> = {
  readTarget: 'cluster',
  takeSnapshot: 'cluster',
  readTemplateHash: 'cluster',
  listChanges: 'cluster',
  planRollback: 'cluster',
  applyRollback: 'cluster',
  awaitRollout: 'cluster',
  checkSuspended: 'cluster',
  planResume: 'cluster',
  resumeSync: 'cluster',
  checkFallback: 'cluster',
  projectBreaker: 'cluster',
  readBreaker: 'cluster',
  evaluate: 'prometheus',
  readMeasurementClock: 'prometheus',
  judgeRecovery: 'prometheus',
  judgeHarm: 'prometheus',
  readServed: 'prometheus',
  readHarmHistory: 'prometheus',
  awaitDiverted: 'prometheus',
  sendPage: 'pager',
  updatePage: 'pager',
  proposeRevert: 'tickets',
  openTicket: 'tickets',
  commentTicket: 'tickets',
  updateTicket: 'tickets',
  fileActionItem: 'tickets',
  publishPostmortem: 'tickets',
  collectSamples: 'samples',
  publishIncident: 'chat',
  remindPerson: 'chat',
  destroyEvidence: 'records',
  openRecord: 'records',
  appendRecord: 'records',
  writePostmortem: 'records',
  sendNotification: 'notifications',
  tellStakeholders: 'notifications',
  callEndpoint: 'endpoints',
};

/** Measurements never throw where Prometheus is away: what cannot be measured is unknown, as in the real activities. */
export const NEVER_THROWS: ReadonlySet<string> = new Set([
  'evaluate',
  'judgeRecovery',
  'judgeHarm',
  'readHarmHistory',
  'readServed',
  'awaitDiverted',
]);

/** What the activity asks for by name: a role, a channel, an endpoint, a source. */
export function subjectOf(input: unknown): string | undefined {
  const { role, channel, endpoint, source } = (input ?? {}) as Record<string, unknown>;
  const subject = role ?? channel ?? endpoint ?? source;
  return typeof subject === 'string' ? subject : undefined;
}

/** The trouble that a call runs into, times being from the start; undefined: none. */
export function troubleOf(
  troubles: readonly VendorTrouble[],
  vendor: Vendor | undefined,
  subject: string | undefined,
  sinceStartMs: number,
): VendorTrouble | undefined {
  return troubles.find(
    (trouble) =>
      trouble.vendor === vendor &&
      sinceStartMs >= trouble.from &&
      (trouble.until === undefined || sinceStartMs < trouble.until) &&
      (trouble.for === undefined || (subject !== undefined && trouble.for.includes(subject))),
  );
}

/** A Prometheus that is slower than its client waits gives no answer, and the client takes until then to know. */
export function asSeen(trouble: VendorTrouble | undefined): VendorTrouble | undefined {
  if (trouble?.vendor !== 'prometheus' || trouble.fails !== 'slow') return trouble;
  const takes = trouble.takes ?? QUERY_TIMEOUT_MS;
  return takes < QUERY_TIMEOUT_MS ? trouble : { ...trouble, fails: 'unavailable', takes: QUERY_TIMEOUT_MS };
}

/** How long a call takes that runs into trouble. */
export function takesMs(trouble: VendorTrouble): number {
  return trouble.takes ?? (trouble.fails === 'slow' ? SLOW_MS : FAILS_AFTER_MS);
}

/** As the real adapters say it. */
export function failureOf(trouble: VendorTrouble): ApplicationFailure {
  return trouble.fails === 'refused'
    ? fail('Unauthorized', `${trouble.vendor}: the credentials were refused (401)`)
    : fail('Unavailable', `${trouble.vendor}: no answer`);
}
