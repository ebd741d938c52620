/** Texts with `${{ expression }}` in them. Pure, so that workflow code and the compiler read them alike. */
import { stripControl, truncate } from './plain-text.ts';

export type TextPart = { text: string } | { expression: string; start: number; end: number };

const PLACEHOLDER = /\$\{\{(.*?)\}\}/gs;
/** Longest value put into a text: a label is untrusted, and a notification has to stay one. */
const MAX_VALUE_LENGTH = 200;
/** Digits of a number that people read. */
const DIGITS = 4;

/** Splits a text; `start` and `end` are the offsets of the placeholder. */
export function splitTemplate(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const found of text.matchAll(PLACEHOLDER)) {
    if (found.index > end) parts.push({ text: text.slice(end, found.index) });
    end = found.index + found[0].length;
    parts.push({ expression: (found[1] ?? '').trim(), start: found.index, end });
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  return parts;
}

/**
 * A text with its placeholders filled: values are put in once and never read again, whatever stands in them.
 * @param values by the place of the part.
 */
export function fillTemplate(
  parts: readonly TextPart[],
  values: Readonly<Record<string, { known: true; value: unknown } | { known: false }>>,
): string {
  return parts
    .map((part, index) => {
      if ('text' in part) return part.text;
      const found = values[String(index)];
      return found?.known ? valueText(found.value) : '(unknown)';
    })
    .join('');
}

/** A value as it stands in a text: one line without control characters, numbers shortened. */
function valueText(value: unknown): string {
  if (typeof value === 'number' && !Number.isInteger(value)) return String(Number(value.toPrecision(DIGITS)));
  return truncate(stripControl(String(value)), MAX_VALUE_LENGTH);
}
