import { ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { msToTs } from '@temporalio/common/lib/time.js';
import { describe, expect, it } from 'vitest';
import { type RetryPolicy, readRetryPolicy, retryAfter } from './retry.ts';

const away = ApplicationFailure.retryable('away', 'Unavailable');

function pauses(policy: RetryPolicy, attempts: number): number[] {
  return Array.from({ length: attempts }, (_, index) => {
    const next = retryAfter(policy, index + 1, away);
    return next.again ? next.delayMs : -1;
  });
}

describe('retries', () => {
  it('are made as the server makes them where a workflow says nothing', () => {
    const policy = readRetryPolicy(undefined);
    expect(pauses(policy, 9)).toEqual([1, 2, 4, 8, 16, 32, 64, 100, 100].map((s) => s * 1_000));
    expect(pauses(policy, 5_000).at(-1)).toBe(100_000);
  });

  it('grow by the policy up to its longest pause, for its number of attempts', () => {
    const policy = readRetryPolicy({
      initialInterval: msToTs(500),
      backoffCoefficient: 3,
      maximumInterval: msToTs(5_000),
      maximumAttempts: 5,
    });
    expect(pauses(policy, 5)).toEqual([500, 1_500, 4_500, 5_000, -1]);
    expect(retryAfter(policy, 5, away)).toEqual({ again: false, retryState: 'MAXIMUM_ATTEMPTS_REACHED' });
  });

  it('are not made after what no retry mends', () => {
    const policy = readRetryPolicy({ nonRetryableErrorTypes: ['Refused'] });
    for (const failure of [
      ApplicationFailure.nonRetryable('no', 'Unavailable'),
      ApplicationFailure.retryable('no', 'Refused'),
    ]) {
      expect(retryAfter(policy, 1, failure)).toEqual({ again: false, retryState: 'NON_RETRYABLE_FAILURE' });
    }
    const late = new TimeoutFailure('late', undefined, 'SCHEDULE_TO_CLOSE');
    expect(retryAfter(policy, 1, late)).toEqual({ again: false, retryState: 'TIMEOUT' });
    const slow = new TimeoutFailure('slow', undefined, 'START_TO_CLOSE');
    expect(retryAfter(policy, 1, slow)).toEqual({ again: true, delayMs: 1_000 });
  });

  it('wait as long as the failure says', () => {
    const limited = ApplicationFailure.create({ message: 'later', nextRetryDelay: '7 minutes' });
    expect(retryAfter(readRetryPolicy(undefined), 3, limited)).toEqual({ again: true, delayMs: 420_000 });
  });
});
