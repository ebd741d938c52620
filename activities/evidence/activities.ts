import type { EvidenceActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { toRecordsError } from '../records/sql.ts';
import type { EvidenceStore } from './store.ts';

/** What the durable timer calls when the time of a key has come. */
export function createEvidenceActivities(
  store: EvidenceStore,
  now: () => number = Date.now,
): EvidenceActivities {
  return {
    async destroyEvidence({ incidentId, keyId }) {
      try {
        return await store.destroy({ incidentId, keyId, atMs: now() });
      } catch (error) {
        const { type, message } = toRecordsError(error, 'destroying the key of kept samples');
        throw fail(type, message);
      }
    },
  };
}
