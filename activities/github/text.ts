import { stripControl, truncate } from '../../domain/plain-text.ts';

/** https://docs.github.com/en/rest/issues/issues: longer titles and bodies are answered 422. */
const MAX_TITLE_LENGTH = 256;
const MAX_BODY_LENGTH = 65_536;
const CUT =
  '\n\nThe rest was cut: it is longer than GitHub allows. The whole is in the records of the incident.';

/** Invisible in the page, found again in the source. Ids are ours: [a-z0-9-]. */
export function incidentMarker(incidentId: string): string {
  return `<!-- firebreak:incident=${markerValue(incidentId)} -->`;
}

export function commentMarker(commentKey: string): string {
  return `<!-- firebreak:comment=${markerValue(commentKey)} -->`;
}

/** Titles are no Markdown, but @ and # make references in lists and mails: a zero-width space keeps them text. */
export function issueTitle(text: string): string {
  const plain = stripControl(text)
    .replace(/@/g, '@\u200b')
    .replace(/#(?=\d)/g, '#\u200b')
    .trim();
  return truncate(plain, MAX_TITLE_LENGTH) || 'Incident';
}

/** The marker comes first, so that a cut never takes it. */
export function markedBody(marker: string, markdown: string): string {
  const body = `${marker}\n${markdown}`;
  if (body.length <= MAX_BODY_LENGTH) return body;
  return `${body.slice(0, MAX_BODY_LENGTH - CUT.length).toWellFormed()}${CUT}`;
}

/** The marker is the first line of what we write: the same text further down was put there by somebody else. */
export function startsWithMarker(body: string | null | undefined, marker: string): boolean {
  return body?.startsWith(marker) ?? false;
}

/** `--` and `>` would end the HTML comment. */
function markerValue(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, '_').replace(/-{2,}/g, '-');
}
