import { expect, it } from 'vitest';
import { reasonOfSilence } from './cluster-silence.ts';

const NOON = Date.parse('2026-01-01T12:00:00Z');
const queue = 'firebreak-cluster-eu-2';
const look = (lastSeenMs: number | undefined, nowMs = NOON + 30_000) =>
  reasonOfSilence(
    'eu-2',
    { queue, pollers: lastSeenMs === undefined ? 0 : 1, lastSeenMs },
    { waitingSinceMs: NOON, nowMs },
  );

it('names the cluster, its queue, when somebody last polled there, and what to start', () => {
  expect(look(NOON - 60_000)).toBe(
    'waits for a worker of cluster eu-2 (queue firebreak-cluster-eu-2): none has polled since 2026-01-01T11:59:00.000Z; start it there with `firebreak serve --roles cluster --cluster eu-2`',
  );
  expect(look(undefined)).toContain('none is known to have polled lately');
});

it('does not blame a worker that polls, but what it calls', () => {
  expect(look(NOON + 100)).toContain('its worker polls');
  expect(look(NOON + 100)).toContain('Kubernetes API');
  // An idle worker polls again after a minute: not to have been heard for half of one is no sign.
  expect(look(NOON + 31_000, NOON + 90_000)).toContain('its worker polls');
});

it('takes a worker that fell silent meanwhile for gone', () => {
  expect(look(NOON + 100, NOON + 90_000)).toContain('none has polled since 2026-01-01T12:00:00.100Z');
});
