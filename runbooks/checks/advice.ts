import { splitTemplate } from '../../domain/template.ts';
import type { Reference } from '../expression-syntax.ts';
import { parseExpression } from '../expressions.ts';
import { inputName } from '../inputs.ts';
import type { Problem } from '../problem.ts';
import { changesProduction } from '../steps/define.ts';
import { stepDefinition } from '../steps/definitions.ts';
import type { YamlSource } from '../yaml-source.ts';
import { expressionsOf } from './expressions.ts';
import { endedBefore, stepsById } from './graph.ts';
import { listOf, nameOf, type RunbookView, type StepView } from './view.ts';

/** Warnings: what works as it is written, and is seldom meant. */
export function checkAdvice(view: RunbookView, source: YamlSource): Problem[] {
  return [
    ...adviseOnRunbook(view, source),
    ...view.steps.flatMap((step) => adviseOnStep(step, view, source)),
    ...adviseOnUse(view, source),
  ];
}

function adviseOnRunbook(view: RunbookView, source: YamlSource): Problem[] {
  // Without steps there is an error already.
  if (view.steps.length === 0) return [];
  const uses = (type: string) => view.steps.some((step) => step.uses === type);
  const problems: Problem[] = [];
  if (!uses('page')) {
    const message = 'nobody is paged: add { id: page, uses: page, with: { roles: [ml-oncall] } }';
    problems.push(source.keyProblem('runbook/nobody-paged', ['spec', 'steps'], message));
  }
  const acting = view.steps.find(isOnlyRecorded);
  if (view.target === undefined && acting !== undefined) {
    const message = `without spec.target the incident stays in observe mode: ${nameOf(acting)} is recorded, never run`;
    problems.push(source.problem('runbook/never-acts', [...acting.path, 'uses'], message));
  }
  if (!uses('postmortem')) {
    const message = 'nothing drafts a postmortem: add { id: postmortem, uses: postmortem, always: true }';
    problems.push(source.keyProblem('runbook/no-postmortem', ['spec', 'steps'], message));
  }
  return problems;
}

/** In observe mode. */
function isOnlyRecorded(step: StepView): boolean {
  const mutates = stepDefinition(step.uses)?.mutates ?? false;
  return typeof mutates === 'function' ? mutates(step.with) : mutates;
}

function adviseOnStep(step: StepView, view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  if (
    step.onFailure === 'continue' &&
    (changesProduction(stepDefinition(step.uses), step.with) || step.uses === 'page')
  ) {
    const message = 'when this fails, nobody is told: leave it out, or write halt';
    problems.push(source.problem('steps/silent-failure', [...step.path, 'onFailure'], message));
  }
  switch (step.uses) {
    case 'page':
      // A policy says itself who is next.
      if (step.with.escalate === undefined && step.with.policy === undefined) {
        const message =
          'when nobody acknowledges, nobody else is paged: add escalate: { after: 5m, to: [commander] }';
        problems.push(source.problem('page/no-escalation', [...step.path, 'uses'], message));
      }
      break;
    case 'rollback': {
      const byId = stepsById(view.steps);
      if (![...endedBefore(step, byId)].some((id) => byId.get(id)?.uses === 'snapshot')) {
        const message = 'what runs now is not kept before it is replaced: let the step need a snapshot step';
        problems.push(source.problem('rollback/snapshot', [...step.path, 'uses'], message));
      }
      if (step.with.to === 'previous') {
        const message = 'the previous revision may be known bad: write to: last-known-good';
        problems.push(source.problem('rollback/previous', [...step.path, 'with', 'to'], message));
      }
      break;
    }
    case 'divert':
      if (step.whenUnknown === 'skip' && (step.when !== undefined || step.whenever !== undefined)) {
        const message = 'a harm rate that cannot be measured is no sign of health: write whenUnknown: run';
        problems.push(source.problem('divert/unknown', [...step.path, 'whenUnknown'], message));
      }
      break;
    case 'verify':
      if (listOf(step.with.guards).length === 0) {
        const message =
          "a model that refuses everything has no harmful outputs: add guards: ['metrics.refusalRate <= 0.05']";
        problems.push(source.problem('verify/guards', [...step.path, 'uses'], message));
      }
      break;
    case 'postmortem':
      if (step.needs.length > 0 && !step.always) {
        const message = 'incidents in which a step failed would have none: add always: true';
        problems.push(source.problem('postmortem/always', [...step.path, 'uses'], message));
      }
      break;
    default:
  }
  return problems;
}

/** Metrics that verification and the watches of a breaker read by their names (judgeRecovery, judgeHarm). */
const COUNTED_BY_VERIFY: readonly string[] = [
  'harmful',
  'classified',
  'requests',
  'errors',
  'errorRate',
  'classifier',
];

/** Metrics and inputs that nothing reads, and ratios that flatter. */
function adviseOnUse(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  const references = referencesOf(view);
  const metrics = new Set<string>();
  for (const reference of references) if (reference.kind === 'metric') metrics.add(reference.name);
  if (view.steps.some((step) => step.uses === 'verify'))
    for (const name of COUNTED_BY_VERIFY) metrics.add(name);
  for (const [name, metric] of view.metrics) {
    const ratio = listOf(metric.ratio);
    for (const part of ratio) if (typeof part === 'string') metrics.add(part);
    if (ratio[0] === 'harmful' && ratio[1] === 'requests') {
      const message =
        'outputs that nobody looked at make this rate look better: divide by classified outputs';
      problems.push(source.problem('metrics/denominator', ['spec', 'metrics', name, 'ratio', 1], message));
    }
  }
  for (const name of view.metrics.keys()) {
    if (metrics.has(name)) continue;
    const message = `nothing reads metrics.${name}: take it out, or read it`;
    problems.push(source.keyProblem('metrics/unused', ['spec', 'metrics', name], message));
  }
  const inputs = inputsRead(view, references);
  for (const name of view.declaredInputs) {
    if (inputs.has(name)) continue;
    const message = `nothing reads inputs.${name}: take it out, or read it`;
    problems.push(source.keyProblem('inputs/unused', ['spec', 'inputs', name], message));
  }
  return problems;
}

/** What the expressions of the runbook read, those inside texts too. */
function referencesOf(view: RunbookView): Reference[] {
  const texts = expressionsOf(view).map(({ text }) => text);
  for (const step of view.steps) {
    for (const { text } of stepDefinition(step.uses)?.templates(step.written) ?? []) {
      for (const part of splitTemplate(text)) if ('expression' in part) texts.push(part.expression);
    }
  }
  return texts.flatMap((text) => parseExpression(text).references);
}

function inputsRead(view: RunbookView, references: readonly Reference[]): Set<string> {
  const read = new Set<string>();
  for (const reference of references) if (reference.kind === 'input') read.add(reference.name);
  const look = (value: unknown): void => {
    if (typeof value === 'string') {
      for (const part of splitTemplate(value)) {
        const name = 'expression' in part ? inputName(part.expression) : undefined;
        if (name !== undefined) read.add(name);
      }
    } else if (typeof value === 'object' && value !== null)
      for (const item of Object.values(value)) look(item);
  };
  for (const step of view.steps) look(step.written);
  return read;
}
