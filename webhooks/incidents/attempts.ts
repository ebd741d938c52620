import { randomUUID } from 'node:crypto';
import type { DecisionAttempt, RecordsStore } from '../../activities/records/store.ts';
import { EdgeError } from '../errors.ts';
import type { EdgeMetrics } from '../metrics.ts';

/** Longest reason or incident text that is kept of an attempt. */
const MAX_REASON = 500;

/** `id`: of an attempt that may be told twice, the same each time; else it has one of its own. */
type Attempt = Omit<DecisionAttempt, 'id' | 'atMs'> & { id?: string };
export type RecordAttempt = (attempt: Attempt) => Promise<void>;

/**
 * Writes down that somebody tried, before anything is sent. Where the records do not take it, nothing may be sent.
 * @throws EdgeError records_unavailable.
 */
export function createAttemptRecorder(deps: {
  records: Pick<RecordsStore, 'recordAttempt'>;
  metrics: EdgeMetrics;
  now: () => number;
}): RecordAttempt {
  return async (attempt) => {
    deps.metrics.actions.inc({ action: attempt.decision, verdict: attempt.verdict, via: attempt.via });
    try {
      await deps.records.recordAttempt({
        ...attempt,
        ...(attempt.reason === undefined
          ? {}
          : { reason: attempt.reason.slice(0, MAX_REASON).toWellFormed() }),
        id: attempt.id ?? randomUUID(),
        atMs: deps.now(),
      });
    } catch (error) {
      throw new EdgeError('records_unavailable', 'The attempt could not be recorded, so nothing was sent.', {
        cause: error,
        retryAfterSeconds: 2,
      });
    }
  };
}

/**
 * The reason of an accepted attempt: what gave the right, then what the person said. In this order, since what a person says
 * may be cut off, and never in the other, since it could be written to look like the first.
 */
export function acceptedBecause(right: string, said: string | undefined): string {
  return said === undefined ? right : `${right}; said: ${said}`;
}

/** Ends an attempt: what is an answer to the person is recorded first, a defect of ours is not. Never resolves. */
export function refusing(
  record: (verdict: 'denied' | 'invalid', reason: string) => Promise<void>,
): (verdict: 'denied' | 'invalid', error: unknown) => Promise<never> {
  return async (verdict, error) => {
    if (error instanceof EdgeError) await record(verdict, error.message);
    throw error;
  };
}
