import { stripControl, truncate } from '../../domain/plain-text.ts';
import { MAX_LABEL, MAX_LABELS, MAX_TITLE } from './limits.ts';

/** Titles are no Markdown, but in lists and mails @ and # make references: a zero-width space keeps them text. */
export function titleOf(text: string): string {
  const plain = stripControl(text)
    .replace(/@|#(?=\d)/g, '$&\u200b')
    .trim();
  return truncate(plain, MAX_TITLE);
}

/**
 * In order, each once. GitHub compares labels without case, creates those that it does not know, and separates those of a
 * query by commas.
 */
export function labelsOf(labels: readonly string[]): string[] {
  const byLowerCase = new Map<string, string>();
  for (const label of labels.map((text) =>
    truncate(stripControl(text).replace(/,/g, ' ').trim(), MAX_LABEL),
  )) {
    const key = label.toLowerCase();
    if (label !== '' && !byLowerCase.has(key)) byLowerCase.set(key, label);
  }
  return [...byLowerCase.values()].slice(0, MAX_LABELS);
}
