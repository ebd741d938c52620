import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';

/**
 * Waiting in an activity: heartbeats tell that it is alive and bring cancellation, which ends the pause. Outside an
 * activity (tests, command line) the same code waits without a heartbeat.
 */

/** Callers count an activity dead after a few seconds without one. */
const HEARTBEAT_EVERY_MS = 1_000;

function currentActivity(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}

/** An activity without a heartbeat timeout must not heartbeat. */
function heartbeat(activity: Context | undefined, detail: object): void {
  if (activity?.info.heartbeatTimeoutMs) activity.heartbeat(detail);
}

/** @throws CancelledFailure when the activity is cancelled. */
export async function heartbeatAndPause(pauseMs: number, detail: object): Promise<void> {
  const activity = currentActivity();
  heartbeat(activity, detail);
  await (activity === undefined ? delay(pauseMs) : activity.sleep(pauseMs));
}

/** Heartbeats while something slow is under way: a server that answers late is not a dead worker. */
export async function heartbeatDuring<Result>(detail: object, work: () => Promise<Result>): Promise<Result> {
  const activity = currentActivity();
  const timer = setInterval(() => heartbeat(activity, detail), HEARTBEAT_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** When a wait began: this attempt's start, or what an earlier attempt said of itself in `startedMs` of its heartbeat. */
export function waitingSinceMs(): number {
  const detail: unknown = currentActivity()?.info.heartbeatDetails;
  const startedMs =
    typeof detail === 'object' && detail !== null && 'startedMs' in detail ? detail.startedMs : undefined;
  return typeof startedMs === 'number' ? startedMs : Date.now();
}
