import { splitTemplate } from '../domain/template.ts';

/** Templates of the target's fields: literal text and `${{ labels.name }}`. Nothing else is ever put into them. */
export type TemplatePart = { text: string } | { label: string };

const LABEL_REFERENCE = /^labels\.([a-zA-Z_][a-zA-Z0-9_]*)$/;

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
  for (const part of splitTemplate(text)) {
    if ('text' in part) {
      parts.push(part);
      continue;
    }
    end = part.end;
    const label = LABEL_REFERENCE.exec(part.expression)?.[1];
    if (label === undefined) problems.push({ start: part.start, end });
    else parts.push({ label });
  }
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
