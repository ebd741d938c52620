import { ApplicationFailure } from '@temporalio/common';
import { RequestError } from 'octokit';
import { fail, fromAxios } from '../failure.ts';

/** GitHub: without a Retry-After or a reset time, wait "at least one minute". */
const SECONDARY_LIMIT_DELAY_MS = 60_000;
/** The primary limit resets within the hour; anything beyond is a clock that is wrong. */
const MAX_DELAY_MS = 60 * 60_000;
/** Whose token it is, and what it needs: for whoever mends it. */
interface TokenNeeds {
  setting: string;
  permission: string;
  /** What the repository may not take from the token: `issues`. */
  content: string;
}
const TICKETS: TokenNeeds = {
  setting: 'tickets.github.token',
  permission: 'it needs "Issues: read and write" on the repository (a classic token: scope repo)',
  content: 'issues',
};

/**
 * Rules from https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: a limit answers 403 or 429,
 * told from a lack of rights by `retry-after`, `x-ratelimit-remaining: 0` or its message.
 * @param what the call in words: `GitHub create issue in acme/incidents`.
 * @param thing what was acted on: `repository acme/incidents`.
 * @param needs of the token that was used.
 */
export function fromGitHub(
  error: unknown,
  what: string,
  thing: string,
  needs: TokenNeeds = TICKETS,
  nowMs = Date.now(),
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (!(error instanceof RequestError)) return fromAxios(error, what);
  // Octokit gives errors of the transport a status of their own, and keeps what happened as the cause.
  if (error.response === undefined) return fromAxios(error.cause ?? error, what);
  const { status } = error;
  const { headers } = error.response;
  if (status === 429 || (status === 403 && isRateLimit(error, headers))) {
    return fail('RateLimited', `${what}: over GitHub's rate limit (${status})`, {
      cause: error,
      nextRetryDelayMs: delayMs(headers, nowMs),
    });
  }
  const message = `${what} was answered ${status}`;
  if (status >= 500) return fail('Unavailable', message, { cause: error });
  switch (status) {
    case 401:
      return fail('Unauthorized', `${message}: ${needs.setting} was not accepted; ${needs.permission}`, {
        cause: error,
      });
    case 403:
      return fail('Unauthorized', `${message}: the token has no right to it; ${needs.permission}`, {
        cause: error,
      });
    case 404:
      return fail(
        'NotFound',
        `${message}: ${thing} does not exist, or the token may not see it; ${needs.permission}`,
        {
          cause: error,
        },
      );
    case 409:
      return fail('Conflict', message, { cause: error });
    case 410:
      return fail('NotFound', `${message}: ${thing} was deleted, or issues are turned off`, {
        cause: error,
      });
    case 422:
      return fail(
        'InvalidInput',
        `${message}: GitHub refused the content; look whether ${thing} takes ${needs.content} from this token, and try it by hand`,
        { cause: error },
      );
    default:
      return fail('InvalidInput', message, { cause: error });
  }
}

/** 422: what was sent can never be accepted as it is (https://docs.github.com/en/rest/issues/issues#create-an-issue). */
export function isRefusedContent(error: unknown): boolean {
  return error instanceof RequestError && error.status === 422;
}

type Headers = Record<string, string | number | undefined>;

/** Whether a 403 is a limit, which passes. */
export function isRateLimit(error: RequestError, headers: Headers): boolean {
  return (
    headers['retry-after'] !== undefined ||
    String(headers['x-ratelimit-remaining']) === '0' ||
    /rate limit/i.test(error.message)
  );
}

function delayMs(headers: Headers, nowMs: number): number {
  const retryAfterSeconds = Number(headers['retry-after']);
  const resetSeconds = Number(headers['x-ratelimit-reset']);
  if (Number.isFinite(retryAfterSeconds)) return bounded(retryAfterSeconds * 1_000);
  if (String(headers['x-ratelimit-remaining']) === '0' && Number.isFinite(resetSeconds)) {
    return bounded(resetSeconds * 1_000 - nowMs);
  }
  return SECONDARY_LIMIT_DELAY_MS;
}

function bounded(delay: number): number {
  return Math.min(MAX_DELAY_MS, Math.max(1_000, Math.ceil(delay)));
}
