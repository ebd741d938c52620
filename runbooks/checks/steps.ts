import type { Problem } from '../rules.ts';
import { STEP_TYPES, stepDefinition } from '../steps/definitions.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { cyclesOf, stepsById } from './graph.ts';
import type { RunbookView, StepView } from './view.ts';

/** Step types, ids, needs, cycles, conditions and attachments. */
export function checkSteps(view: RunbookView, source: YamlSource): Problem[] {
  const byId = stepsById(view.steps);
  const problems: Problem[] = [];
  for (const step of view.steps) {
    problems.push(...checkType(step, source), ...checkNeeds(step, byId, source));
    if (step.id !== undefined && byId.get(step.id) !== step) {
      const message = `there is a step ${step.id} already: give this one another id`;
      problems.push(source.problem('steps/duplicate-id', [...step.path, 'id'], message));
    }
    if (step.when !== undefined && step.whenever !== undefined) {
      const message = 'when (decided once) or whenever (watched until it holds), not both';
      problems.push(source.keyProblem('steps/conditions', [...step.path, 'whenever'], message));
    }
    const definition = stepDefinition(step.uses);
    if (view.target === undefined && definition?.needsTarget) {
      const message = `${step.uses} acts on the target, and the runbook has none: add spec.target`;
      problems.push(source.problem('target/missing', [...step.path, 'uses'], message));
    }
    for (const found of definition?.check(step, view) ?? []) {
      problems.push(source.problem(found.rule, [...step.path, ...found.path], found.message));
    }
  }
  for (const cycle of cyclesOf(byId)) {
    const [first] = cycle;
    const path = byId.get(first ?? '')?.path ?? [];
    const way = [...cycle, first].join(' needs ');
    problems.push(source.problem('steps/cycle', [...path, 'needs'], `${way}: none of them could ever start`));
  }
  return problems;
}

function checkType(step: StepView, source: YamlSource): Problem[] {
  if (step.uses === undefined || stepDefinition(step.uses) !== undefined) return [];
  const message = `unknown step type ${step.uses}${didYouMean(step.uses, STEP_TYPES)}`;
  return [source.problem('steps/unknown-type', [...step.path, 'uses'], message)];
}

function checkNeeds(step: StepView, byId: ReadonlyMap<string, StepView>, source: YamlSource): Problem[] {
  const others = [...byId.keys()].filter((id) => id !== step.id);
  return step.needs.flatMap((need, index) => {
    if (byId.has(need)) return [];
    const message = `there is no step ${need}${didYouMean(need, others)}`;
    return [source.problem('steps/unknown-need', [...step.path, 'needs', index], message)];
  });
}
