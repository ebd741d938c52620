import { ApplicationFailure } from '@temporalio/common';
import { type AxiosError, isAxiosError } from 'axios';
import { fail, fromAxios } from '../failure.ts';
import { SEARCH_LAG_MS } from './limits.ts';

const TOKEN =
  'make a new API token at https://id.atlassian.com/manage-profile/security/api-tokens and check tickets.jira.email';
const PERMISSIONS =
  'its account needs Browse projects, Create, Edit, Assign, Link and Transition issues, Add comments and Create attachments in the project';
/** A reset further away is a clock that is wrong. */
const MAX_DELAY_MS = 15 * 60_000;
/** Nothing was sent. */
const NOT_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);
/** Ids of fields, such as summary and customfield_10010: what else stands there is not ours to pass on. */
const FIELD = /^[A-Za-z][A-Za-z0-9_]{0,60}$/;

/**
 * Statuses of https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#status-codes and
 * https://developer.atlassian.com/cloud/jira/platform/rate-limiting/.
 * @param what the call in words: `Jira create issue in OPS`.
 * @param thing what was acted on: `project OPS`.
 */
export function fromJira(
  error: unknown,
  what: string,
  thing: string,
  nowMs = Date.now(),
): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (!isAxiosError(error) || error.response === undefined) return fromAxios(error, what);
  const { status } = error.response;
  const message = `${what} was answered ${status}`;
  const because = { cause: error };
  switch (status) {
    case 401:
      return fail('Unauthorized', `${message}: tickets.jira.apiToken was not accepted; ${TOKEN}`, because);
    case 403:
      return fail('Unauthorized', `${message}: the token has no right to it; ${PERMISSIONS}`, because);
    case 404:
      return fail(
        'NotFound',
        `${message}: ${thing} does not exist, or the token may not see it; ${PERMISSIONS}`,
        because,
      );
    case 410:
      return fail(
        'NotFound',
        `${message}: ${thing} was archived or deleted; restore it, or name another`,
        because,
      );
    case 400:
    case 413:
    case 422: {
      const fields = refusedFields(error);
      const where = fields.length === 0 ? 'the content' : `the fields ${fields.join(', ')}`;
      return fail(
        'InvalidInput',
        `${message}: Jira refused ${where} in ${thing}; look at the screens and required fields of its issue type`,
        because,
      );
    }
    case 429: {
      const limited = fromAxios(error, what);
      return limited.nextRetryDelay === undefined
        ? fail('RateLimited', message, { ...because, nextRetryDelayMs: untilReset(error, nowMs) })
        : limited;
    }
    default:
      return fromAxios(error, what);
  }
}

/**
 * A creation that was not answered may have been made, and the search shows it only after a while: the next attempt, which
 * looks for it first, comes after that.
 */
export function fromCreation(error: unknown, what: string, thing: string): ApplicationFailure {
  const failure = fromJira(error, what, thing);
  if (failure.type !== 'Unavailable' || (isAxiosError(error) && NOT_SENT.has(error.code ?? '')))
    return failure;
  const asked = Number(failure.nextRetryDelay ?? 0);
  return fail(
    'Unavailable',
    `${failure.message}; whether it was created is looked up before the next attempt`,
    {
      cause: error,
      nextRetryDelayMs: Math.max(asked, SEARCH_LAG_MS),
    },
  );
}

/** Ids of the fields that Jira did not take: keys of `errors` in its answer. Never its texts, which quote what was sent. */
export function refusedFields(error: unknown): string[] {
  if (!isAxiosError(error) || error.response?.status !== 400) return [];
  const data: unknown = error.response.data;
  if (typeof data !== 'object' || data === null || !('errors' in data)) return [];
  const { errors } = data;
  if (typeof errors !== 'object' || errors === null) return [];
  return Object.keys(errors).filter((field) => FIELD.test(field));
}

/** `X-RateLimit-Reset` as a date, where there is no `Retry-After`. */
function untilReset(error: AxiosError, nowMs: number): number | undefined {
  const atMs = Date.parse(String(error.response?.headers['x-ratelimit-reset'] ?? ''));
  if (!Number.isFinite(atMs) || atMs - nowMs > MAX_DELAY_MS) return undefined;
  return Math.max(1_000, atMs - nowMs);
}
