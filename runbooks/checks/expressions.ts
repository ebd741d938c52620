import { SEVERITIES } from '../../domain/severity.ts';
import type { Reference } from '../expression-syntax.ts';
import { parseExpression } from '../expressions.ts';
import type { Path, Problem } from '../rules.ts';
import { stepDefinition } from '../steps/definitions.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { endedBefore, stepsById } from './graph.ts';
import type { RunbookView, StepView } from './view.ts';

/** CEL of severity, when, whenever and guards: syntax, type, and that what they read is there. */
export function checkExpressions(view: RunbookView, source: YamlSource): Problem[] {
  const byId = stepsById(view.steps);
  const problems: Problem[] = [];
  const check = (text: unknown, path: Path, wanted: 'bool' | 'string' | 'any', step?: StepView) => {
    if (typeof text === 'string' && text !== '') {
      problems.push(...checkExpression({ text, path, wanted, step, view, byId, source }));
    }
  };
  check(view.severity, ['spec', 'severity'], 'string');
  for (const step of view.steps) {
    check(step.when, [...step.path, 'when'], 'bool', step);
    check(step.whenever, [...step.path, 'whenever'], 'bool', step);
    check(step.approval.preapprovedWhen, [...step.path, 'approval', 'preapprovedWhen'], 'bool', step);
    const definition = stepDefinition(step.uses);
    for (const { path, text, wanted } of definition?.expressions(step.with) ?? []) {
      check(text, [...step.path, 'with', ...path], wanted, step);
    }
  }
  return problems;
}

interface Place {
  text: string;
  path: Path;
  wanted: 'bool' | 'string' | 'any';
  /** Absent: the severity. */
  step: StepView | undefined;
  view: RunbookView;
  byId: ReadonlyMap<string, StepView>;
  source: YamlSource;
}

function checkExpression(place: Place): Problem[] {
  const { text, path, source, wanted } = place;
  const parsed = parseExpression(text);
  const problems = parsed.problems.map((problem) =>
    source.textProblem(problem.rule, path, problem, problem.message),
  );
  for (const reference of parsed.references) problems.push(...checkReference(reference, place));
  if (parsed.type !== undefined && wanted !== 'any' && parsed.type !== wanted && parsed.type !== 'dyn') {
    const message =
      wanted === 'bool'
        ? `this gives a ${parsed.type}: write a comparison, such as metrics.harmRate > 0.05`
        : `this gives a ${parsed.type}, not "SEV1" to "SEV4" as text`;
    problems.push(source.textProblem('cel/type', path, { start: 0, end: text.length }, message));
  }
  if (place.step === undefined) {
    for (const literal of parsed.literals) {
      if (SEVERITIES.some((severity) => severity === literal.value)) continue;
      const message = `${JSON.stringify(literal.value.slice(0, 40))} is no severity${didYouMean(literal.value, SEVERITIES)}`;
      problems.push(source.textProblem('cel/type', path, literal, message));
    }
  }
  return problems;
}

function checkReference(reference: Reference, place: Place): Problem[] {
  const { view, byId, step, source, path } = place;
  if (reference.kind === 'metric' && !view.metrics.has(reference.name)) {
    const message = `there is no metric ${reference.name}${didYouMean(reference.name, [...view.metrics.keys()])}`;
    return [source.textProblem('cel/unknown-metric', path, reference, message)];
  }
  if (reference.kind === 'target' && view.target === undefined) {
    const message = `target.${reference.field} is read, and the runbook has no target: add spec.target`;
    return [source.textProblem('target/missing', path, reference, message)];
  }
  if (reference.kind !== 'step') return [];
  if (step === undefined) {
    const message = 'the severity is judged before steps have ended: read metrics, target or alert.labels';
    return [source.textProblem('cel/not-allowed', path, reference, message)];
  }
  if (!byId.has(reference.id)) {
    const message = `there is no step ${reference.id}${didYouMean(reference.id, [...byId.keys()])}`;
    return [source.textProblem('cel/unknown-step', path, reference, message)];
  }
  if (endedBefore(step, byId).has(reference.id)) return [];
  const message = `${step.id ?? 'this step'} does not need ${reference.id}, which may not have ended: add needs: [${reference.id}]`;
  return [source.textProblem('cel/step-not-needed', path, reference, message)];
}
