import { SEVERITIES } from '../../domain/severity.ts';
import type { Reference } from '../expression-syntax.ts';
import { type ExpressionScope, parseExpression } from '../expressions.ts';
import type { Path, Problem } from '../problem.ts';
import { stepDefinition } from '../steps/definitions.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import type { CheckExpression, ExpressionPlace } from './expression-place.ts';
import { endedBefore, stepsById } from './graph.ts';
import { checkTemplates } from './templates.ts';
import type { RunbookView, StepView } from './view.ts';

interface Surroundings {
  view: RunbookView;
  byId: ReadonlyMap<string, StepView>;
  scope: ExpressionScope;
  source: YamlSource;
}

/** All CEL of the runbook: syntax, types, and that what it reads is there when it is read. */
export function checkExpressions(view: RunbookView, source: YamlSource): Problem[] {
  const byId = stepsById(view.steps);
  const around: Surroundings = { view, source, byId, scope: scopeOf(view, byId) };
  const check: CheckExpression = (place) => checkExpression(place, around);
  const problems = expressionsOf(view).flatMap(check);
  for (const step of view.steps) problems.push(...checkTemplates(step, view, source, check));
  return problems;
}

/** Every field that is an expression, as it stands in the file. Expressions inside texts: checks/templates.ts. */
export function expressionsOf(view: RunbookView): ExpressionPlace[] {
  const places: ExpressionPlace[] = [];
  const add = (text: unknown, path: Path, wanted: ExpressionPlace['wanted'], step?: StepView) => {
    if (typeof text === 'string' && text !== '') places.push({ text, path, wanted, ...(step && { step }) });
  };
  add(view.severity, ['spec', 'severity'], 'string');
  for (const step of view.steps) {
    add(step.when, [...step.path, 'when'], 'bool', step);
    add(step.whenever, [...step.path, 'whenever'], 'bool', step);
    add(step.approval.preapprovedWhen, [...step.path, 'approval', 'preapprovedWhen'], 'bool', step);
    for (const { path, text, wanted } of stepDefinition(step.uses)?.expressions(step.written) ?? []) {
      add(text, [...step.path, 'with', ...path], wanted, step);
    }
  }
  return places;
}

/** CEL types of what the runbook declares. */
function scopeOf(view: RunbookView, byId: ReadonlyMap<string, StepView>): ExpressionScope {
  const types = { string: 'string', number: 'double', boolean: 'bool' } as const;
  const inputs = Object.entries(view.inputs).map(([name, value]) => [
    name,
    types[typeof value as keyof typeof types],
  ]);
  const steps = [...byId].map(([id, step]) => [id, outputsOf(step) ?? {}]);
  return { inputs: Object.fromEntries(inputs), steps: Object.fromEntries(steps) };
}

/** Outputs of a step by its type; undefined where there is no such type. */
function outputsOf(step: StepView): Readonly<Record<string, string>> | undefined {
  const outputs = stepDefinition(step.uses)?.outputs;
  return typeof outputs === 'function' ? outputs(step.with) : outputs;
}

function checkExpression(place: ExpressionPlace, around: Surroundings): Problem[] {
  const { text, path, wanted, offset = 0 } = place;
  const { source, scope } = around;
  const told = (
    rule: Parameters<YamlSource['textProblem']>[0],
    at: { start: number; end: number },
    message: string,
  ) => source.textProblem(rule, path, { start: at.start + offset, end: at.end + offset }, message);

  const untyped = parseExpression(text);
  const missing = untyped.references.flatMap((reference) =>
    missingOf(reference, place, around).map(({ rule, message }) => told(rule, reference, message)),
  );
  // What is missing is told by its name; the types of the rest are looked at as far as they are known.
  const known = missing.length === 0 && untyped.references.every((reference) => isTyped(reference, around));
  const parsed = known ? parseExpression(text, scope) : untyped;
  const problems = [
    ...parsed.problems.map((problem) => told(problem.rule, problem, problem.message)),
    ...missing,
  ];
  const { type } = parsed;
  if (type === undefined) return problems;
  if (wanted !== 'any' && type !== wanted && type !== 'dyn') {
    const message =
      wanted === 'bool'
        ? `this gives a ${type}: write a comparison, such as metrics.harmRate > 0.05`
        : `this gives a ${type}, not "SEV1" to "SEV4" as text`;
    problems.push(told('cel/type', { start: 0, end: text.length }, message));
  }
  if (wanted === 'any' && !isReadable(type)) {
    const message = `this gives a ${type}: read one value of it, which is text, a number, true or false`;
    problems.push(told('cel/type', { start: 0, end: text.length }, message));
  }
  if (place.step === undefined) {
    for (const literal of parsed.literals) {
      if (SEVERITIES.some((severity) => severity === literal.value)) continue;
      const message = `${JSON.stringify(literal.value.slice(0, 40))} is no severity${didYouMean(literal.value, SEVERITIES)}`;
      problems.push(told('cel/type', literal, message));
    }
  }
  return problems;
}

/** Lists and maps are no values of texts, and unknown when evaluated. */
function isReadable(type: string): boolean {
  return ['dyn', 'string', 'double', 'int', 'uint', 'bool', 'null'].includes(type);
}

/** Whether its type is known: a step of an unknown type may have any outputs, an input without a value any type. */
function isTyped(reference: Reference, { view, byId }: Surroundings): boolean {
  if (reference.kind === 'input') return Object.hasOwn(view.inputs, reference.name);
  const step = reference.kind === 'step' ? byId.get(reference.id) : undefined;
  return step === undefined || outputsOf(step) !== undefined;
}

type Missing = { rule: Parameters<YamlSource['textProblem']>[0]; message: string };

/** Why what an expression reads is not there; empty where it is. */
function missingOf(reference: Reference, place: ExpressionPlace, around: Surroundings): Missing[] {
  const { view } = around;
  if (reference.kind === 'metric' && !view.metrics.has(reference.name)) {
    const message = `there is no metric ${reference.name}${didYouMean(reference.name, [...view.metrics.keys()])}`;
    return [{ rule: 'cel/unknown-metric', message }];
  }
  if (reference.kind === 'input' && !view.declaredInputs.includes(reference.name)) {
    const message = `there is no input ${reference.name}${didYouMean(reference.name, view.declaredInputs)}`;
    return [{ rule: 'cel/unknown-input', message }];
  }
  if (reference.kind === 'target' && view.target === undefined) {
    const message = `target.${reference.field} is read, and the runbook has no target: add spec.target`;
    return [{ rule: 'target/missing', message }];
  }
  if (reference.kind === 'incident' && reference.field === 'severity' && place.step === undefined) {
    const message = 'the severity is what is judged here: read metrics, target, inputs or alert.labels';
    return [{ rule: 'cel/not-allowed', message }];
  }
  return reference.kind === 'step' ? missingStep(reference, place.step, around) : [];
}

function missingStep(
  reference: Reference & { kind: 'step' },
  reader: StepView | undefined,
  { byId }: Surroundings,
): Missing[] {
  const { id, output } = reference;
  if (reader === undefined) {
    const message = 'the severity is judged before steps have ended: read metrics, target or alert.labels';
    return [{ rule: 'cel/not-allowed', message }];
  }
  const step = byId.get(id);
  if (step === undefined) {
    const others = [...byId.keys()].filter((other) => other !== reader.id);
    return [{ rule: 'cel/unknown-step', message: `there is no step ${id}${didYouMean(id, others)}` }];
  }
  const found: Missing[] = [];
  const outputs = outputsOf(step);
  if (outputs !== undefined && output !== undefined && !Object.hasOwn(outputs, output)) {
    const names = Object.keys(outputs);
    const hint = names.length === 0 ? ': it has no outputs' : didYouMean(output, names);
    found.push({ rule: 'cel/unknown-output', message: `a ${step.uses} step has no output ${output}${hint}` });
  }
  if (endedBefore(reader, byId).has(id)) return found;
  const message =
    reader === step
      ? 'a step reads no outputs of its own: they are there when it has ended'
      : `${reader.id ?? 'this step'} does not need ${id}, which may not have ended: add needs: [${id}]`;
  return [...found, { rule: 'cel/step-not-needed', message }];
}
