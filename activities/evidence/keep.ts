import { ApplicationFailure } from '@temporalio/common';
import { fail } from '../failure.ts';
import { toRecordsError } from '../records/sql.ts';
import type { Redact } from './redaction/redact.ts';
import { SealError } from './seal.ts';
import type { Vault } from './vault.ts';

/** Enough of an output to judge it; detectors take time that grows with it, at most a second for this. */
const MAX_TEXT_CHARS = 8_000;
/**
 * What is looked at behind it: half an address at the cut is none to a detector. Longer than whatever a detector finds, keys
 * in PEM excepted, which are found from their beginning alone.
 */
const BEYOND_CHARS = 500;
/** Further back than this no word begins: in a script without spaces. */
const LONGEST_WORD_CHARS = 200;

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
}) => Promise<{
  keptRefs: ReadonlySet<string>;
  destroyAtMs: number;
  /** Why some were not kept, and how many. */
  problem?: string;
}>;

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
      let failed = 0;
      for (const { ref, text } of texts) {
        if (performance.now() >= untilMs) break;
        const hidden = await redactedStart(redact, text).catch((error: unknown) => {
          // A detector elsewhere may come back; a text that one of ours fails on is not kept.
          if (error instanceof ApplicationFailure) throw error;
          return undefined;
        });
        if (hidden !== undefined) redacted.push({ ref, text: hidden });
        else failed++;
      }
      if (redacted.length === 0)
        throw fail('InvalidInput', 'evidence: no text could be redacted, so none is kept');
      const key = await vault.openKey({ incidentId, source, retentionMs, nowMs: now() });
      const { keyId, destroyAtMs } = key;
      await startRetention({ incidentId, keyId, destroyAtMs });
      const keptRefs = new Set(await vault.keep(key, redacted, now()));
      const problem = problemOf({
        all: texts.length,
        failed,
        late: texts.length - redacted.length - failed,
        refused: redacted.length - keptRefs.size,
      });
      return { keptRefs, destroyAtMs, ...(problem !== undefined && { problem }) };
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

function problemOf(count: {
  all: number;
  failed: number;
  late: number;
  refused: number;
}): string | undefined {
  const { all, failed, late, refused } = count;
  const reasons = [
    failed > 0 && `${failed} could not be redacted`,
    late > 0 && `for ${late} there was no time (${REDACT_FOR_MS / 1_000} s)`,
    refused > 0 && `for ${refused} the retention date of this incident's texts had come`,
  ].filter((reason) => reason !== false);
  if (reasons.length === 0) return undefined;
  return `${failed + late + refused} of ${all} texts were not kept: ${reasons.join(', ')}`;
}

/** The start of a text, redacted before it is cut, so that nothing is cut in two before a detector has seen it. */
async function redactedStart(redact: Redact, text: string): Promise<string> {
  const seen = text.slice(0, MAX_TEXT_CHARS + BEYOND_CHARS);
  const { text: hidden } = await redact(seen);
  const whole = seen.length === text.length;
  // What was undetected at the end of what was seen is as long in the result as it was.
  const until = Math.min(MAX_TEXT_CHARS, whole ? hidden.length : hidden.length - BEYOND_CHARS);
  return until === hidden.length ? hidden : `${hidden.slice(0, cutAt(hidden, until))}…`;
}

/** Where a word ends at or before `until`: neither a word nor a `[EMAIL]` is cut in two. */
function cutAt(text: string, until: number): number {
  for (let at = until; at > Math.max(0, until - LONGEST_WORD_CHARS); at--) {
    if (/\s/.test(text[at] ?? ' ')) return at;
  }
  const opened = text.lastIndexOf('[', until);
  if (opened > text.lastIndexOf(']', until) && until - opened < LONGEST_WORD_CHARS) return opened;
  // Not between the halves of a character beyond U+FFFF.
  return /[\uD800-\uDBFF]/.test(text[until - 1] ?? '') ? until - 1 : until;
}
