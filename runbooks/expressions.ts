import { TypeError as CelTypeError, Environment, EvaluationError, ParseError } from '@marcbachmann/cel-js';
import type { Evaluation } from '../activities/contract.ts';
import type { InputValue } from '../domain/runbook.ts';
import type { Target, TargetFacts } from '../domain/target.ts';
import {
  collectLiterals,
  type ExpressionProblem,
  INCIDENT_FIELDS,
  inspect,
  type ParsedExpression,
  type Reference,
  TARGET_FIELDS,
} from './expression-syntax.ts';

/**
 * Expressions of runbooks: CEL over these names.
 * - `metrics.<name>`: number; unknown when missing, NaN, stale or its query failed;
 * - `steps.<id>.<output>`: output of a step that has ended (numbers are doubles: compare, or add `1.0`);
 * - `inputs.<name>`: what the installation set, or the default;
 * - `incident.<field>`: see INCIDENT_FIELDS;
 * - `now`: time of the measurement;
 * - `target.<field>`: see TARGET_FIELDS; owner and riskTier are "" where the workload names none;
 * - `alert.labels.<name>`: text of the alert, as data.
 */

/** Longest expression: ten times the longest one of the shipped runbooks. */
const MAX_EXPRESSION_LENGTH = 2_000;
/** Parser limits, far above what people write and far below what costs time. */
const LIMITS = {
  maxAstNodes: 500,
  maxDepth: 32,
  maxListElements: 64,
  maxMapEntries: 32,
  maxCallArguments: 8,
};
/** Longest text of an unknown's reason. */
const MAX_REASON_LENGTH = 300;

/** What expressions are evaluated over. A MetricReading of the activities' contract fits `metrics`. */
export interface ExpressionContext {
  metrics: Record<string, { value?: number; reason?: string }>;
  steps: Record<string, Record<string, unknown>>;
  inputs: Record<string, InputValue>;
  incident: { severity: string; round: number; acknowledged: boolean; firing: number };
  nowMs: number;
  target?: Target & Partial<TargetFacts>;
  alert: { labels: Record<string, string> };
}

/** Nothing is known. */
export const EMPTY_CONTEXT: ExpressionContext = {
  metrics: {},
  steps: {},
  inputs: {},
  incident: { severity: '', round: 1, acknowledged: false, firing: 0 },
  nowMs: 0,
  alert: { labels: {} },
};

/** CEL types of what a runbook declares itself, by name. */
export interface ExpressionScope {
  inputs: Readonly<Record<string, string>>;
  /** Outputs of each step. */
  steps: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

function common(): Environment {
  return new Environment({ limits: LIMITS })
    .registerVariable('metrics', 'map<string, double>')
    .registerVariable('now', 'google.protobuf.Timestamp')
    .registerVariable('alert', 'map<string, map<string, string>>');
}

function typed(environment: Environment): Environment {
  return environment
    .registerVariable({ name: 'target', schema: { ...TARGET_FIELDS } })
    .registerVariable({ name: 'incident', schema: { ...INCIDENT_FIELDS } });
}

const untypedChecker = typed(common())
  .registerVariable('inputs', 'map<string, dyn>')
  .registerVariable('steps', 'map<string, map<string, dyn>>');

const evaluator = common()
  .registerVariable('inputs', 'map<string, dyn>')
  .registerVariable('steps', 'map<string, map<string, dyn>>')
  .registerVariable('target', 'map<string, dyn>')
  .registerVariable('incident', 'map<string, dyn>');

const checkers = new WeakMap<ExpressionScope, Environment>();

function checkerFor(scope: ExpressionScope | undefined): Environment {
  if (scope === undefined) return untypedChecker;
  const known = checkers.get(scope);
  if (known !== undefined) return known;
  const outputs = Object.fromEntries(Object.entries(scope.steps).map(([id, types]) => [id, { ...types }]));
  const made = typed(common())
    .registerVariable({ name: 'inputs', schema: { ...scope.inputs } })
    .registerVariable({ name: 'steps', schema: outputs });
  checkers.set(scope, made);
  return made;
}

/**
 * Reads an expression: its mistakes, what it reads, and its type.
 * @param scope what the runbook declares; without it, inputs and outputs may be of any type.
 */
export function parseExpression(text: string, scope?: ExpressionScope): ParsedExpression {
  const result: ParsedExpression = { references: [], problems: [], type: undefined, literals: [] };
  if (text.length > MAX_EXPRESSION_LENGTH) {
    const message = `an expression is at most ${MAX_EXPRESSION_LENGTH} characters long: define a metric for a part of it`;
    result.problems.push({ rule: 'cel/limit', start: 0, end: text.length, message });
    return result;
  }
  try {
    const parsed = checkerFor(scope).parse(text);
    inspect(parsed.ast, result, new Set(), { loops: 0 });
    collectLiterals(parsed.ast, result.literals);
    if (result.problems.length > 0) return result;
    const checked = parsed.check();
    if (checked.valid) result.type = checked.type;
    else if (checked.error) result.problems.push(problemOf(checked.error, text));
  } catch (error) {
    result.problems.push(problemOf(error, text));
  }
  return result;
}

/**
 * Evaluates an expression. Never throws: what cannot be decided is unknown, with the reason. An unknown operand of `||` or
 * `&&` does not matter where the other one decides (CEL's own rule for errors).
 */
export function evaluateExpression(text: string, context: ExpressionContext): Evaluation {
  const parsed = parseExpression(text);
  const [problem] = parsed.problems;
  if (problem !== undefined) return unknown(`the expression is not valid: ${problem.message}`);
  try {
    return known(evaluator.evaluate(text, celContext(context)));
  } catch (error) {
    return unknown(reasonFor(parsed.references, context, error));
  }
}

/** Names of the metrics that expressions read: those to be measured before they are evaluated. */
export function metricsOf(expressions: Iterable<string>): string[] {
  const names = new Set<string>();
  for (const text of expressions) {
    for (const reference of parseExpression(text).references) {
      if (reference.kind === 'metric') names.add(reference.name);
    }
  }
  return [...names];
}

function problemOf(error: unknown, text: string): ExpressionProblem {
  if (error instanceof ParseError || error instanceof CelTypeError || error instanceof EvaluationError) {
    const start = Math.min(error.range?.start ?? 0, text.length);
    const end = Math.max(start + 1, error.range?.end ?? text.length);
    const limit = /limit|exceed/i.test(`${error.code} ${error.summary}`);
    const rule = error instanceof ParseError ? (limit ? 'cel/limit' : 'cel/syntax') : 'cel/type';
    return { rule, start, end, message: `${inWords(error.summary)}${hintFor(text, error.summary)}` };
  }
  return {
    rule: 'cel/syntax',
    start: 0,
    end: text.length,
    message: 'this is no expression that can be read',
  };
}

/** The evaluator's messages, as far as they are no words of people who write runbooks. */
function inWords(summary: string): string {
  if (summary === 'Unexpected token: EOF') return 'the expression ends too early';
  const overload = /^no such overload: (.*)$/i.exec(summary)?.[1];
  if (overload !== undefined) return `${overload} is no operation of CEL`;
  return lowerFirst(summary);
}

/** What people write who do not write CEL every day. */
function hintFor(text: string, summary: string): string {
  const code = text.replace(/"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/g, '""');
  if (/\b(and|or|not)\b/.test(code)) return ': write && for and, || for or, ! for not';
  if (/\d%/.test(code)) return ': write 0.05 for 5%';
  if (/[^=!<>]=[^=]/.test(code)) return ': write == to compare';
  if (/===|!==/.test(code)) return ': write == or !=';
  if (/\$\{\{/.test(code)) return `: an expression stands without \${{ }}`;
  if (/double . int|int . double/.test(summary))
    return ': write whole numbers as 2.0 in arithmetic with metrics';
  return '';
}

/** Maps, never objects: nothing is inherited, whatever a label is called. */
function celContext(context: ExpressionContext): Record<string, unknown> {
  const metrics = new Map<string, number>();
  for (const [name, reading] of Object.entries(context.metrics)) {
    if (isUsable(reading.value)) metrics.set(name, reading.value);
  }
  const target = new Map<string, unknown>();
  // Once the workload was read, what it does not name is known to be absent.
  if (context.target?.exists !== undefined) target.set('owner', '').set('riskTier', '');
  for (const [field, type] of Object.entries(TARGET_FIELDS)) {
    const value = (context.target as Record<string, unknown> | undefined)?.[field];
    if (value !== undefined)
      target.set(field, type === 'int' && typeof value === 'number' ? BigInt(value) : value);
  }
  const steps = new Map(Object.entries(context.steps).map(([id, outputs]) => [id, toMaps(outputs)]));
  return {
    metrics,
    steps,
    target,
    inputs: toMaps(context.inputs),
    incident: toMaps(context.incident),
    now: new Date(context.nowMs),
    alert: new Map([['labels', toMaps(context.alert.labels)]]),
  };
}

function toMaps(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toMaps);
  if (typeof value === 'object' && value !== null) {
    return new Map(Object.entries(value).map(([key, item]) => [key, toMaps(item)]));
  }
  return value;
}

function isUsable(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value);
}

function known(value: unknown): Evaluation {
  if (typeof value === 'boolean' || typeof value === 'string' || value === null)
    return { known: true, value };
  if (typeof value === 'bigint') return { known: true, value: Number(value) };
  if (typeof value === 'number') {
    return Number.isFinite(value) ? { known: true, value } : unknown(`the result is ${value}`);
  }
  return unknown('the result is neither true or false, nor text, nor a number');
}

function unknown(reason: string): Evaluation {
  return { known: false, reason: reason.slice(0, MAX_REASON_LENGTH) };
}

/** Names what was missing rather than what the evaluator stumbled on; holds no text of alerts. */
function reasonFor(references: readonly Reference[], context: ExpressionContext, error: unknown): string {
  const missing = new Set<string>();
  for (const reference of references) {
    if (reference.kind === 'metric' && !isUsable(ownValue(context.metrics, reference.name)?.value)) {
      const reason = ownValue(context.metrics, reference.name)?.reason;
      missing.add(`metrics.${reference.name} is unknown${reason === undefined ? '' : ` (${reason})`}`);
    } else if (reference.kind === 'step' && !Object.hasOwn(context.steps, reference.id)) {
      missing.add(`step ${reference.id} has no outputs yet`);
    } else if (reference.kind === 'label' && !Object.hasOwn(context.alert.labels, reference.name)) {
      missing.add(`the alert has no label ${reference.name}`);
    }
  }
  if (missing.size > 0) return [...missing].join('; ');
  if (error instanceof EvaluationError && error.code === 'no_such_key')
    return 'a field that is read is not there';
  if (error instanceof EvaluationError) return `not to be evaluated: ${error.code}`;
  return 'not to be evaluated';
}

function ownValue<T>(record: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
