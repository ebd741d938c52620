import { z } from 'zod';
import { splitTemplate } from '../domain/template.ts';
import { inputName, readsInput } from './inputs.ts';
import type { Path, Problem } from './problem.ts';
import { METRIC_VARIANTS } from './schema.ts';
import { DURATION_EXAMPLES } from './steps/fields.ts';
import { didYouMean } from './suggest.ts';
import type { YamlSource } from './yaml-source.ts';

type Schema = z.core.$ZodType;

/** How values came into a part of the file that reads inputs. */
export interface InputTexts {
  /** The part as it stands in the file. */
  written: unknown;
  /** Whether the input has a value: where it has none, that is told, and not what it did to the field. */
  known(name: string): boolean;
}

/**
 * Parses a part of the file by a schema and tells every mistake with its place.
 * @param texts where values of inputs were put into the part: a scalar that came of one is judged by `inputs/wrong-value`.
 * @returns the parsed value, or undefined and at least one problem, unless all are told elsewhere (unknown inputs).
 */
export function parsePart<S extends Schema>(
  source: YamlSource,
  schema: S,
  value: unknown,
  path: Path,
  texts?: InputTexts,
): { value: z.output<S> | undefined; problems: Problem[] } {
  const result = z.safeParse(schema, value);
  if (result.success) return { value: result.data, problems: [] };
  const metrics = new Set<string>();
  // What has the wrong type has the wrong length too.
  const mistyped = result.error.issues.filter(({ code }) => code === 'invalid_type');
  const problems = result.error.issues.flatMap((issue) => {
    if (mistyped.some((other) => other !== issue && String(other.path) === String(issue.path))) return [];
    const metric = path.length === 0 ? metricOf(issue.path) : undefined;
    if (metric === undefined || issue.code === 'invalid_key') {
      const text = textOf(issue, texts);
      if (text === undefined) return translate(source, schema, value, path, issue);
      if (!inputsOf(text).every((name) => texts?.known(name))) return [];
      return translate(source, schema, value, path, issue).map((problem) => ({
        ...problem,
        rule: 'inputs/wrong-value',
        message: `${problem.message} (after inputs were put in)`,
      }));
    }
    if (metrics.has(metric)) return [];
    metrics.add(metric);
    const metricPath = ['spec', 'metrics', metric];
    return metricProblems(source, valueAt(value, metricPath), metricPath);
  });
  return { value: undefined, problems };
}

/** The text that reads an input where an issue is about what came of it; lists and maps never come of an input. */
function textOf(issue: z.core.$ZodIssue, texts: InputTexts | undefined): string | undefined {
  if (texts === undefined) return undefined;
  if (issue.code === 'invalid_type' && !['string', 'number', 'int', 'boolean'].includes(issue.expected)) {
    return undefined;
  }
  const text = valueAt(
    texts.written,
    issue.path.filter((part) => typeof part !== 'symbol'),
  );
  return readsInput(text) ? text : undefined;
}

function inputsOf(text: string): string[] {
  return splitTemplate(text).flatMap((part) => {
    const name = 'expression' in part ? inputName(part.expression) : undefined;
    return name === undefined ? [] : [name];
  });
}

function translate(
  source: YamlSource,
  schema: Schema,
  root: unknown,
  base: Path,
  issue: z.core.$ZodIssue,
): Problem[] {
  const inner = issue.path.filter((part) => typeof part !== 'symbol');
  const path = [...base, ...inner];
  const value = valueAt(root, inner);
  const field = schemaAt(schema, inner);
  const help = descriptionOf(field);
  const hint = help === undefined ? '' : `. ${help}`;
  const last = path.at(-1) ?? 'the file';
  const name = typeof last === 'number' ? `entry ${last + 1} of ${String(path.at(-2))}` : last;

  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(field);
    return issue.keys.map((key) =>
      source.keyProblem(
        'schema/unknown-field',
        [...path, key],
        `unknown field ${key}${didYouMean(key, known)}`,
      ),
    );
  }
  if (value === undefined && issue.code !== 'custom') {
    return [source.problem('schema/missing-field', path, `${name} is missing${hint}`)];
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? 'not a name that can be used here';
    return [source.keyProblem('schema/wrong-value', path, `${name}: ${reason}`)];
  }
  if (issue.code === 'invalid_type') {
    const wanted =
      issue.expected === 'record' || issue.expected === 'object' ? 'a map' : article(issue.expected);
    return [
      source.problem(
        'schema/wrong-type',
        path,
        `${name} takes ${wanted}, not ${kindOf(value)}${writeHint(issue.expected, value, field)}${hint}`,
      ),
    ];
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const written = typeof value === 'string' ? didYouMean(value, values) : `; there is ${values.join(', ')}`;
    return [source.problem('schema/wrong-value', path, `${name} does not take this value${written}`)];
  }
  // Limits that JSON Schema cannot say are rules of their own.
  const rule = issue.code === 'custom' ? issue.params?.rule : undefined;
  const message = `${name}: ${limitOf(issue) ?? issue.message}${templateHint(value, base)}`;
  return [source.problem(typeof rule === 'string' ? { own: rule } : 'schema/wrong-value', path, message)];
}

/** Only `with` takes inputs as texts, and few of its fields take other expressions. */
function templateHint(value: unknown, base: Path): string {
  if (typeof value !== 'string' || !value.includes('${{')) return '';
  return base.includes('with')
    ? `; only \${{ inputs.name }} is put in here`
    : `; \${{ }} is filled in under with only`;
}

/** Problems of a metric are told by the variant that its fields say is meant, not by all three. */
function metricProblems(source: YamlSource, value: unknown, path: Path): Problem[] {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const meant = (Object.keys(METRIC_VARIANTS) as (keyof typeof METRIC_VARIANTS)[]).filter((kind) =>
    keys.includes(kind),
  );
  const [kind] = meant;
  if (kind === undefined || meant.length > 1) {
    const message = 'a metric has exactly one of counter (with labels), ratio, promql (with bind)';
    return [source.keyProblem('schema/wrong-value', path, `${String(path.at(-1))}: ${message}`)];
  }
  return parsePart(source, METRIC_VARIANTS[kind], value, path).problems;
}

/** The metric that a path of the file is in. */
function metricOf(path: readonly PropertyKey[]): string | undefined {
  return path[0] === 'spec' && path[1] === 'metrics' && typeof path[2] === 'string' ? path[2] : undefined;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

/** Takes the wrappers off a schema: optional, default, transform. */
function unwrap(schema: Schema | undefined): Schema | undefined {
  let current = schema;
  while (current !== undefined) {
    const def = current._zod.def as { innerType?: Schema; in?: Schema };
    const next = def.innerType ?? def.in;
    if (next === undefined) return current;
    current = next;
  }
  return undefined;
}

function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let current: Schema | undefined = schema;
  for (const part of path) {
    const def = unwrap(current)?._zod.def as
      | { shape?: Record<string, Schema>; element?: Schema; valueType?: Schema; items?: Schema[] }
      | undefined;
    if (def === undefined) return undefined;
    if (typeof part === 'number') current = def.element ?? def.items?.[part];
    else current = def.shape && Object.hasOwn(def.shape, part) ? def.shape[part] : def.valueType;
  }
  return current;
}

function keysOf(schema: Schema | undefined): string[] {
  const def = unwrap(schema)?._zod.def as { shape?: Record<string, Schema> } | undefined;
  return Object.keys(def?.shape ?? {});
}

/** The description of a field, wherever in its wrappers it was given. */
function descriptionOf(schema: Schema | undefined): string | undefined {
  let current = schema;
  while (current !== undefined) {
    const description = z.globalRegistry.get(current)?.description;
    if (description !== undefined) return description;
    const def = current._zod.def as { innerType?: Schema; in?: Schema };
    current = def.innerType ?? def.in;
  }
  return undefined;
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return String(value).slice(0, 40);
}

function article(expected: string): string {
  if (expected === 'array' || expected === 'tuple') return 'a list';
  if (expected === 'string') return 'text';
  if (expected === 'boolean') return 'true or false';
  if (expected === 'int') return 'a whole number';
  return `a ${expected}`;
}

/** Limits in words, where the schema has none of its own. */
function limitOf(issue: z.core.$ZodIssue): string | undefined {
  if (issue.code === 'too_small' && issue.message.startsWith('Too small')) {
    return `at least ${issue.minimum}${unitOf(issue.origin, issue.minimum)}`;
  }
  if (issue.code === 'too_big' && issue.message.startsWith('Too big')) {
    return `at most ${issue.maximum}${unitOf(issue.origin, issue.maximum)}`;
  }
  return undefined;
}

function unitOf(origin: string, count: number | bigint): string {
  if (origin === 'array') return count === 1 ? ' entry' : ' entries';
  if (origin !== 'string') return '';
  return count === 1 ? ' character' : ' characters';
}

function writeHint(expected: string, value: unknown, field: Schema | undefined): string {
  if (expected !== 'string' || (typeof value !== 'number' && typeof value !== 'boolean')) return '';
  if (typeof value === 'number' && isDuration(field)) return `: write ${value}s or ${value}m`;
  return `: write "${String(value)}" in quotes`;
}

function isDuration(schema: Schema | undefined): boolean {
  let current = schema;
  while (current !== undefined) {
    if (z.globalRegistry.get(current)?.examples === DURATION_EXAMPLES) return true;
    const def = current._zod.def as { innerType?: Schema; in?: Schema };
    current = def.innerType ?? def.in;
  }
  return false;
}
