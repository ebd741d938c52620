import { ApplicationFailure, type RetryState, TimeoutFailure } from '@temporalio/common';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { temporal } from '@temporalio/proto';
import { durationMs } from './payloads.ts';

export interface RetryPolicy {
  initialMs: number;
  backoff: number;
  maximumMs: number;
  /** 0: no limit. */
  maximumAttempts: number;
  nonRetryable: readonly string[];
}

/** The server's defaults (https://docs.temporal.io/encyclopedia/retry-policies#default-values-for-retry-policy). */
const INITIAL_MS = 1_000;
const BACKOFF = 2;
const MAXIMUM_FACTOR = 100;

export function readRetryPolicy(policy: temporal.api.common.v1.IRetryPolicy | null | undefined): RetryPolicy {
  const initialMs = durationMs(policy?.initialInterval) ?? INITIAL_MS;
  return {
    initialMs,
    backoff: policy?.backoffCoefficient || BACKOFF,
    maximumMs: durationMs(policy?.maximumInterval) ?? initialMs * MAXIMUM_FACTOR,
    maximumAttempts: policy?.maximumAttempts ?? 0,
    nonRetryable: policy?.nonRetryableErrorTypes ?? [],
  };
}

type Next = { again: true; delayMs: number } | { again: false; retryState: RetryState };

/** Whether and when the server tries again after attempt number `attempt` (from 1) failed. */
export function retryAfter(policy: RetryPolicy, attempt: number, failure: Error): Next {
  if (!isRetryable(policy, failure)) {
    const timedOut = failure instanceof TimeoutFailure;
    return { again: false, retryState: timedOut ? 'TIMEOUT' : 'NON_RETRYABLE_FAILURE' };
  }
  if (policy.maximumAttempts > 0 && attempt >= policy.maximumAttempts) {
    return { again: false, retryState: 'MAXIMUM_ATTEMPTS_REACHED' };
  }
  const own = failure instanceof ApplicationFailure ? failure.nextRetryDelay : undefined;
  // The exponent overflows to Infinity after a thousand attempts, which the cap takes care of.
  const delayMs =
    own == null
      ? Math.min(policy.initialMs * policy.backoff ** (attempt - 1), policy.maximumMs)
      : msToNumber(own);
  return { again: true, delayMs };
}

function isRetryable(policy: RetryPolicy, failure: Error): boolean {
  // Of timeouts, only that of an attempt leaves time for another one.
  if (failure instanceof TimeoutFailure) return failure.timeoutType === 'START_TO_CLOSE';
  if (!(failure instanceof ApplicationFailure)) return true;
  return !failure.nonRetryable && !(failure.type && policy.nonRetryable.includes(failure.type));
}
