/** Where Slack's response_url points to (https://docs.slack.dev/interactivity/handling-user-interaction). */
const RESPONSE_HOST = 'hooks.slack.com';
/** Of Slack's Web API, where no other base URL is configured. */
const API_HOST = 'slack.com';
const TIMEOUT_MS = 10_000;

/**
 * fetch that speaks to Slack only: a response_url comes in a request, and nothing that comes in a request may choose which
 * hosts this process talks to.
 */
export function slackOnlyFetch(apiUrl: string | undefined): typeof fetch {
  const origins = new Set([`https://${RESPONSE_HOST}`, `https://${API_HOST}`]);
  if (apiUrl !== undefined) origins.add(new URL(apiUrl).origin);
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (!origins.has(url.origin)) throw new Error('refused to send to a host that is not Slack');
    return fetch(input, {
      ...init,
      redirect: 'error',
      signal: init?.signal ?? AbortSignal.timeout(TIMEOUT_MS),
    });
  };
}
