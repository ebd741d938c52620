import { stripControl, truncate } from './plain-text.ts';

/** One thing that was tried: by the doctor, or in a drill. */
export interface Finding {
  what: string;
  ok: boolean;
  /** What was seen; or what is wrong, and what to do about it. */
  detail: string;
}

/** A line is read by people. */
const MAX_TOLD = 2_000;

/** A finding as it is printed: vendors' words are among it. */
export function findingLine({ what, ok, detail }: Finding): string {
  return `${ok ? 'ok     ' : 'MISSING'} ${plain(what)}: ${plain(detail)}`;
}

function plain(text: string): string {
  return truncate(stripControl(text), MAX_TOLD);
}
