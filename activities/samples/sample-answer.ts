import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { SampleSummary } from '../../domain/incident.ts';
import { OTHER_CATEGORIES } from '../../domain/samples/merge.ts';
import { type Shingled, shingle } from '../../domain/samples/near-duplicates.ts';
import { emails } from '../evidence/redaction/numbers.ts';
import { findSpans } from '../evidence/redaction/redact.ts';
import { secrets } from '../evidence/redaction/secrets.ts';

/**
 * What a source of samples answers, and what is kept of it. A source is trusted to be the source; what it holds was
 * written by a model that does harm, so nothing of it passes as it is.
 */

/** Ids, request ids: letters, digits and the punctuation of ids of content stores, UUIDs, ARNs and paths; no addresses. */
const ID = /^[A-Za-z0-9._:/+=~-]{1,200}$/;
/** Between ids that are looked at together: no part of one, and nothing that stands between a word and the secret it announces. */
const APART = '\n|\n';
const MAX_CATEGORY_CHARS = 40;
const MAX_CATEGORIES_PER_SAMPLE = 10;
/** With 200 samples the summary stays far below Temporal's 2 MB for one payload. */
const MAX_LINK_CHARS = 1_000;

/**
 * `GET ?namespace=&deployment=&from=&to=&limit=&harmful=true` (times in RFC 3339) answers this, newest first:
 *
 *     { "items": [{ "id": "out-1", "at": "2025-01-01T00:00:00Z", "categories": ["hate"], "text": "...",
 *                   "requestId": "req-1", "link": "https://store.example.com/out-1" }] }
 *
 * Either `text` or both `sha256` (hex, of its UTF-8) and `length` (UTF-16 code units). Other members are ignored.
 */
export const sampleItem = z
  .object({
    id: z.string().min(1),
    at: z.iso.datetime({ offset: true }),
    requestId: z.string().optional(),
    categories: z.array(z.string()),
    text: z.string().optional(),
    length: z.int().nonnegative().optional(),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/)
      .optional(),
    link: z.string().optional(),
  })
  .refine(
    (sample) => sample.text !== undefined || (sample.sha256 !== undefined && sample.length !== undefined),
    {
      message: 'text, or sha256 and length',
    },
  );

export type SampleItem = z.output<typeof sampleItem>;
export type KeptSample = SampleSummary['items'][number] & { atMs: number };

/** A sample before it is chosen. The text is here and nowhere else: `kept` is what leaves the activity. */
export interface Candidate {
  kept: KeptSample;
  text?: string;
  shingled?: Shingled;
}

/** @param telling ids that tell more than they name, of `tellingIds`. */
export function candidateOf(sample: SampleItem, telling: ReadonlySet<string>): Candidate {
  const { text } = sample;
  const id = (given: string) => (telling.has(given) ? digestOf(given) : plainId(given));
  return { kept: withoutText(sample, id), ...(text !== undefined && { text, shingled: shingle(text) }) };
}

/** A sample without its text. */
function withoutText(sample: SampleItem, id: (given: string) => string): KeptSample {
  const { text, sha256 = '', length = 0 } = sample;
  const link = sample.link === undefined ? undefined : httpLink(sample.link);
  return {
    atMs: Date.parse(sample.at),
    id: id(sample.id),
    // What can be measured is measured: a source's own word on its text counts only where it keeps the text to itself.
    sha256: text === undefined ? sha256.toLowerCase() : sha256Of(text),
    length: text === undefined ? length : text.length,
    categories: plainCategories(sample.categories),
    requestId: sample.requestId === undefined ? '' : id(sample.requestId),
    ...(link !== undefined && { link }),
  };
}

/** Whether an id can stand in a link as it is. */
export function isPlainId(id: string): boolean {
  return ID.test(id);
}

/** An id that is none (a sentence, control characters, too long) could be the output itself: its digest stands for it. */
export function plainId(id: string): string {
  return ID.test(id) ? id : digestOf(id);
}

function digestOf(id: string): string {
  return `sha256:${sha256Of(id)}`;
}

/**
 * Ids and request ids in which there is an address or a secret: stores that name outputs by session token, or by whoever
 * asked. Looked at together, as finding secrets takes some milliseconds however short a text is.
 */
export async function tellingIds(samples: readonly SampleItem[]): Promise<ReadonlySet<string>> {
  const given = samples.flatMap(({ id, requestId }) => (requestId === undefined ? [id] : [id, requestId]));
  const ids = [...new Set(given)].filter((id) => ID.test(id));
  const found = await findSpans([emails, secrets], ids.join(APART));
  const telling = new Set<string>();
  let start = 0;
  for (const id of ids) {
    const end = start + id.length;
    if (found.some((span) => span.start < end && span.end > start)) telling.add(id);
    start = end + APART.length;
  }
  return telling;
}

/** `Self Harm!` becomes `self_harm`; what has nothing legible is left out. */
function plainCategories(categories: readonly string[]): string[] {
  const kept = new Set<string>();
  for (const category of categories) {
    const name =
      category.length > MAX_CATEGORY_CHARS
        ? // No name but a sentence: it could be a part of the output.
          OTHER_CATEGORIES
        : category
            .toLowerCase()
            .replace(/[^a-z0-9_.-]+/g, '_')
            .replace(/^[_.-]+/, '')
            .replace(/[_.-]+$/, '');
    if (name !== '') kept.add(name);
    if (kept.size === MAX_CATEGORIES_PER_SAMPLE) break;
  }
  return [...kept];
}

/** Only http(s), without credentials; cut links lead nowhere, so a long one is left out. */
export function httpLink(link: string): string | undefined {
  if (link.length > MAX_LINK_CHARS || !URL.canParse(link)) return undefined;
  const url = new URL(link);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  return url.href.length > MAX_LINK_CHARS ? undefined : url.href;
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
