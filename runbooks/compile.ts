import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../domain/canonical-json.ts';
import { parseDurationMs, writeDuration } from '../domain/duration.ts';
import { parseMatcher } from '../domain/matcher.ts';
import type { CompiledRunbook, InputValue, Matcher, MetricSpec, StepPlan } from '../domain/runbook.ts';
import { checkAdvice } from './checks/advice.ts';
import { checkExpressions } from './checks/expressions.ts';
import { withoutIgnored } from './checks/ignored.ts';
import { checkInputs } from './checks/inputs.ts';
import { checkInstallation } from './checks/installation.ts';
import { checkMatch } from './checks/match.ts';
import { boundExpression, checkMetrics } from './checks/metrics.ts';
import { checkSafety } from './checks/safety.ts';
import { checkSteps } from './checks/steps.ts';
import { checkTarget } from './checks/target.ts';
import { type RunbookView, recordOf, type StepView, viewOf } from './checks/view.ts';
import type { Installation } from './installation.ts';
import { hasErrors, type Problem } from './problem.ts';
import { API_VERSION, type metricSchema, runbookSchema, type stepSchema } from './schema.ts';
import { parsePart } from './schema-problems.ts';
import { TIMEOUT_ROOM_MS } from './steps/define.ts';
import { stepDefinition } from './steps/definitions.ts';
import { YamlSource } from './yaml-source.ts';

const SCENARIO_KIND = 'Scenario';

/** Problems of a runbook that is right are warnings. */
export type CompileResult =
  | { ok: true; runbook: CompiledRunbook; problems: Problem[] }
  | { ok: false; problems: Problem[] };

export interface CompileOptions {
  /** Values that the installation sets, by runbook and input; defaults stand where it sets none. */
  inputs?: Readonly<Record<string, Readonly<Record<string, InputValue>>>> | undefined;
  /** Names of the installation's configuration; without it, they are not checked. */
  installation?: Installation | undefined;
  /**
   * A shipped runbook names roles and sources that an installation may not have: that is a warning then (rules `config/*`),
   * so that Firebreak starts with any configuration. Its steps fail, and tell people, where the name is missing.
   */
  shipped?: boolean | undefined;
}

type Check = (view: RunbookView, source: YamlSource) => Problem[];

const CHECKS: readonly Check[] = [
  checkMatch,
  checkTarget,
  checkInputs,
  checkMetrics,
  checkSteps,
  checkSafety,
  checkExpressions,
  checkInstallation,
];

/**
 * Compiles the text of a runbook to its plan, or tells every mistake in it at once, in the order of the file.
 * @param file how messages name it; nothing is read from disk.
 */
export function compileRunbook(file: string, text: string, options: CompileOptions = {}): CompileResult {
  const source = new YamlSource(file, text);
  if (!source.readable) return { ok: false, problems: source.problems };
  if (isScenario(source.value)) {
    const message = 'this is a scenario, not a runbook: try firebreak runbook test';
    return { ok: false, problems: [source.problem('file/scenario', ['kind'], message)] };
  }

  const shape = parsePart(source, runbookSchema, source.value, []);
  const view = viewOf(source.value, options);
  const inputs = view.steps.map((step) => parseInput(step, view, source));
  const tooShort = view.steps.flatMap((step, index) => checkTimeout(step, inputs[index]?.value, source));
  const found = withoutEchoes([
    ...shape.problems,
    ...inputs.flatMap((input) => input.problems),
    ...tooShort,
    ...CHECKS.flatMap((check) => check(view, source)),
  ]).filter((problem) => !source.isTold(problem));
  found.push(...source.problems);
  const advice = checkAdvice(view, source).filter((one) => isSure(one, found));
  found.push(...advice);
  const weighed = options.shipped
    ? found.map((one) => (one.rule.startsWith('config/') ? { ...one, severity: 'warning' as const } : one))
    : found;
  const problems = inOrder(withoutIgnored(weighed, view, source));
  if (shape.value === undefined || hasErrors(problems)) return { ok: false, problems };

  const { metadata, spec } = shape.value;
  const runbook: Omit<CompiledRunbook, 'hash'> = {
    apiVersion: API_VERSION,
    name: metadata.name,
    owner: metadata.owner,
    version: metadata.version,
    match: spec.match.flatMap(matcherOf),
    correlateBy: spec.correlateBy,
    ...(spec.target === undefined
      ? {}
      : { target: { ...spec.target, cluster: spec.target.cluster ?? defaultCluster(spec.correlateBy) } }),
    inputs: view.inputs,
    gitops: spec.gitops,
    metrics: Object.fromEntries(
      Object.entries(spec.metrics).map(([name, metric]) => [name, metricOf(metric)]),
    ),
    severity: spec.severity,
    resolveAfterMs: spec.resolveAfter,
    quietForMs: spec.quietFor,
    watchEveryMs: spec.watchEvery,
    steps: spec.steps.map((step, index) => planOf(step, inputs[index]?.value ?? {})),
  };
  return { ok: true, runbook: sealRunbook(runbook), problems };
}

/** Whether a file holds a scenario of the simulation, which stands beside the runbooks that it tries. */
export function isScenario(value: unknown): boolean {
  return recordOf(value).kind === SCENARIO_KIND;
}

/** Adds the content hash: SHA-256 (hex) over the canonical JSON of everything else. */
export function sealRunbook(runbook: Omit<CompiledRunbook, 'hash'> & { hash?: string }): CompiledRunbook {
  const { hash: _former, ...content } = runbook;
  return { ...content, hash: createHash('sha256').update(canonicalJson(content)).digest('hex') };
}

function matcherOf(text: string): Matcher[] {
  const parsed = parseMatcher(text);
  return parsed.ok ? [parsed.matcher] : [];
}

/** Empty: the only configured cluster (match.ts, resolveTarget). */
function defaultCluster(correlateBy: readonly string[]): string {
  return correlateBy.includes('cluster') ? `\${{ labels.cluster }}` : '';
}

function metricOf(metric: z.output<typeof metricSchema>): MetricSpec {
  if ('counter' in metric) {
    return {
      type: 'counter',
      counter: metric.counter,
      labels: boundAll(metric.labels),
      windowMs: metric.window,
    };
  }
  if ('ratio' in metric) return { type: 'ratio', of: metric.ratio, windowMs: metric.window };
  return { type: 'promql', promql: metric.promql, bind: boundAll(metric.bind) };
}

function boundAll(bound: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(bound).map(([name, value]) => [name, boundExpression(value) ?? value]),
  );
}

/** Advice on a step with errors, or on the whole runbook as long as there are any, could be wrong. */
function isSure(advice: Problem, found: readonly Problem[]): boolean {
  const errors = found.filter(({ severity }) => severity === 'error');
  return (
    errors.length === 0 || (advice.step !== undefined && errors.every(({ step }) => step !== advice.step))
  );
}

/** What the schema of a field has refused is not told again for the expression in it. */
function withoutEchoes(problems: readonly Problem[]): Problem[] {
  const refused = new Set(problems.filter(({ rule }) => rule.startsWith('schema/')).map(({ path }) => path));
  return problems.filter(({ rule, path }) => rule !== 'template/not-here' || !refused.has(path));
}

/** The input of a step by its type's schema; a `with` that is no map was told by the runbook's schema. */
function parseInput(
  step: StepView,
  view: RunbookView,
  source: YamlSource,
): { value: Record<string, unknown> | undefined; problems: Problem[] } {
  const definition = stepDefinition(step.uses);
  if (definition === undefined || !step.withIsMap) return { value: undefined, problems: [] };
  return parsePart(source, definition.input, step.with, [...step.path, 'with'], {
    written: step.written,
    known: (name) => Object.hasOwn(view.inputs, name),
  });
}

function checkTimeout(
  step: StepView,
  input: Record<string, unknown> | undefined,
  source: YamlSource,
): Problem[] {
  const definition = stepDefinition(step.uses);
  const timeoutMs = typeof step.timeout === 'string' ? parseDurationMs(step.timeout) : undefined;
  if (input === undefined || timeoutMs === undefined) return [];
  const innerWaitMs = definition?.innerWaitMs?.(input) ?? 0;
  if (timeoutMs >= innerWaitMs) return [];
  const message = `the step ends before the wait inside it (${writeDuration(innerWaitMs)}): make it longer, or leave it out`;
  return [source.problem('steps/timeout', [...step.path, 'timeout'], message)];
}

function planOf(step: z.output<typeof stepSchema>, input: Record<string, unknown>): StepPlan {
  const definition = stepDefinition(step.uses);
  if (definition === undefined) throw new Error(`step type ${step.uses} was not told to be unknown`);
  const innerWaitMs = definition.innerWaitMs?.(input) ?? 0;
  return {
    id: step.id,
    uses: step.uses,
    mutates: typeof definition.mutates === 'function' ? definition.mutates(input) : definition.mutates,
    needs: step.needs,
    always: step.always,
    ...(step.when === undefined ? {} : { when: step.when }),
    ...(step.whenever === undefined ? {} : { whenever: step.whenever }),
    whenUnknown: step.whenUnknown ?? definition.whenUnknownDefault,
    timeoutMs:
      step.timeout ??
      Math.max(definition.defaultTimeoutMs, innerWaitMs + (innerWaitMs > 0 ? TIMEOUT_ROOM_MS : 0)),
    ...(step.retry === undefined ? {} : { retry: step.retry }),
    onFailure: step.onFailure,
    ...(step.approval === undefined
      ? {}
      : {
          approval: {
            from: step.approval.from,
            count: step.approval.count,
            timeoutMs: step.approval.timeout,
            onTimeout: step.approval.onTimeout,
            ...(step.approval.preapprovedWhen === undefined
              ? {}
              : { preapprovedWhen: step.approval.preapprovedWhen }),
            ...(step.approval.breakGlass ? { breakGlass: true } : {}),
          },
        }),
    with: input,
  };
}

function inOrder(problems: Problem[]): Problem[] {
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}
