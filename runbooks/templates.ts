/** Templates of the target's fields: literal text and `${{ labels.name }}`. Nothing else is ever put into them. */
export type TemplatePart = { text: string } | { label: string };

const PLACEHOLDER = /\$\{\{(.*?)\}\}/gs;
const LABEL_REFERENCE = /^\s*labels\.([a-zA-Z_][a-zA-Z0-9_]*)\s*$/;

/** A placeholder that is no `labels.name`, by its offsets in the template. */
export interface TemplateProblem {
  start: number;
  end: number;
}

/** Splits a template into its parts. */
export function parseTemplate(text: string): { parts: TemplatePart[]; problems: TemplateProblem[] } {
  const parts: TemplatePart[] = [];
  const problems: TemplateProblem[] = [];
  let end = 0;
  for (const found of text.matchAll(PLACEHOLDER)) {
    if (found.index > end) parts.push({ text: text.slice(end, found.index) });
    end = found.index + found[0].length;
    const label = LABEL_REFERENCE.exec(found[1] ?? '')?.[1];
    if (label === undefined) problems.push({ start: found.index, end });
    else parts.push({ label });
  }
  if (end < text.length) parts.push({ text: text.slice(end) });
  const open = text.indexOf('${{', end);
  if (open !== -1) problems.push({ start: open, end: text.length });
  return { parts, problems };
}

/** Fills a template with label values; a label that is absent leaves nothing, and is told. */
export function renderTemplate(
  text: string,
  labels: Record<string, string>,
): { value: string; missing: string[] } {
  const missing: string[] = [];
  const value = parseTemplate(text)
    .parts.map((part) => {
      if ('text' in part) return part.text;
      const found = Object.hasOwn(labels, part.label) ? labels[part.label] : undefined;
      if (found === undefined || found === '') missing.push(part.label);
      return found ?? '';
    })
    .join('');
  return { value, missing };
}
