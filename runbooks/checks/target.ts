import type { Problem } from '../rules.ts';
import { didYouMean } from '../suggest.ts';
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
      const message = `only labels are put in here: write \${{ labels.${view.correlateBy[0] ?? 'namespace'} }}`;
      problems.push(source.textProblem('target/template', path, span, message));
    }
    for (const part of template.parts) {
      if ('text' in part || view.correlateBy.includes(part.label)) continue;
      const start = text.indexOf(`labels.${part.label}`);
      const span = { start, end: start + `labels.${part.label}`.length };
      const message = `label ${part.label} is not in correlateBy: alerts that differ in it would be one incident; add it there${didYouMean(part.label, view.correlateBy)}`;
      problems.push(source.textProblem('target/label', path, span, message));
    }
  }
  return problems;
}
