import type { ApplicationFailure } from '@temporalio/common';
import { fail } from '../failure.ts';

/**
 * Building PromQL. Values come from alerts and clusters: they only ever become escaped string literals, and names must
 * look like names. Nothing is spliced. https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
 */

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const PLACEHOLDER = /^[a-zA-Z_][a-zA-Z0-9_]*/;

/** A query that cannot be built, from this runbook or at all. The message holds no value. */
function unusable(message: string): ApplicationFailure {
  return fail('InvalidInput', message);
}

/** A double-quoted string literal that means exactly this text. */
export function stringLiteral(text: string): string {
  const escaped = text.replace(/["\\\u0000-\u001f\u007f]/g, (character) =>
    character === '"' || character === '\\'
      ? `\\${character}`
      : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  // A lone surrogate has no UTF-8 form and would be sent as something else.
  return `"${escaped.toWellFormed()}"`;
}

/** A regular expression (RE2) that matches exactly this text. */
export function regexLiteral(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$-]/g, '\\$&');
}

export interface RegexMatcher {
  label: string;
  pattern: string;
}

/** `counter{label="value",...,other=~"pattern"}`. @throws InvalidInput for a name that is none. */
export function selector(
  counter: string,
  labels: Record<string, string>,
  regexes: readonly RegexMatcher[] = [],
): string {
  if (!METRIC_NAME.test(counter)) throw unusable('a metric has a name that Prometheus does not allow');
  const matchers = [
    ...Object.entries(labels).map(([label, value]) => `${labelName(label)}=${stringLiteral(value)}`),
    ...regexes.map(({ label, pattern }) => `${labelName(label)}=~${stringLiteral(pattern)}`),
  ];
  return `${counter}{${matchers.join(',')}}`;
}

function labelName(label: string): string {
  if (!LABEL_NAME.test(label)) throw unusable('a label has a name that Prometheus does not allow');
  return label;
}

/** A duration as PromQL writes it: whole milliseconds, never zero. */
export function promDuration(durationMs: number): string {
  return `${Math.max(1, Math.ceil(durationMs))}ms`;
}

/**
 * Puts string literals in place of `$name`. A `$` within quotes is text (the end of a regular expression, say), and
 * comments are left out of the question.
 * @throws InvalidInput for a placeholder that is bound to nothing.
 */
export function bindPlaceholders(promql: string, values: Record<string, string>): string {
  let bound = '';
  let quote = '';
  for (let at = 0; at < promql.length; at += 1) {
    const character = promql[at] ?? '';
    if (quote === '' && character === '#') {
      const end = promql.indexOf('\n', at);
      if (end === -1) break;
      at = end;
      bound += '\n';
      continue;
    }
    if (quote !== '' && quote !== '`' && character === '\\') {
      bound += character + (promql[at + 1] ?? '');
      at += 1;
      continue;
    }
    if (quote === '' && character === '$') {
      const name = PLACEHOLDER.exec(promql.slice(at + 1))?.[0];
      const value = name !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
      if (name === undefined || value === undefined)
        throw unusable('a placeholder of the query is bound to nothing');
      bound += stringLiteral(value);
      at += name.length;
      continue;
    }
    if (quote === '' && '"\'`'.includes(character)) quote = character;
    else if (character === quote) quote = '';
    bound += character;
  }
  return bound;
}
