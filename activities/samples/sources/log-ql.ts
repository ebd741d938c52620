import type { Target } from '../../../domain/target.ts';

/** Literals of LogQL: "..." with Go's escapes, `...` without (https://grafana.com/docs/loki/latest/query/). */
const LITERAL = /"(?:[^"\\]|\\.)*"|`[^`]*`/g;
const PLACEHOLDER = /\$([A-Za-z_]\w*)/g;

const NAMES = ['cluster', 'namespace', 'name', 'kind'] as const;
type Name = (typeof NAMES)[number];

/**
 * Fills `$namespace` and the like with quoted literals, outside literals only: `$` in a regular expression stays, and a
 * value is never spliced into one.
 */
export function bindLogQl(query: string, target: Target): string {
  return outsideLiterals(query, (code) =>
    code.replace(PLACEHOLDER, (whole, name: string) => (isName(name) ? quoteLogQl(target[name]) : whole)),
  );
}

/** What is wrong with a query's placeholders; undefined where nothing is. */
export function logQlProblem(query: string): string | undefined {
  const unknown = new Set<string>();
  let bound = 0;
  outsideLiterals(query, (code) => {
    for (const [, name = ''] of code.matchAll(PLACEHOLDER)) {
      if (isName(name)) bound++;
      else unknown.add(name);
    }
    return code;
  });
  const known = NAMES.map((name) => `$${name}`).join(', ');
  if (unknown.size > 0) return `$${[...unknown].join(', $')} is no value of a target: there are ${known}`;
  if (bound === 0) {
    return `the query names no value of the target (${known}), unquoted: it would take every target's outputs`;
  }
  return undefined;
}

/**
 * A LogQL string literal. Its escapes are Go's (strconv.Unquote); everything but printable ASCII is written as \u.
 */
export function quoteLogQl(value: string): string {
  const escaped = value.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') return `\\${character}`;
    // A lone surrogate is no character for Go, which refuses the whole literal.
    const valid = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
    return valid > 0xffff
      ? `\\U${valid.toString(16).padStart(8, '0')}`
      : `\\u${valid.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}

function isName(name: string): name is Name {
  return (NAMES as readonly string[]).includes(name);
}

function outsideLiterals(query: string, change: (code: string) => string): string {
  let result = '';
  let at = 0;
  for (const match of query.matchAll(LITERAL)) {
    result += change(query.slice(at, match.index)) + match[0];
    at = match.index + match[0].length;
  }
  return result + change(query.slice(at));
}
