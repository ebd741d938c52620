import type { IncomingHttpHeaders } from 'node:http';
import { isValidSlackRequest } from '@slack/bolt';

/** How far Slack's clock and ours may be apart, either way; older requests may be replays (Slack's own figure). */
const MAX_SKEW_MS = 5 * 60_000;

/**
 * What the headers alone say: whether a signed request from now is what this wants to be. Asked before the body is read.
 * Bolt's verifier refuses the past only; a timestamp from the future would be a replay that waits.
 */
export function looksSignedNow(headers: IncomingHttpHeaders, nowMs: number): boolean {
  const timestamp = headers['x-slack-request-timestamp'];
  const signature = headers['x-slack-signature'];
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return false;
  if (typeof signature !== 'string' || !/^v0=[0-9a-f]{64}$/.test(signature)) return false;
  return Math.abs(nowMs - Number(timestamp) * 1_000) <= MAX_SKEW_MS;
}

/**
 * Whether Slack signed exactly this body with one of our secrets (several at once allow rotation). Bolt compares in
 * constant time; https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export function isSignedBySlack(
  body: string,
  headers: IncomingHttpHeaders,
  signingSecrets: readonly string[],
  nowMs: number,
): boolean {
  if (!looksSignedNow(headers, nowMs)) return false;
  const verified = signingSecrets.map((signingSecret) =>
    isValidSlackRequest({
      signingSecret,
      body,
      headers: {
        'x-slack-signature': String(headers['x-slack-signature']),
        'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']),
      },
      nowMilliseconds: nowMs,
    }),
  );
  return verified.includes(true);
}
