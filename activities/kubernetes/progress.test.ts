import { CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { heartbeatAndPause, heartbeatDuring, waitingSinceMs } from './progress.ts';

function environment(info = {}) {
  const env = new MockActivityEnvironment({ heartbeatTimeoutMs: 6_000, ...info });
  const beats: unknown[] = [];
  env.on('heartbeat', (detail: unknown) => beats.push(detail));
  return { env, beats };
}

describe('waiting in an activity', () => {
  it('heartbeats, and ends when the activity is cancelled', async () => {
    const { env, beats } = environment();
    const waiting = env.run(() => heartbeatAndPause(60_000, { startedMs: 1 }));
    env.cancel();
    await expect(waiting).rejects.toBeInstanceOf(CancelledFailure);
    expect(beats).toEqual([{ startedMs: 1 }]);
  });

  it('does not heartbeat where the caller asked for none', async () => {
    const { env, beats } = environment({ heartbeatTimeoutMs: undefined });
    await env.run(() => heartbeatAndPause(1, { startedMs: 1 }));
    expect(beats).toEqual([]);
  });

  it('heartbeats while something slow is under way', async () => {
    const { env, beats } = environment();
    const slow = () => new Promise((resolve) => setTimeout(resolve, 1_500, 'done'));
    expect(await env.run(() => heartbeatDuring({ startedMs: 2 }, slow))).toBe('done');
    expect(beats).toEqual([{ startedMs: 2 }]);
  });

  it('goes on from where an earlier attempt began', async () => {
    expect(
      await environment({ heartbeatDetails: { startedMs: 42 } }).env.run(async () => waitingSinceMs()),
    ).toBe(42);
    expect(await environment().env.run(async () => waitingSinceMs())).toBeGreaterThan(1_000_000);
    expect(waitingSinceMs()).toBeGreaterThan(1_000_000);
  });
});
