/** What is taken out of texts. The first of two that overlap gives the replacement its name. */
export const SPAN_TYPES = [
  'SECRET',
  'EMAIL',
  'IBAN',
  'CARD',
  'NATIONAL_ID',
  'PHONE',
  'IP',
  'ADDRESS',
  'NAME',
] as const;
export type SpanType = (typeof SPAN_TYPES)[number];

/** A part of a text, in UTF-16 units; `end` is not part of it. */
export interface Span {
  start: number;
  end: number;
  type: SpanType;
}
