import type { Alert } from '../../domain/alert.ts';

/** Longest label value kept. Prometheus' own limits (label_value_length_limit) are usually far below. */
const MAX_LABEL_VALUE = 4 * 1024;
/** Longest annotation value kept: a screenful of text, of which people read the start. */
const MAX_ANNOTATION_VALUE = 8 * 1024;
const MAX_NAME = 256;
const MAX_URL = 4 * 1024;
const MAX_LABELS = 128;
const MAX_ANNOTATIONS = 64;
/** One alert as JSON; above it every value is cut to SHORT_VALUE, so that any alert fits into one signal. */
const MAX_ALERT_BYTES = 128 * 1024;
const SHORT_VALUE = 256;
const SHORT_COUNT = 32;

const TRUNCATED = '… [truncated]';

/**
 * Text that every store behind us can hold: PostgreSQL takes no NUL, UTF-8 no half of a surrogate pair. Both become U+FFFD.
 */
export function wellFormed(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\uFFFD');
}

/** Cut to `maxLength` UTF-16 units with a marker at the end that says so. */
export function truncate(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength - TRUNCATED.length).toWellFormed()}${TRUNCATED}`;
}

function boundValues(
  values: Record<string, string>,
  maxCount: number,
  maxValue: number,
): Record<string, string> {
  const entries = Object.entries(values).slice(0, maxCount);
  return Object.fromEntries(
    entries.map(([name, value]) => [truncate(wellFormed(name), MAX_NAME), truncate(value, maxValue)]),
  );
}

/**
 * The alert with its texts cut to sizes that workflow history can carry. Matching and correlation happen on the alert as it
 * came: only what is remembered is cut.
 */
export function boundAlert(alert: Alert): Alert {
  const bounded: Alert = {
    ...alert,
    labels: boundValues(alert.labels, MAX_LABELS, MAX_LABEL_VALUE),
    annotations: boundValues(alert.annotations, MAX_ANNOTATIONS, MAX_ANNOTATION_VALUE),
    generatorURL: truncate(alert.generatorURL, MAX_URL),
  };
  if (jsonBytes(bounded) <= MAX_ALERT_BYTES) return bounded;
  return {
    ...bounded,
    labels: boundValues(bounded.labels, SHORT_COUNT, SHORT_VALUE),
    annotations: boundValues(bounded.annotations, SHORT_COUNT, SHORT_VALUE),
    generatorURL: truncate(bounded.generatorURL, SHORT_VALUE),
  };
}

/** Size as JSON in UTF-8 bytes: what a payload weighs before encryption. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value), 'utf8');
}
