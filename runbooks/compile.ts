import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../domain/canonical-json.ts';
import { formatDuration } from '../domain/duration.ts';
import { parseMatcher } from '../domain/matcher.ts';
import type { CompiledRunbook, InputValue, Matcher, MetricSpec, StepPlan } from '../domain/runbook.ts';
import { checkExpressions } from './checks/expressions.ts';
import { checkMatch } from './checks/match.ts';
import { boundExpression, checkMetrics } from './checks/metrics.ts';
import { checkSafety } from './checks/safety.ts';
import { checkSteps } from './checks/steps.ts';
import { checkTarget } from './checks/target.ts';
import { type Check, viewOf } from './checks/view.ts';
import type { Problem } from './rules.ts';
import { API_VERSION, type metricSchema, runbookSchema, type stepSchema } from './schema.ts';
import { parsePart } from './schema-problems.ts';
import { TIMEOUT_ROOM_MS } from './steps/define.ts';
import { stepDefinition } from './steps/definitions.ts';
import { YamlSource } from './yaml-source.ts';

export type CompileResult = { ok: true; runbook: CompiledRunbook } | { ok: false; problems: Problem[] };

export interface CompileOptions {
  /** Values that the installation sets, by runbook and input; defaults stand where it sets none. */
  inputs?: Readonly<Record<string, Readonly<Record<string, InputValue>>>>;
}

const CHECKS: readonly Check[] = [
  checkMatch,
  checkTarget,
  checkMetrics,
  checkSteps,
  checkSafety,
  checkExpressions,
];

/**
 * Compiles the text of a runbook to its plan, or tells every mistake in it at once, in the order of the file.
 * @param file how messages name it; nothing is read from disk.
 */
export function compileRunbook(file: string, text: string, options: CompileOptions = {}): CompileResult {
  const source = new YamlSource(file, text);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };

  const shape = parsePart(source, runbookSchema, source.value, []);
  const view = viewOf(source.value, options.inputs);
  const inputs = view.steps.map((step) => {
    const definition = stepDefinition(step.uses);
    if (definition === undefined) return { value: {}, problems: [] };
    return parsePart(source, definition.input, step.with, [...step.path, 'with']);
  });
  const problems = [
    ...shape.problems,
    ...inputs.flatMap((input) => input.problems),
    ...CHECKS.flatMap((check) => check(view, source)),
  ];
  if (shape.value === undefined || problems.length > 0) return { ok: false, problems: inOrder(problems) };

  const { metadata, spec } = shape.value;
  const steps = spec.steps.map((step, index) => planOf(step, inputs[index]?.value ?? {}, index, source));
  const tooShort = steps.flatMap((step) => step.problems);
  if (tooShort.length > 0) return { ok: false, problems: tooShort };
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
    steps: steps.map(({ plan }) => plan),
  };
  return { ok: true, runbook: sealRunbook(runbook) };
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

function planOf(
  step: z.output<typeof stepSchema>,
  input: Record<string, unknown>,
  index: number,
  source: YamlSource,
): { plan: StepPlan; problems: Problem[] } {
  const definition = stepDefinition(step.uses);
  if (definition === undefined) throw new Error(`step type ${step.uses} was not told to be unknown`);
  const innerWaitMs = definition.innerWaitMs?.(input) ?? 0;
  const problems: Problem[] = [];
  if (step.timeout !== undefined && step.timeout < innerWaitMs) {
    const message = `the step ends before the wait inside it (${formatDuration(innerWaitMs)}): make it longer, or leave it out`;
    problems.push(source.problem('steps/timeout', ['spec', 'steps', index, 'timeout'], message));
  }
  const plan: StepPlan = {
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
  return { plan, problems };
}

function inOrder(problems: Problem[]): Problem[] {
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}
