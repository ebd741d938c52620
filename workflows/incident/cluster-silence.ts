/** Why a cluster does not answer, in words: nobody polls its queue, or its worker does and gets no further. */
import type { SignalingActivities } from '../../activities/contract.ts';

type QueueSeen = Awaited<ReturnType<SignalingActivities['describeQueue']>>;

/** A read takes milliseconds, and a worker that was killed costs one attempt's 15 s: longer than that is told. */
export const SILENT_AFTER_MS = 30_000;
/** Looks get rarer: what waits for days must not fill the history. */
export const LONGEST_BETWEEN_LOOKS_MS = 600_000;
/** A worker with nothing to do polls again after the server's 60 s at the latest; the rest is for the way. */
const POLLS_AGAIN_WITHIN_MS = 70_000;

/**
 * What an incident waits for while its cluster is silent.
 * @param waitingSinceMs a worker that polled after this has seen the task.
 */
export function reasonOfSilence(
  cluster: string,
  { queue, lastSeenMs }: QueueSeen,
  { waitingSinceMs, nowMs }: { waitingSinceMs: number; nowMs: number },
): string {
  const polls =
    lastSeenMs !== undefined && lastSeenMs >= Math.max(waitingSinceMs, nowMs - POLLS_AGAIN_WITHIN_MS);
  if (polls) {
    return `waits for cluster ${cluster}: its worker polls (queue ${queue}), but has not read the target yet; does the cluster's Kubernetes API answer it?`;
  }
  const since =
    lastSeenMs === undefined
      ? 'none is known to have polled lately'
      : `none has polled since ${new Date(lastSeenMs).toISOString()}`;
  return `waits for a worker of cluster ${cluster} (queue ${queue}): ${since}; start it there with \`firebreak serve --roles cluster --cluster ${cluster}\``;
}
