import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { equalsOneOf } from '../constant-time.ts';

/** While secrets are rotated there is one signature for each; more than a few are an attempt to make us calculate. */
const MAX_SIGNATURES = 10;

/**
 * The v1 signatures of a request by its headers alone; empty: this is no request of PagerDuty's.
 * https://developer.pagerduty.com/docs/verifying-webhook-signatures
 */
export function signaturesOf(headers: IncomingHttpHeaders): string[] {
  const header = headers['x-pagerduty-signature'];
  if (typeof header !== 'string') return [];
  const signatures = header.split(',', MAX_SIGNATURES).map((signature) => signature.trim());
  return signatures.flatMap((signature) => /^v1=([0-9a-f]{64})$/.exec(signature)?.[1] ?? []);
}

/**
 * Whether PagerDuty signed exactly these bytes with one of our secrets: hex HMAC-SHA256 of the raw body. All pairs are
 * compared, each in constant time. The body has no time in it that was signed for freshness: repetitions are told apart by
 * the event's id, and change nothing.
 */
export function isSignedByPagerDuty(
  body: Uint8Array,
  headers: IncomingHttpHeaders,
  secrets: readonly string[],
): boolean {
  const given = signaturesOf(headers);
  const wanted = secrets.map((secret) => createHmac('sha256', secret).update(body).digest('hex'));
  return given.map((signature) => equalsOneOf(signature, wanted)).includes(true);
}
