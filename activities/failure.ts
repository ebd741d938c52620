import { ApplicationFailure } from '@temporalio/common';
import { AxiosError, isAxiosError } from 'axios';
import { FAILURES, type FailureType } from '../domain/failure.ts';

/**
 * How errors of vendors become failures that cross a boundary. A message says what was tried, the status and a code;
 * bodies, headers and the vendor's own message never go into it: they can hold secrets or model output.
 */

/** A `Retry-After` beyond this is a vendor's outage, not a rate limit: then the retry policy's own delay is better. */
export const MAX_RETRY_AFTER_MS = 15 * 60_000;

/** How a timeout is called by fetch, the operating system, and axios with a timeout or a signal of ours. */
const TIMEOUTS = new Set(['TimeoutError', 'AbortError', 'ETIMEDOUT', 'ECONNABORTED', 'ERR_CANCELED']);

interface FailOptions {
  /** Only its name and code are kept: a failure's causes are stored in workflow history with their messages. */
  cause?: unknown;
  nextRetryDelayMs?: number;
  details?: unknown[];
}

/** A failure of our own table; whether it is retried follows from its type. */
export function fail(type: FailureType, message: string, options: FailOptions = {}): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: !FAILURES[type].retryable,
    cause: options.cause === undefined ? undefined : bareCause(options.cause),
    nextRetryDelay: options.nextRetryDelayMs,
    details: options.details,
  });
}

/**
 * @param error whatever axios (or an interceptor of ours) threw.
 * @param what the call in words, without secrets: `PagerDuty enqueue`.
 */
export function fromAxios(error: unknown, what: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  if (!isAxiosError(error)) return fromNetwork(error, what);
  const status = error.response?.status;
  // An answer that breaks off has its status, 200 mostly, and is none all the same.
  if (status !== undefined && status >= 300) {
    return fromStatus(status, what, error, retryAfterMs(error.response?.headers['retry-after']));
  }
  // The same code stands for an answer that broke off, which may be whole the next time.
  if (error.code === AxiosError.ERR_BAD_RESPONSE && error.message.startsWith('maxContentLength')) {
    return fail('InvalidInput', `${what}: the answer is larger than is accepted`, { cause: error });
  }
  if (error.code === AxiosError.ERR_FR_TOO_MANY_REDIRECTS) {
    return fail('InvalidInput', `${what} was redirected too often`, { cause: error });
  }
  if (error.code === AxiosError.ERR_INVALID_URL || error.code === AxiosError.ERR_BAD_OPTION) {
    return fail('InvalidInput', `${what}: the request could not be made (${error.code})`, { cause: error });
  }
  return fromNetwork(error, what);
}

/**
 * @param error whatever @kubernetes/client-node threw: ApiException has `code`, the HTTP status, and a message with body
 * and headers in it (https://kubernetes.io/docs/reference/using-api/api-concepts/ for what the statuses mean).
 * @param what the call in words: `patch Deployment ai/llm-api`.
 */
export function fromKubernetes(error: unknown, what: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const status = kubernetesStatus(error);
  if (status === undefined) return fromNetwork(error, what);
  return fromStatus(status, what, error, retryAfterMs(headerOf(error, 'retry-after')));
}

/** HTTP status of an error of @kubernetes/client-node; undefined where the API never answered. */
export function kubernetesStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  // A DOMException has numbers as codes as well: 23 for a timeout.
  return typeof error.code === 'number' && error.code >= 300 && error.code <= 599 ? error.code : undefined;
}

function fromStatus(
  status: number,
  what: string,
  cause: unknown,
  delayMs: number | undefined,
): ApplicationFailure {
  const message = `${what} was answered ${status}`;
  if (status === 429) return fail('RateLimited', message, { cause, nextRetryDelayMs: delayMs });
  // 408: the server waited for us in vain, the same request may do.
  if (status >= 500 || status === 408)
    return fail('Unavailable', message, { cause, nextRetryDelayMs: delayMs });
  if (status === 401) return fail('Unauthorized', `${message}: the credentials were not accepted`, { cause });
  if (status === 403)
    return fail('Unauthorized', `${message}: the credentials have no right to it`, { cause });
  if (status === 404) return fail('NotFound', message, { cause });
  if (status === 409) return fail('Conflict', message, { cause });
  if (status === 412) return fail('PreconditionFailed', message, { cause });
  return fail('InvalidInput', message, { cause });
}

/** No answer at all: refused, reset, timed out, unknown host. All of these can pass. */
function fromNetwork(error: unknown, what: string): ApplicationFailure {
  const name = errorName(error);
  const timedOut = TIMEOUTS.has(name);
  return fail('Unavailable', `${what}: ${timedOut ? 'no answer in time' : 'no answer'} (${name})`, {
    cause: error,
  });
}

/** `Retry-After` as seconds or as an HTTP date (RFC 9110, 10.2.3); undefined when it is neither, or too far away. */
function retryAfterMs(header: unknown): number | undefined {
  if (typeof header !== 'string' && typeof header !== 'number') return undefined;
  const text = String(header).trim();
  const delayMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  if (!Number.isFinite(delayMs) || delayMs > MAX_RETRY_AFTER_MS) return undefined;
  return Math.max(0, Math.ceil(delayMs));
}

function headerOf(error: unknown, name: string): unknown {
  if (typeof error !== 'object' || error === null || !('headers' in error)) return undefined;
  const { headers } = error;
  if (typeof headers !== 'object' || headers === null) return undefined;
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
}

/** The most telling name: a system code such as ECONNREFUSED (fetch hides it in `cause`), else the error's class. */
function errorName(error: unknown): string {
  let name = 'unknown error';
  // Four levels: fetch wraps once, proxies and agents once more.
  for (let depth = 0, at = error; depth < 4 && at instanceof Error; depth += 1, at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(at.code)) return at.code;
    if (depth === 0 || name === 'TypeError') name = at.name;
  }
  return name;
}

function bareCause(cause: unknown): Error {
  if (cause instanceof ApplicationFailure) return cause;
  const status = kubernetesStatus(cause);
  const bare = new Error(status === undefined ? errorName(cause) : `HTTP ${status}`);
  bare.name = cause instanceof Error ? cause.name : 'Error';
  // A stack starts with the message it was made with.
  bare.stack = undefined;
  return bare;
}
