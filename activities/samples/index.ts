import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { countCategories } from '../../domain/samples/merge.ts';
import { mergeNearDuplicates } from '../../domain/samples/near-duplicates.ts';
import { stratify } from '../../domain/samples/stratify.ts';
import { currentAttempt } from '../attempt.ts';
import type { SampleActivities } from '../contract.ts';
import type { KeepTexts } from '../evidence/keep.ts';
import { fail } from '../failure.ts';
import {
  type Candidate,
  candidateOf,
  httpLink,
  isPlainId,
  type SampleItem,
  sampleItem,
  sha256Of,
  tellingIds,
} from './sample-answer.ts';
import { readHttpJson } from './sources/http-json.ts';
import { readLoki } from './sources/loki.ts';
import { readPostgres } from './sources/postgres.ts';
import type { SampleSource, SourceQuestion, SourceRows } from './sources/types.ts';

export type { SampleSource } from './sources/types.ts';

export interface SampleOptions {
  sources: Record<string, SampleSource>;
  /** Of the whole exchange. */
  timeoutMs?: number;
  /** Where texts are kept; absent: no source may keep any. */
  keepTexts?: KeepTexts;
}

/** Content stores search; workflows give an attempt 60 s. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** Above what runbooks may ask for (50): a bound of the summary's size whatever calls this. */
const MAX_SAMPLES = 200;
/** Rows to choose from for each sample that is wanted: enough that a category of one in ten is seen. */
const CANDIDATES_PER_SAMPLE = 10;
/** Rows in all: their texts are held in memory while they are compared. */
const MAX_CANDIDATES = 500;
/** Hex digits of a sample's short reference: 40 bits, for the at most 200 samples of an incident. */
const REF_DIGITS = 10;
/** Attempts of the activity in which the records, or a detector elsewhere, may come back. */
const KEEP_ATTEMPTS = 5;
const DEFAULT_RETENTION_MS = 30 * 24 * 3_600_000;

/**
 * Recent harmful outputs of a target, as evidence without the outputs: their text is hashed, measured, kept encrypted
 * where the source says so, and dropped here; it is never returned, logged or part of an error.
 */
export function createSampleActivities(options: SampleOptions): SampleActivities {
  return {
    /**
     * @throws InvalidInput for an unknown source or an answer without the documented shape; RateLimited, Unavailable,
     * Unauthorized, NotFound as the source answered.
     */
    async collectSamples({ incidentId, source: name, target, fromMs, toMs, limit }) {
      const source = Object.hasOwn(options.sources, name) ? options.sources[name] : undefined;
      if (source === undefined)
        throw fail('InvalidInput', `there is no source of samples: configure samples.${name}`);
      const wanted = Math.max(1, Math.min(MAX_SAMPLES, Math.floor(limit)));
      const what = `samples.${name}`;
      const answer = await read(source, {
        target,
        fromMs,
        toMs,
        wanted,
        candidates: Math.min(MAX_CANDIDATES, wanted * CANDIDATES_PER_SAMPLE),
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        what,
      });
      const { candidates, malformed } = await parse(answer, what);
      const chosen = choose(candidates, { fromMs, toMs, wanted });
      const items = chosen.map(({ kept: { atMs, ...sample }, similar }) => {
        const link = sample.link ?? filledLink(source.link, sample);
        return {
          ...sample,
          ...(link !== undefined && { link }),
          ref: `s-${sha256Of(`${name}\n${sample.id}`).slice(0, REF_DIGITS)}`,
          ...(similar > 0 && { similar }),
        };
      });
      const summary = {
        count: items.length,
        from: name,
        byCategory: countCategories(chosen.map(({ kept }) => kept)),
        items,
        ...(malformed > 0 && { malformed }),
      };
      if (source.text !== 'keep' || !options.keepTexts) return summary;
      const texts = chosen.flatMap(({ text }, index) => {
        const ref = items[index]?.ref;
        return text === undefined || ref === undefined ? [] : [{ ref, text }];
      });
      if (texts.length === 0) return summary;
      let kept: Awaited<ReturnType<KeepTexts>>;
      try {
        kept = await options.keepTexts({
          incidentId,
          source: name,
          retentionMs: source.retentionMs ?? DEFAULT_RETENTION_MS,
          texts,
        });
      } catch (error) {
        // What can be kept of the samples is worth more than the texts: those are tried for again a few times only.
        if (!(error instanceof ApplicationFailure)) throw error;
        if (error.nonRetryable !== true && (currentAttempt() ?? 1) < KEEP_ATTEMPTS) throw error;
        return { ...summary, textsProblem: error.message };
      }
      const { keptRefs, destroyAtMs, problem } = kept;
      return {
        ...summary,
        items: items.map((item) => (keptRefs.has(item.ref) ? { ...item, kept: true } : item)),
        keptUntilMs: destroyAtMs,
        ...(problem !== undefined && { textsProblem: problem }),
      };
    },
  };
}

function read(source: SampleSource, question: SourceQuestion): Promise<SourceRows> {
  if (source.type === 'loki') return readLoki(source, question);
  return source.type === 'postgres' ? readPostgres(source, question) : readHttpJson(source, question);
}

async function parse(
  { rows, ownShape }: SourceRows,
  what: string,
): Promise<{ candidates: Candidate[]; malformed: number }> {
  const items: SampleItem[] = [];
  let malformed: { count: number; first: string } | undefined;
  for (const [index, row] of rows.entries()) {
    const item = sampleItem.safeParse(row);
    if (item.success) items.push(item.data);
    else {
      malformed ??= { count: 0, first: wrongPlace(item.error, ownShape ? index : undefined) };
      malformed.count++;
    }
  }
  // A few rows may be of another kind; where none is as it should be, the source is not configured right.
  if (malformed && items.length === 0) {
    throw fail('InvalidInput', `${what}: ${malformed.first}; see docs/samples.md`);
  }
  const telling = await tellingIds(items);
  return {
    candidates: items.map((item) => candidateOf(item, telling)),
    malformed: malformed?.count ?? 0,
  };
}

interface Chosen {
  kept: Candidate['kept'];
  text?: string | undefined;
  similar: number;
}

/** Within the window, each id once, near-duplicates as one, by category; newest first. */
function choose(
  candidates: readonly Candidate[],
  { fromMs, toMs, wanted }: { fromMs: number; toMs: number; wanted: number },
): Chosen[] {
  const newestFirst = candidates
    // A source that ignores the window would put older outputs on this incident's account.
    .filter(({ kept }) => kept.atMs >= fromMs && kept.atMs <= toMs)
    .sort((a, b) => b.kept.atMs - a.kept.atMs);
  const unique = [
    ...new Map(newestFirst.toReversed().map((one) => [one.kept.id, one])).values(),
  ].toReversed();
  const merged = mergeNearDuplicates(
    unique.map(({ kept, text, shingled }) => ({
      kept,
      text,
      sha256: kept.sha256,
      ...(shingled && { shingled }),
    })),
  );
  return stratify(
    merged.map(({ sample: { kept, text }, similar }) => ({
      kept,
      text,
      similar: similar.length,
      atMs: kept.atMs,
      categories: kept.categories,
    })),
    wanted,
  );
}

/** Only ids go into a link, encoded; one that does not look like an id gets none. */
function filledLink(
  template: string | undefined,
  { id, requestId }: { id: string; requestId: string },
): string | undefined {
  if (template === undefined || !isPlainId(id)) return undefined;
  if (template.includes('{requestId}') && !isPlainId(requestId)) return undefined;
  return httpLink(
    template
      .replaceAll('{id}', encodeURIComponent(id))
      .replaceAll('{requestId}', encodeURIComponent(requestId)),
  );
}

/** Where the shape is wrong: of our own schema's names and positions only, as values are model output. */
function wrongPlace(error: z.ZodError, index: number | undefined): string {
  const [issue] = error.issues;
  const path = issue?.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  const place = index === undefined ? 'every row: ' : `items[${index}]`;
  const where = `${place}${index === undefined ? (path ?? '').replace(/^\./, '') || 'the row' : (path ?? '')}`;
  return `${where} is not as documented${issue?.code === 'custom' ? ` (${issue.message} is needed)` : ''}`;
}
