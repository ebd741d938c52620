import { truncate } from '../../domain/plain-text.ts';
import { MAX_BODY } from './limits.ts';

/** Shown in place of the end of a body that GitHub would refuse. */
const CUT_NOTE = '(Cut: longer than GitHub allows.';
const MARKER_START = '<!-- firebreak:';
const STATUS_START = '<!-- firebreak:status -->';
const STATUS_END = '<!-- /firebreak:status -->';

/** What an incident's issue is found by. HTML comments are not shown; encoded, so that a key cannot end the comment. */
export function incidentMarker(incidentId: string): string {
  return `${MARKER_START}incident=${encodeURIComponent(incidentId)} -->`;
}

/** What the issue of an action item is found by. */
export function itemMarker(itemId: string): string {
  return `${MARKER_START}item=${encodeURIComponent(itemId)} -->`;
}

/** What a comment is found by. */
export function commentMarker(commentKey: string): string {
  return `${MARKER_START}comment=${encodeURIComponent(commentKey)} -->`;
}

/**
 * The marker, then the text within GitHub's limit: first, so that no cut takes it.
 * @param rest where the whole text is.
 * @param spare characters left free, for what is added later.
 */
export function withMarker(marker: string, markdown: string, rest: string, spare = 0): string {
  const body = `${marker}\n${markdown}`;
  const note = `\n\n${CUT_NOTE} ${rest})`;
  const limit = MAX_BODY - spare;
  return body.length <= limit ? body : `${truncate(body, limit - note.length)}${note}`;
}

/** Our first line. The same text further down was put there by somebody else. */
export function hasMarker(body: string | null | undefined, marker: string): boolean {
  return body?.startsWith(marker) ?? false;
}

/** The section of a body that Firebreak keeps up to date: between two comments that nobody sees. */
export function statusSection(markdown: string): string {
  return `${STATUS_START}\n${markdown}\n${STATUS_END}`;
}

/**
 * The body with another status and everything else as it is.
 * @returns undefined where there is no section, or more than one: people took it out or moved it, and it stays so.
 */
export function replaceStatus(body: string, markdown: string): string | undefined {
  const start = body.indexOf(STATUS_START);
  const end = body.indexOf(STATUS_END, start);
  if (start < 0 || end < 0 || body.indexOf(STATUS_START, start + 1) >= 0) return undefined;
  const replaced = `${body.slice(0, start)}${statusSection(markdown)}${body.slice(end + STATUS_END.length)}`;
  return replaced.length > MAX_BODY ? undefined : replaced;
}
