import type { Problem } from '../rules.ts';
import { isStepType, STEP_INPUTS, STEP_TYPES_TO_COME } from '../steps/inputs.ts';
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
    if (view.target === undefined && step.uses !== undefined && isStepType(step.uses)) {
      if (STEP_INPUTS[step.uses].needsTarget) {
        const message = `${step.uses} acts on the target, and the runbook has none: add spec.target`;
        problems.push(source.problem('target/missing', [...step.path, 'uses'], message));
      }
    }
    problems.push(...checkAttachTo(step, byId, source));
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
  if (step.uses === undefined || isStepType(step.uses)) return [];
  const path = [...step.path, 'uses'];
  if (STEP_TYPES_TO_COME.includes(step.uses)) {
    const message = `step type ${step.uses} is not available yet; there is ${Object.keys(STEP_INPUTS).join(', ')}`;
    return [source.problem('steps/not-available', path, message)];
  }
  const message = `unknown step type ${step.uses}${didYouMean(step.uses, Object.keys(STEP_INPUTS))}`;
  return [source.problem('steps/unknown-type', path, message)];
}

function checkNeeds(step: StepView, byId: ReadonlyMap<string, StepView>, source: YamlSource): Problem[] {
  const others = [...byId.keys()].filter((id) => id !== step.id);
  return step.needs.flatMap((need, index) => {
    if (byId.has(need)) return [];
    const message = `there is no step ${need}${didYouMean(need, others)}`;
    return [source.problem('steps/unknown-need', [...step.path, 'needs', index], message)];
  });
}

function checkAttachTo(step: StepView, byId: ReadonlyMap<string, StepView>, source: YamlSource): Problem[] {
  const { attachTo } = step.with;
  if (step.uses !== 'sample' || typeof attachTo !== 'string') return [];
  if (byId.get(attachTo)?.uses === 'ticket') return [];
  const tickets = [...byId.values()]
    .filter((other) => other.uses === 'ticket')
    .map((other) => other.id ?? '');
  const what = byId.has(attachTo) ? `${attachTo} is no ticket step` : `there is no step ${attachTo}`;
  const hint = tickets.length === 0 ? ': add a step that uses ticket' : didYouMean(attachTo, tickets);
  return [source.problem('steps/attach-to', [...step.path, 'with', 'attachTo'], `${what}${hint}`)];
}
