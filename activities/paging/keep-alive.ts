import { Context } from '@temporalio/activity';

/** Activities that heartbeat do so at least once a second. */
const HEARTBEAT_EVERY_MS = 1_000;

/**
 * Runs `work` with heartbeats, which bring cancellation; outside an activity it just runs.
 * @param work gets a function to be called between two requests: it throws once the activity is cancelled. A request
 * under way is not cut off, because then nobody would know whether the vendor took it.
 */
export async function keepAlive<Result>(
  work: (throwIfCancelled: () => void) => Promise<Result>,
): Promise<Result> {
  const activity = currentActivity();
  if (activity === undefined) return work(() => undefined);
  const timer = setInterval(() => activity.heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await work(() => activity.cancellationSignal.throwIfAborted());
  } finally {
    clearInterval(timer);
  }
}

function currentActivity(): Context | undefined {
  try {
    return Context.current();
  } catch {
    return undefined;
  }
}
