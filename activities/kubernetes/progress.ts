import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';

/**
 * Waiting in an activity: heartbeats tell that it is alive and bring cancellation, which ends the pause. Outside an
 * activity (tests, command line) the same code waits without a heartbeat.
 */

function currentActivity(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}

/** @throws CancelledFailure when the activity is cancelled. */
export async function heartbeatAndPause(pauseMs: number, detail: object): Promise<void> {
  const activity = currentActivity();
  if (activity === undefined) {
    await delay(pauseMs);
    return;
  }
  activity.heartbeat(detail);
  await activity.sleep(pauseMs);
}

/** When a wait began: this attempt's start, or what an earlier attempt said of itself in `startedMs` of its heartbeat. */
export function waitingSinceMs(): number {
  const detail: unknown = currentActivity()?.info.heartbeatDetails;
  const startedMs =
    typeof detail === 'object' && detail !== null && 'startedMs' in detail ? detail.startedMs : undefined;
  return typeof startedMs === 'number' ? startedMs : Date.now();
}
