import type { Path, Problem } from '../problem.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { listOf, type RunbookView, recordOf } from './view.ts';

const BOUND_FIELDS = ['target.cluster', 'target.namespace', 'target.name'];

/** Ratios, bound labels and placeholders. */
export function checkMetrics(view: RunbookView, source: YamlSource): Problem[] {
  const problems: Problem[] = [];
  const counters = [...view.metrics]
    .filter(([, metric]) => metric.counter !== undefined)
    .map(([name]) => name);
  for (const [name, metric] of view.metrics) {
    const path: Path = ['spec', 'metrics', name];
    for (const [index, part] of listOf(metric.ratio).entries()) {
      if (typeof part !== 'string' || counters.includes(part)) continue;
      const what = view.metrics.has(part) ? `${part} is no counter metric` : `there is no metric ${part}`;
      const message = `${what}${didYouMean(part, counters)}`;
      problems.push(source.problem('metrics/unknown', [...path, 'ratio', index], message));
    }
    const bound = metric.counter !== undefined ? 'labels' : 'bind';
    for (const [label, value] of Object.entries(recordOf(metric[bound]))) {
      if (typeof value === 'string')
        problems.push(...checkBound(value, [...path, bound, label], view, source));
    }
    if (typeof metric.promql === 'string') {
      problems.push(...checkPlaceholders(metric.promql, recordOf(metric.bind), path, source));
    }
  }
  return problems;
}

/**
 * What a label or placeholder is bound to, in the form of the compiled plan: `target.name`, or a literal as JSON text.
 * @returns undefined where it is neither.
 */
export function boundExpression(value: string): string | undefined {
  const text = value.trim();
  if (BOUND_FIELDS.includes(text)) return text;
  const literal = /^"([^"\\]*)"$|^'([^'\\]*)'$/.exec(text);
  return literal ? JSON.stringify(literal[1] ?? literal[2] ?? '') : undefined;
}

function checkBound(value: string, path: Path, view: RunbookView, source: YamlSource): Problem[] {
  const expression = boundExpression(value);
  if (expression === undefined) {
    const message = `${String(path.at(-1))} is bound to target.cluster, target.namespace, target.name or a literal in quotes within the text: '"value"'`;
    return [source.problem('metrics/label', path, message)];
  }
  if (view.target === undefined && BOUND_FIELDS.includes(expression)) {
    return [
      source.problem(
        'target/missing',
        path,
        `${expression} is read, and the runbook has no target: add spec.target`,
      ),
    ];
  }
  return [];
}

function checkPlaceholders(
  promql: string,
  bind: Record<string, unknown>,
  path: Path,
  source: YamlSource,
): Problem[] {
  const problems: Problem[] = [];
  const used = new Set<string>();
  const promqlPath = [...path, 'promql'];
  for (const { name, start, end, quoted } of placeholdersOf(promql)) {
    used.add(name);
    if (quoted) {
      const message = `$${name} stands inside quotes: write it without, the value is put in as a quoted literal`;
      problems.push(source.textProblem('metrics/bind', promqlPath, { start, end }, message));
    } else if (!Object.hasOwn(bind, name)) {
      const message = `$${name} is bound to nothing: add bind: { ${name}: target.name }`;
      problems.push(source.textProblem('metrics/bind', promqlPath, { start, end }, message));
    }
  }
  for (const name of Object.keys(bind)) {
    if (used.has(name)) continue;
    problems.push(
      source.keyProblem(
        'metrics/bind',
        [...path, 'bind', name],
        `$${name} is not in the promql text: take it out`,
      ),
    );
  }
  return problems;
}

/** `$name` in a PromQL text, and whether it stands inside a string (PromQL quotes: ", ', and ` without escapes). */
function placeholdersOf(promql: string): { name: string; start: number; end: number; quoted: boolean }[] {
  const found = [];
  let quote = '';
  for (let at = 0; at < promql.length; at += 1) {
    const character = promql[at] ?? '';
    if (quote === '' && character === '#') {
      const newline = promql.indexOf('\n', at);
      if (newline === -1) break;
      at = newline;
    } else if (quote !== '' && quote !== '`' && character === '\\') at += 1;
    else if (quote === '' && '"\'`'.includes(character)) quote = character;
    else if (character === quote) quote = '';
    else if (character === '$') {
      const name = /^[a-zA-Z_][a-zA-Z0-9_]*/.exec(promql.slice(at + 1))?.[0] ?? '';
      // In a regular expression `$` alone is the end of the text.
      if (name !== '' || quote === '') {
        found.push({ name, start: at, end: at + 1 + name.length, quoted: quote !== '' });
      }
    }
  }
  return found;
}
