/** What others did to the target while Firebreak only watched: read once, at the end, for the observe report. */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { TargetChange } from '../../domain/target-change.ts';
import { clusterActivities } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { IncidentServices } from './services.ts';
import type { Incident } from './state.ts';

/** A cluster that is away must not hold up the end of an incident. */
const LOOK_WITHIN_MS = 30_000;
/** Changes that are kept, the first ones: those are what the report compares with. */
const MAX_CHANGES = 30;

/**
 * Records the changes of the target since the incident began as evidence. Does nothing, and issues no command, in any
 * other mode than observe. Best effort: what could not be read is recorded as not known.
 */
export async function recordTargetChanges(incident: Incident, services: IncidentServices): Promise<void> {
  const { input, data, mode } = incident;
  const sinceMs = data.milestones.triggered;
  if (mode !== 'observe' || !input.target.ok || sinceMs === undefined) return;
  const { target } = input.target;
  try {
    const { changes } = await CancellationScope.withTimeout(LOOK_WITHIN_MS, () =>
      clusterActivities(target.cluster).listChanges({ target, sinceMs, sinceRevision: data.facts?.revision }),
    );
    const targetChanges: TargetChange[] = [...changes].sort((a, b) => a.atMs - b.atMs).slice(0, MAX_CHANGES);
    const leftOut = changes.length - targetChanges.length;
    incident.record(
      'evidence',
      `${changes.length} change(s) of the target seen while it was only observed`,
      services.nowMs(),
      { targetChanges, leftOut },
    );
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    incident.record('evidence', 'What was changed on the target could not be read', services.nowMs(), {
      problem: isCancellation(error) ? 'the cluster did not answer in time' : readFailure(error).message,
    });
  }
}
