import type { TimelineEntry } from '../../domain/incident.ts';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import { lineSections } from './blocks.ts';
import { MAX_FALLBACK, MAX_THREAD_SECTIONS } from './limits.ts';
import type { RenderedMessage } from './render.ts';

/**
 * The first of the new timeline entries for the thread, as many as one message holds: whatever comes in a burst, comes in
 * few messages. Entries' own texts only: their data may be anybody's.
 * @param entries at least one, in order.
 * @param incidentId named where entries before the first are missing.
 * @param postedSeq of the last entry that is posted already; -1: none.
 * @returns the message, and the entries that are left for the next.
 */
export function renderEntries(
  entries: readonly TimelineEntry[],
  { incidentId, postedSeq }: { incidentId: string; postedSeq: number },
): {
  message: RenderedMessage;
  left: readonly TimelineEntry[];
} {
  // Timelines begin at 0 or 1.
  const missing = (entries[0]?.seq ?? 0) - Math.max(postedSeq, 0) - 1;
  const before = missing > 0 ? [`${missing} entries before: firebreak incident timeline ${incidentId}`] : [];
  const { blocks, taken } = lineSections([...before, ...entries.map(entryLine)], MAX_THREAD_SECTIONS);
  const shown = taken - before.length;
  const text = entries
    .slice(0, shown)
    .map((entry) => entry.text)
    .join(' · ');
  return {
    message: { text: escapeSlackWithin(text, MAX_FALLBACK) || '-', blocks },
    left: entries.slice(shown),
  };
}

/** When, what and who; UTC, since the readers sit in several time zones and logs are in UTC. */
export function entryLine({ atMs, text, actor }: TimelineEntry): string {
  return `${new Date(atMs).toISOString().slice(11, 19)} UTC  ${text} (${actor})`;
}
