import { parseDurationMs } from '../duration.ts';

/** A report is read by a person: a year is the longest that is compared. */
const MAX_SPAN_MS = 366 * 86_400_000;
/** A date (midnight UTC), or a time with its zone: one without would mean something else on each machine. */
const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** What `since` may look like, for messages. */
export const SINCE_FORMS = 'a duration such as 7d or 24h, or a date such as 2026-03-01 or 2026-03-01T10:00Z';

/**
 * The beginning that `since` means: so long ago (`7d`, `24h`), or an ISO date or time.
 * @returns epoch ms; undefined for what is neither, lies in the future, or is more than a year ago.
 */
export function parseSinceMs(text: string, nowMs: number): number | undefined {
  const spanMs = parseDurationMs(text);
  const sinceMs = spanMs !== undefined ? nowMs - spanMs : isoMs(text.trim());
  if (sinceMs === undefined || !(sinceMs < nowMs) || sinceMs < nowMs - MAX_SPAN_MS) return undefined;
  return sinceMs;
}

function isoMs(text: string): number | undefined {
  if (!ISO.test(text)) return undefined;
  const ms = Date.parse(text);
  // Date.parse makes 2026-02-31 the third of March.
  const day = Number(text.slice(8, 10));
  const daysOfMonth = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
  return Number.isNaN(ms) || day > daysOfMonth ? undefined : ms;
}
