import { setTimeout as delay } from 'node:timers/promises';

/** Where Slack's response_url points to (https://docs.slack.dev/interactivity/handling-user-interaction). */
const RESPONSE_HOST = 'hooks.slack.com';
/** Of Slack's Web API, where no other base URL is configured. */
const API_HOST = 'slack.com';
const TIMEOUT_MS = 10_000;
/** How long an answer waits for Slack's rate limits in all: shorter than what is waited for when the process stops. */
const MAX_RATE_LIMIT_WAIT_MS = 30_000;

/** A trigger_id lives 3 s: what opens a view has no time to wait. */
const NEVER_LATER = /\/views\.open$/;

/**
 * fetch that speaks to Slack only: a response_url comes in a request, and nothing that comes in a request may choose which
 * hosts this process talks to.
 * @param options.waitsForRateLimits after 429 it waits as long as Retry-After says and sends again
 *   (https://docs.slack.dev/apis/web-api/rate-limits), 30 s in all; then the 429 is the answer.
 */
export function slackOnlyFetch(
  apiUrl: string | undefined,
  options: { waitsForRateLimits?: boolean } = {},
): typeof fetch {
  const origins = new Set([`https://${RESPONSE_HOST}`, `https://${API_HOST}`]);
  if (apiUrl !== undefined) origins.add(new URL(apiUrl).origin);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (!origins.has(url.origin)) throw new Error('refused to send to a host that is not Slack');
    let leftMs = options.waitsForRateLimits && !NEVER_LATER.test(url.pathname) ? MAX_RATE_LIMIT_WAIT_MS : 0;
    for (;;) {
      const response = await fetch(input, {
        ...init,
        redirect: 'error',
        signal: init?.signal ?? AbortSignal.timeout(TIMEOUT_MS),
      });
      const waitMs = retryAfterMs(response);
      if (waitMs === undefined || waitMs > leftMs) return response;
      await response.body?.cancel();
      leftMs -= waitMs;
      await delay(waitMs, undefined, { signal: init?.signal ?? undefined });
    }
  };
}

/** Sends to a response_url, as Bolt's `respond` does, where there is no request that it came in. */
export function respondTo(
  slackFetch: typeof fetch,
  responseUrl: string,
): (message: object) => Promise<unknown> {
  return async (message) => {
    const response = await slackFetch(responseUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message),
    });
    if (!response.ok) throw new Error(`response_url was answered ${response.status}`);
  };
}

/** Undefined where the answer is no rate limit, or does not say for how long. At least one second: 0 would be a busy loop. */
function retryAfterMs(response: Response): number | undefined {
  if (response.status !== 429) return undefined;
  const seconds = Number.parseInt(response.headers.get('retry-after') ?? '', 10);
  return Number.isFinite(seconds) ? Math.max(1, seconds) * 1_000 : undefined;
}
