import { SPAN_TYPES, type Span, type SpanType } from './spans.ts';

export type Detector = (text: string) => Span[] | Promise<Span[]>;

export interface Redacted {
  text: string;
  /** How many of each were replaced. */
  counts: Partial<Record<SpanType, number>>;
}
export type Redact = (text: string) => Promise<Redacted>;

/**
 * Replaces what the detectors find by its type: `[EMAIL]`. Overlapping finds become one, of the type that comes first in
 * SPAN_TYPES. A detector that fails fails the whole: nothing is kept half redacted.
 */
export function createRedact(detectors: readonly Detector[]): Redact {
  return async (text) => {
    const found = await findSpans(detectors, text);
    const counts: Redacted['counts'] = {};
    let result = '';
    let at = 0;
    for (const { start, end, type } of found) {
      result += `${text.slice(at, start)}[${type}]`;
      counts[type] = (counts[type] ?? 0) + 1;
      at = end;
    }
    return { text: result + text.slice(at), counts };
  };
}

/** What all detectors find, in order and without overlaps. */
export async function findSpans(detectors: readonly Detector[], text: string): Promise<Span[]> {
  const lists = await Promise.all(detectors.map((detect) => detect(text)));
  const sorted = lists.flat().sort((a, b) => a.start - b.start || b.end - a.end);
  const merged: Span[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last && span.start < last.end) {
      last.end = Math.max(last.end, span.end);
      if (SPAN_TYPES.indexOf(span.type) < SPAN_TYPES.indexOf(last.type)) last.type = span.type;
    } else merged.push({ ...span });
  }
  return merged;
}
