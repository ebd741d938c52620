/** Sync that was suspended with a rollback: given back when the tool itself shows that Git renders what runs, by no timer. */
import { clusterActivities } from '../activities.ts';
import { news } from './projection.ts';
import type { TargetState } from './state.ts';

/** Tools compare with Git every few minutes; what they saw in between must be noticed. */
const LOOK_EVERY_MS = 60_000;
const LOOK_ATTEMPTS = 2;

function suspendedLookInMs({ data }: TargetState): number | undefined {
  return data.suspended.length === 0 ? undefined : data.suspendedLookAtMs + LOOK_EVERY_MS - Date.now();
}

export async function lookAtSuspended(state: TargetState): Promise<void> {
  const { data } = state;
  if ((suspendedLookInMs(state) ?? 1) > 0 || state.frozenUntil(Date.now()) !== undefined) return;
  data.suspendedLookAtMs = Date.now();
  const { target, ledger } = data;
  const also = data.suspended.map(({ ref }) => ref);
  const { suspensions } = await clusterActivities(target.cluster, LOOK_ATTEMPTS).resumeSync({
    target,
    ledger,
    also,
  });
  for (const { kind, namespace, name, state: now, why } of suspensions) {
    const known = data.suspended.find(
      ({ ref }) => ref.kind === kind && ref.namespace === namespace && ref.name === name,
    );
    if (!known || known.told === now || (now === 'suspended' && known.told === undefined)) continue;
    known.told = now;
    // Somebody switched it on: what Git renders may be known bad, and only people can tell.
    await news(state, `${kind} ${namespace}/${name}: ${why}`, now === 'foreign');
    if (now === 'resumed' || now === 'released' || now === 'gone')
      data.suspended = data.suspended.filter((other) => other !== known);
  }
}
