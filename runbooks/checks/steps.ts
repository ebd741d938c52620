import { EMPTY_CONTEXT, evaluateExpression, parseExpression } from '../expressions.ts';
import type { Problem } from '../problem.ts';
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
    if (definition?.needsApproval && !step.hasApproval) {
      const message = `${step.uses} does nothing but wait for people: add approval: { from: [ml-oncall] }`;
      problems.push(source.problem('steps/approval-missing', [...step.path, 'uses'], message));
    }
    if (view.target === undefined && definition?.needsTarget) {
      const message = `${step.uses} acts on the target, and the runbook has none: add spec.target`;
      problems.push(source.problem('target/missing', [...step.path, 'uses'], message));
    }
    for (const found of definition?.check(step, view) ?? []) {
      problems.push(source.problem({ own: found.rule }, [...step.path, ...found.path], found.message));
    }
  }
  for (const cycle of cyclesOf(byId)) {
    const [first] = cycle;
    const path = byId.get(first ?? '')?.path ?? [];
    const way = [...cycle, first].join(' needs ');
    problems.push(source.problem('steps/cycle', [...path, 'needs'], `${way}: none of them could ever start`));
  }
  return [...problems, ...checkReachable(view, source)];
}

function checkType(step: StepView, source: YamlSource): Problem[] {
  if (step.uses === undefined || stepDefinition(step.uses) !== undefined) return [];
  const message = `unknown step type ${step.uses}${didYouMean(step.uses, STEP_TYPES)}`;
  return [source.problem('steps/unknown-type', [...step.path, 'uses'], message)];
}

function checkNeeds(step: StepView, byId: ReadonlyMap<string, StepView>, source: YamlSource): Problem[] {
  const others = [...byId.keys()].filter((id) => id !== step.id);
  return step.needs.flatMap((need, index) => {
    if (step.needs.indexOf(need) < index) {
      const message = `${need} is named twice: take it out, or name the step that is meant`;
      return [source.problem('steps/duplicate-need', [...step.path, 'needs', index], message)];
    }
    if (byId.has(need)) return [];
    const message = `there is no step ${need}${didYouMean(need, others)}`;
    return [source.problem('steps/unknown-need', [...step.path, 'needs', index], message)];
  });
}

/** Conditions that are decided whatever is measured, and the steps that can never start because of them. */
function checkReachable(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  const never = new Set<string>();
  for (const step of view.steps) {
    for (const field of ['when', 'whenever'] as const) {
      const text = step[field];
      const always = typeof text === 'string' ? constantOf(text) : undefined;
      if (always === undefined) continue;
      if (!always && step.id !== undefined) never.add(step.id);
      const path = [...step.path, field];
      problems.push(
        always
          ? source.problem('steps/constant-condition', path, 'this always holds: take it out')
          : source.problem('steps/unreachable', path, 'this never holds: the step could never start'),
      );
    }
  }
  // As long as there is something new, whatever the order of the steps in the file.
  for (let grown = never.size > 0; grown; ) {
    grown = false;
    for (const step of view.steps) {
      const blocked = step.needs.findIndex((need) => never.has(need));
      if (step.always || blocked === -1 || step.id === undefined || never.has(step.id)) continue;
      never.add(step.id);
      grown = true;
      const message = `${step.needs[blocked]} can never run: neither can ${step.id}, without always: true`;
      problems.push(source.problem('steps/unreachable', [...step.path, 'needs', blocked], message));
    }
  }
  return problems;
}

/** What a condition is whatever is measured; undefined where it depends on something, or cannot be read. */
function constantOf(text: string): boolean | undefined {
  const { problems, references, type } = parseExpression(text);
  if (problems.length > 0 || type !== 'bool' || /\bnow\b/.test(text)) return undefined;
  // A metric is unknown here: what is known all the same does not depend on it.
  if (references.some(({ kind }) => kind !== 'metric')) return undefined;
  const result = evaluateExpression(text, EMPTY_CONTEXT);
  return result.known && typeof result.value === 'boolean' ? result.value : undefined;
}
