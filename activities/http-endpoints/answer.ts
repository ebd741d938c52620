/**
 * Largest answer that is kept: it becomes an output of the step, which every record and chat update of the incident carries
 * from then on. A hundred of them must stay below Temporal's limit of 2 MB a payload.
 */
export const MAX_ANSWER_BYTES = 16 * 1024;
/** Deeper answers are nothing that an expression could read, and would be a burden to whoever walks them. */
const MAX_DEPTH = 16;

/** The JSON of a text; undefined where there is none, or none that is safe to keep. */
export function boundedJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    const json: unknown = JSON.parse(text);
    return isKept(json, MAX_DEPTH) ? json : undefined;
  } catch {
    return undefined;
  }
}

function isKept(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0 || Object.hasOwn(value, '__proto__')) return false;
  return Object.values(value).every((item) => isKept(item, levels - 1));
}
