import { splitTemplate } from '../../domain/template.ts';
import { inputName } from '../inputs.ts';
import type { Path, Problem } from '../problem.ts';
import { stepDefinition } from '../steps/definitions.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import type { CheckExpression } from './expression-place.ts';
import type { RunbookView, StepView } from './view.ts';

/**
 * Texts under `with`: `${{ inputs.name }}` everywhere, other expressions only where the type fills the text in when the step
 * runs, and neither in fields that are expressions themselves (they read inputs.name).
 */
export function checkTemplates(
  step: StepView,
  view: RunbookView,
  source: YamlSource,
  check: CheckExpression,
): Problem[] {
  const definition = stepDefinition(step.uses);
  if (definition === undefined) return [];
  const keysOf = (places: { path: Path }[]) => new Set(places.map(({ path }) => JSON.stringify(path)));
  const filled = keysOf(definition.templates(step.written));
  // The check of expressions tells what is wrong with them.
  const expressions = keysOf(definition.expressions(step.written));
  const problems: Problem[] = [];

  const look = (value: unknown, path: Path): void => {
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) look(item, [...path, index]);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (key.includes('${{')) {
          const message = 'nothing is put into names: write a literal';
          problems.push(
            source.keyProblem('template/not-here', [...step.path, 'with', ...path, key], message),
          );
        }
        look(item, [...path, key]);
      }
    } else if (typeof value === 'string' && value.includes('${{')) {
      const key = JSON.stringify(path);
      if (!expressions.has(key)) problems.push(...lookInto(value, path, filled.has(key)));
    }
  };

  const lookInto = (text: string, below: Path, isFilled: boolean): Problem[] => {
    const path = [...step.path, 'with', ...below];
    let end = 0;
    const found: Problem[] = [];
    for (const part of splitTemplate(text)) {
      if ('text' in part) continue;
      end = part.end;
      const name = inputName(part.expression);
      if (name !== undefined) {
        if (view.declaredInputs.includes(name)) continue;
        const message = `there is no input ${name}${didYouMean(name, view.declaredInputs)}`;
        found.push(source.textProblem('inputs/unknown', path, part, message));
      } else if (isFilled) {
        const offset = part.start + text.slice(part.start).indexOf(part.expression);
        found.push(...check({ text: part.expression, path, offset, wanted: 'any', step }));
      } else {
        const message = `no expression is filled in here: write a literal, or \${{ inputs.name }} and declare the input`;
        found.push(source.textProblem('template/not-here', path, part, message));
      }
    }
    const open = text.indexOf('${{', end);
    if (open !== -1) {
      const span = { start: open, end: text.length };
      found.push(source.textProblem('template/unclosed', path, span, `this \${{ has no }}: close it`));
    }
    return found;
  };

  look(step.written, []);
  return problems;
}
