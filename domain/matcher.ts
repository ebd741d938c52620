import type { Matcher } from './runbook.ts';

/** Result of reading one matcher; `at` is the offset in the text that the message is about. */
export type MatcherParse = { ok: true; matcher: Matcher } | { ok: false; at: number; message: string };

/** Longest matcher taken: label values of alerts are rarely longer than a line. */
const MAX_MATCHER_LENGTH = 1_000;
/** Prometheus' rule for label names (https://prometheus.io/docs/concepts/data_model/). */
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const OPERATORS = ['=~', '!~', '!=', '='] as const;

/**
 * Parses one matcher as Alertmanager's configuration writes it: `name="value"`, with `=`, `!=`, `=~` or `!~`; the value may
 * stand without quotes when it holds no space, quote, brace or comma.
 *
 * In a quoted value `\"`, `\\` and `\n` are escapes and every other backslash stands for itself, so that a regular
 * expression is written with one backslash: `alertname=~"Ai\.Harm.*"` (Alertmanager's classic parser, pkg/labels/parse.go).
 * A regular expression is not compiled here: its syntax is checked where it is evaluated (runbooks/match.ts).
 */
export function parseMatcher(text: string): MatcherParse {
  if (text.length > MAX_MATCHER_LENGTH)
    return fail(0, `a matcher is at most ${MAX_MATCHER_LENGTH} characters long`);
  let at = skipSpaces(text, 0);
  if (text[at] === '{') return fail(at, 'one matcher an entry, without braces: write alertname="Name"');

  const label = LABEL_NAME.exec(text.slice(at))?.[0];
  if (label === undefined) return fail(at, 'expected a label name: write alertname="Name"');
  at = skipSpaces(text, at + label.length);

  const op = OPERATORS.find((candidate) => text.startsWith(candidate, at));
  if (op === undefined) return fail(at, `expected =, !=, =~ or !~ after ${label}: write ${label}="value"`);
  if (text.startsWith('==', at)) return fail(at, `expected one =: write ${label}="value"`);
  at = skipSpaces(text, at + op.length);

  const read = text[at] === '"' ? readQuoted(text, at) : readBare(text, at);
  if (!read.ok) return read;
  const end = skipSpaces(text, read.end);
  if (end < text.length) return fail(end, trailing(text[end]));
  return { ok: true, matcher: { label, op, value: read.value } };
}

/** Writes a matcher so that parseMatcher reads the same one back. */
export function formatMatcher(matcher: Matcher): string {
  const value = matcher.value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `${matcher.label}${matcher.op}"${value}"`;
}

type ValueRead = { ok: true; value: string; end: number } | { ok: false; at: number; message: string };

function readQuoted(text: string, start: number): ValueRead {
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') return { ok: true, value, end: at + 1 };
    if (character !== '\\') {
      value += character;
      continue;
    }
    const escaped = text[at + 1];
    if (escaped === undefined) break;
    value += escaped === '"' || escaped === '\\' ? escaped : escaped === 'n' ? '\n' : `\\${escaped}`;
    at += 1;
  }
  return fail(start, 'the quoted value has no end: add the closing "');
}

function readBare(text: string, start: number): ValueRead {
  const value = /^[^\s"'`{},]*/.exec(text.slice(start))?.[0] ?? '';
  if (value === '')
    return fail(start, 'expected a value: write it in double quotes, "" for a label that is absent');
  return { ok: true, value, end: start + value.length };
}

function trailing(character: string | undefined): string {
  if (character === ',') return 'one matcher an entry: write the next one as an item of its own';
  return 'unexpected text after the value: put the whole value in double quotes';
}

function skipSpaces(text: string, at: number): number {
  let next = at;
  while (next < text.length && /\s/.test(text[next] ?? '')) next += 1;
  return next;
}

function fail(at: number, message: string): { ok: false; at: number; message: string } {
  return { ok: false, at, message };
}
