import { ApplicationFailure } from '@temporalio/common';
import { truncate } from '../../domain/plain-text.ts';
import { fail } from '../failure.ts';
import { toRecordsError } from '../records/sql.ts';
import type { Redact } from './redaction/redact.ts';
import { SealError } from './seal.ts';
import type { Vault } from './vault.ts';

/** Enough of an output to judge it; detectors take time that grows with it, at most a second for this. */
const MAX_TEXT_CHARS = 8_000;

/** Of all texts, newest first: workflows give an attempt 60 s, in which the source is asked as well. */
const REDACT_FOR_MS = 25_000;

/** Starts, or adds to, the durable timer that destroys a key. */
export type StartRetention = (input: {
  incidentId: string;
  keyId: string;
  destroyAtMs: number;
}) => Promise<void>;

export type KeepTexts = (input: {
  incidentId: string;
  source: string;
  retentionMs: number;
  texts: readonly { ref: string; text: string }[];
}) => Promise<{ keptRefs: ReadonlySet<string>; destroyAtMs: number }>;

/**
 * Keeps texts of samples: redacted first, and never before the timer that ends them runs. A text that cannot be redacted
 * is not kept.
 * @throws Unavailable, Unauthorized, ... of the failure table; no text is part of it.
 */
export function createKeepTexts(parts: {
  vault: Vault;
  redact: (source: string) => Redact;
  startRetention: StartRetention;
  now?: () => number;
}): KeepTexts {
  const { vault, startRetention, now = Date.now } = parts;
  return async ({ incidentId, source, retentionMs, texts }) => {
    try {
      const redact = parts.redact(source);
      const redacted: { ref: string; text: string }[] = [];
      const untilMs = performance.now() + REDACT_FOR_MS;
      for (const { ref, text } of texts) {
        if (performance.now() >= untilMs) break;
        const hidden = await redact(truncate(text, MAX_TEXT_CHARS)).catch((error: unknown) => {
          // A detector elsewhere may come back; a text that one of ours fails on is not kept.
          if (error instanceof ApplicationFailure) throw error;
          return undefined;
        });
        if (hidden !== undefined) redacted.push({ ref, text: hidden.text });
      }
      if (redacted.length === 0)
        throw fail('InvalidInput', 'evidence: no text could be redacted, so none is kept');
      const key = await vault.openKey({ incidentId, source, retentionMs, nowMs: now() });
      const { keyId, destroyAtMs } = key;
      await startRetention({ incidentId, keyId, destroyAtMs });
      const keptRefs = new Set(await vault.keep(key, redacted, now()));
      return { keptRefs, destroyAtMs };
    } catch (error) {
      if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
      if (error instanceof SealError) throw fail('InvalidInput', `evidence: ${error.message}`);
      const { type, message } = toRecordsError(
        // Whatever else a detector says may quote what it looked at.
        error instanceof Error && error.name === 'RecordsError' ? error : new Error('it could not be done'),
        'keeping the texts of samples',
      );
      throw fail(type, message);
    }
  };
}
