import type { Path, Problem } from '../problem.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { type RunbookView, recordOf } from './view.ts';

/** What inputs are set to, by the file and by the installation. Where they are read: expressions.ts and templates.ts. */
export function checkInputs(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  const declared = recordOf(recordOf(recordOf(source.value).spec).inputs);
  for (const name of view.declaredInputs) {
    const path: Path = ['spec', 'inputs', name, 'default'];
    const preset = recordOf(declared[name]).default;
    if (typeof preset === 'string' && preset.includes('${{')) {
      const message = 'the value of an input is put in as it is: write a literal';
      problems.push(source.problem('template/not-here', path, message));
    }
    const set = Object.hasOwn(view.setInputs, name) ? view.setInputs[name] : undefined;
    if (set === undefined) continue;
    if (typeof set !== typeof preset) {
      const message = `the configuration sets ${name} to ${kindOf(set)}, and its default is ${kindOf(preset)}: set ${kindOf(preset)}`;
      problems.push(source.problem('inputs/wrong-type', path, message));
    } else if (typeof set === 'string' && set.includes('${{')) {
      const message = `the configuration sets ${name} to a text with \${{: values are put in as they are, set a literal`;
      problems.push(source.problem('inputs/wrong-value', path, message));
    }
  }
  for (const name of Object.keys(view.setInputs)) {
    if (view.declaredInputs.includes(name)) continue;
    const message = `the configuration sets an input ${name} that this runbook does not have${didYouMean(name, view.declaredInputs)}`;
    const path = view.declaredInputs.length === 0 ? ['metadata', 'name'] : ['spec', 'inputs'];
    problems.push(source.keyProblem('inputs/unknown', path, message));
  }
  return problems;
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'text';
  return typeof value === 'number' ? 'a number' : 'true or false';
}
