import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { retention } from '../activities.ts';
import { evidenceKeptSignal, type KeptKey } from '../messages.ts';

export interface EvidenceInput {
  incidentId: string;
  /** Keys that are still to be destroyed. */
  pending: KeptKey[];
}

/**
 * The durable timer of what is kept of an incident's samples: destroys each key when its time has come, whatever ran or
 * did not run meanwhile, and ends when none is left. Started before anything is stored.
 */
export async function evidence({ incidentId, pending }: EvidenceInput): Promise<void> {
  const keys = [...pending];
  setHandler(evidenceKeptSignal, (kept) => {
    const known = keys.find(({ keyId }) => keyId === kept.keyId);
    if (!known) keys.push(kept);
    // A date only ever comes nearer.
    else known.destroyAtMs = Math.min(known.destroyAtMs, kept.destroyAtMs);
  });
  while (keys.length > 0) {
    const next = keys.reduce((first, key) => (key.destroyAtMs < first.destroyAtMs ? key : first));
    const { keyId, destroyAtMs } = next;
    const leftMs = destroyAtMs - Date.now();
    const nearer = () => keys.some((key) => key.destroyAtMs < destroyAtMs);
    if (leftMs > 0 && (await condition(nearer, leftMs))) continue;
    await retention.destroyEvidence({ incidentId, keyId });
    keys.splice(keys.indexOf(next), 1);
    if (workflowInfo().continueAsNewSuggested && keys.length > 0) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof evidence>({ incidentId, pending: keys });
    }
  }
}
