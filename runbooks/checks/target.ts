import type { Problem } from '../problem.ts';
import { nearMiss } from '../suggest.ts';
import { parseTemplate } from '../templates.ts';
import type { YamlSource } from '../yaml-source.ts';
import type { RunbookView } from './view.ts';

/** Fields of the target take labels of `correlateBy` only. */
export function checkTarget(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  for (const field of ['cluster', 'namespace', 'name']) {
    const text = view.target?.[field];
    if (typeof text !== 'string') continue;
    const path = ['spec', 'target', field];
    const template = parseTemplate(text);
    for (const span of template.problems) {
      const message = text.slice(span.start).includes('}}')
        ? `only labels are put in here: write \${{ labels.${labelFor(field, view.correlateBy)} }}`
        : `this \${{ has no }}: close it`;
      problems.push(source.textProblem('target/template', path, span, message));
    }
    for (const part of template.parts) {
      if ('text' in part || view.correlateBy.includes(part.label)) continue;
      const start = text.indexOf(`labels.${part.label}`);
      const span = { start, end: start + `labels.${part.label}`.length };
      const message = `label ${part.label} is not in correlateBy: alerts that differ in it would be one incident, so add it there${nearMiss(part.label, view.correlateBy)}`;
      problems.push(source.textProblem('target/label', path, span, message));
    }
  }
  return problems;
}

/** The label that a field of the target usually comes from. */
function labelFor(field: string, correlateBy: readonly string[]): string {
  const usual = field === 'name' ? 'deployment' : field;
  return correlateBy.includes(usual) ? usual : (correlateBy[0] ?? usual);
}
