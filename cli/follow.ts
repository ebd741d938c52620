import { setTimeout as delay } from 'node:timers/promises';
import type { IncidentView, TimelineEntry } from '../domain/incident.ts';
import type { ApiClient } from './api-client.ts';
import { CliError, EXIT } from './exit-codes.ts';

const POLL_MS = 1_000;
/** An incident that was just declared may not be known everywhere yet; a server that is restarted comes back. */
const PATIENCE_MS = 60_000;

/** How an incident that was followed came to rest. */
export interface Rest {
  view: IncidentView;
  /** - done: nothing is left to do for it. - needs-human: somebody has to act. */
  how: 'done' | 'needs-human';
}

export interface FollowOptions {
  /** Each line of the timeline, once and in order. */
  onEntry(entry: TimelineEntry): void;
  /** It waits for a decision: once for each plan. */
  onWaiting(view: IncidentView): void;
  pollMs?: number;
}

/**
 * Follows an incident until it is done or needs a human. A server that does not answer for a minute ends it.
 * @throws CliError.
 */
export async function follow(client: ApiClient, id: string, options: FollowOptions): Promise<Rest> {
  const view = await followUntil(client, id, (shown) => restOf(shown) !== undefined, options);
  return { view, how: restOf(view) ?? 'done' };
}

/**
 * Follows an incident until it is as wanted. A server that does not answer for a minute ends it.
 * @throws CliError.
 */
export async function followUntil(
  client: ApiClient,
  id: string,
  wanted: (view: IncidentView) => boolean,
  options: FollowOptions,
): Promise<IncidentView> {
  let toldSeq = 0;
  const toldPlans = new Set<string>();
  let silentSinceMs: number | undefined;
  for (;;) {
    const shown = await client.show(id).catch((error: unknown) => error);
    if (shown instanceof Error) {
      const passing =
        shown instanceof CliError &&
        (shown.exitCode === EXIT.unavailable || shown.exitCode === EXIT.notFound);
      silentSinceMs ??= performance.now();
      if (!passing || performance.now() - silentSinceMs > PATIENCE_MS) throw shown;
      await delay(options.pollMs ?? POLL_MS);
      continue;
    }
    silentSinceMs = undefined;
    const view = (shown as Awaited<ReturnType<ApiClient['show']>>).incident;
    for (const entry of view.timeline) {
      if (entry.seq <= toldSeq) continue;
      toldSeq = entry.seq;
      options.onEntry(entry);
    }
    const unseen = view.pendingApprovals.filter(({ planHash }) => !toldPlans.has(planHash));
    for (const { planHash } of unseen) toldPlans.add(planHash);
    if (unseen.length > 0) options.onWaiting(view);
    if (wanted(view)) return view;
    await delay(options.pollMs ?? POLL_MS);
  }
}

function restOf(view: IncidentView): Rest['how'] | undefined {
  if (['mitigated', 'resolved', 'closed'].includes(view.state)) return 'done';
  if (view.humanNeeded.length > 0) return 'needs-human';
  // In observe mode nothing is proved: it is done when every step has ended.
  const ended = view.steps.every(({ status }) =>
    ['succeeded', 'would-have', 'failed', 'rejected', 'skipped'].includes(status),
  );
  return view.mode === 'observe' && view.steps.length > 0 && ended ? 'done' : undefined;
}
