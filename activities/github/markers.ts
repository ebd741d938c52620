import { truncate } from '../../domain/plain-text.ts';
import { MAX_BODY } from './limits.ts';

/** Shown in place of the end of a body that GitHub would refuse. */
const CUT_NOTE = "\n\n(Cut: longer than GitHub allows. The whole text is in the incident's record.)";
const MARKER_START = '<!-- firebreak:';

/** What an incident's issue is found by. HTML comments are not shown; encoded, so that a key cannot end the comment. */
export function incidentMarker(incidentId: string): string {
  return `${MARKER_START}incident=${encodeURIComponent(incidentId)} -->`;
}

/** What a comment is found by. */
export function commentMarker(commentKey: string): string {
  return `${MARKER_START}comment=${encodeURIComponent(commentKey)} -->`;
}

/** The marker, then the text within GitHub's limit: first, so that no cut takes it. */
export function withMarker(marker: string, markdown: string): string {
  const body = `${marker}\n${markdown}`;
  return body.length <= MAX_BODY ? body : `${truncate(body, MAX_BODY - CUT_NOTE.length)}${CUT_NOTE}`;
}

/** Our first line. The same text further down was put there by somebody else. */
export function hasMarker(body: string | null | undefined, marker: string): boolean {
  return body?.startsWith(marker) ?? false;
}
