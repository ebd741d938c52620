/** What a process sees to about kept texts of samples, beside the durable timers: overdue keys, and keys that are not here. */
import type { Logger } from 'pino';
import type { EvidenceStore } from '../activities/evidence/store.ts';
import type { Vault } from '../activities/evidence/vault.ts';
import type { ReadinessCheck } from '../webhooks/health.ts';

/** Retention is counted in days. */
const SWEEP_EVERY_MS = 24 * 3_600_000;
/** The records may be away at the start. */
const TRY_AGAIN_MS = 60_000;
/** A durable timer that is later than this does not run: Temporal is away, or nobody works for it. */
const LATE_MS = 15 * 60_000;

/**
 * Destroys overdue keys at the start and once a day, whatever became of the workflows that should have. Says so where one was
 * late. @returns a stop.
 */
export function keepRetention(
  store: Pick<EvidenceStore, 'destroyOverdue'>,
  parts: { logger: Pick<Logger, 'info' | 'warn'>; now?: () => number },
): () => Promise<void> {
  const { logger, now = Date.now } = parts;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let sweeping: Promise<void> = Promise.resolve();
  const sweep = async () => {
    let nextMs = SWEEP_EVERY_MS;
    try {
      for (const { incidentId, keyId, lateMs } of await store.destroyOverdue(now())) {
        const told = { incidentId, keyId, lateMs: Math.round(lateMs) };
        if (lateMs > LATE_MS) {
          logger.warn(
            told,
            'kept texts of samples were still there after their date; they are destroyed now. Look at the workflow evidence-INCIDENT in Temporal',
          );
        } else logger.info(told, 'kept texts of samples were destroyed at their date');
      }
    } catch (error) {
      nextMs = TRY_AGAIN_MS;
      logger.warn(
        { reason: (error as Error).message },
        'could not look for kept texts of samples that are past their date; trying again',
      );
    }
    if (stopped) return;
    timer = setTimeout(() => {
      sweeping = sweep();
    }, nextMs).unref();
  };
  sweeping = sweep();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await sweeping;
    clearTimeout(timer);
  };
}

/** Alerts are taken without them, so it makes a process degraded and not unready. */
export function evidenceKeysCheck(vault: Pick<Vault, 'missingKeys'>, now = Date.now): ReadinessCheck {
  return {
    name: 'evidence-keys',
    async check() {
      const missing = await vault.missingKeys(now()).catch(() => undefined);
      // That the records are away is said by their own check.
      if (missing === undefined || missing.length === 0) return { problems: [] };
      return { problems: [], degraded: [missingKeysProblem(missing)] };
    },
  };
}

/** @param missing ids of wrapping keys. */
export function missingKeysProblem(missing: readonly string[]): string {
  return (
    `kept texts are under the key ${missing.join(', ')}, which is not in keys/evidence.json here: ` +
    'copy that file from the process that has it, and restart'
  );
}
