import type { z } from 'zod';

/** More than this helps nobody, and bounds the size of the answer. */
const MAX_PROBLEMS = 10;
/** Keys that may be shown; any other key is somebody's text. */
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

/** `alerts[3].labels.team`; keys that are not plain names are not repeated. */
function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else {
      const key = typeof part === 'string' && PLAIN_KEY.test(part) ? part : '<key>';
      text += text === '' ? key : `.${key}`;
    }
  }
  return text === '' ? 'the document' : text;
}

/** Up to ten problems, each naming its field; zod's messages name types and allowed values, never what was sent. */
export function problemsOf(error: z.ZodError): string[] {
  const shown = error.issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const what = issue.code === 'unrecognized_keys' ? 'has keys that are not known' : issue.message;
    return `${pathText(issue.path)}: ${what}`;
  });
  const hidden = error.issues.length - shown.length;
  return hidden > 0 ? [...shown.slice(0, MAX_PROBLEMS - 1), `and ${hidden + 1} more`] : shown;
}
