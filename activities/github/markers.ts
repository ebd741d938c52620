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

/**
 * The marker, then the text within GitHub's limit. A marker in the text itself is made visible: it must not be found as
 * another incident's.
 */
export function withMarker(marker: string, markdown: string): string {
  const text = markdown.replaceAll(MARKER_START, '&lt;!-- firebreak:');
  const room = MAX_BODY - marker.length - 1;
  const fitting = text.length <= room ? text : `${truncate(text, room - CUT_NOTE.length)}${CUT_NOTE}`;
  return `${marker}\n${fitting}`;
}
