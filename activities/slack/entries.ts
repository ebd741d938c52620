import type { KnownBlock } from '@slack/web-api';
import type { TimelineEntry } from '../../domain/incident.ts';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import { MAX_FALLBACK, MAX_SECTION, MAX_THREAD_SECTIONS } from './limits.ts';
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
  const sections: string[] =
    missing > 0
      ? [
          escapeSlackWithin(
            `${missing} entries before: firebreak incident timeline ${incidentId}`,
            MAX_SECTION,
          ),
        ]
      : [];
  let shown = 0;
  for (const entry of entries) {
    const line = escapeSlackWithin(`${clock(entry.atMs)}  ${entry.text} (${entry.actor})`, MAX_SECTION);
    const last = sections.at(-1);
    if (last !== undefined && last.length + 1 + line.length <= MAX_SECTION)
      sections[sections.length - 1] = `${last}\n${line}`;
    else if (sections.length < MAX_THREAD_SECTIONS) sections.push(line);
    else break;
    shown += 1;
  }
  const text = entries
    .slice(0, shown)
    .map((entry) => entry.text)
    .join(' · ');
  return {
    message: {
      text: escapeSlackWithin(text, MAX_FALLBACK) || '-',
      // Escaped line by line above.
      blocks: sections.map(
        (lines): KnownBlock => ({ type: 'section', text: { type: 'plain_text', text: lines, emoji: false } }),
      ),
    },
    left: entries.slice(shown),
  };
}

/** UTC: the channel's readers sit in several time zones, and logs are in UTC. */
function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(11, 19)} UTC`;
}
