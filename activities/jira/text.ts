import { stripControl, truncate } from '../../domain/plain-text.ts';
import { fail } from '../failure.ts';
import { MAX_LABEL, MAX_LABELS, MAX_SUMMARY } from './limits.ts';

/** One line of plain text: summaries know no markup and no mentions. */
export function summaryOf(text: string): string {
  return truncate(stripControl(text).trim(), MAX_SUMMARY - 1);
}

/** In order, each once, without the spaces that Jira refuses. */
export function labelsOf(labels: readonly string[]): string[] {
  const plain = labels.map((label) => truncate(stripControl(label).trim().replace(/\s+/g, '-'), MAX_LABEL));
  return [...new Set(plain.filter((label) => label !== ''))].slice(0, MAX_LABELS);
}

/**
 * Path of an issue below /rest/api/3.
 * @throws InvalidInput for a key that is none of Jira's: it would take a bare number for an id, of an issue of somebody else.
 */
export function issuePath(key: string): string {
  if (/^[A-Z][A-Z0-9_]*-[1-9]\d*$/.test(key)) return `/issue/${key}`;
  throw fail(
    'InvalidInput',
    'the key of the ticket is none of Jira: was another ticket system configured when it was opened?',
  );
}
