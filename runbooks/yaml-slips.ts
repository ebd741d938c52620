import { type Document, isAlias, isCollection, isNode, isScalar, visit } from 'yaml';

/** Part of the file that a problem is about, as offsets. */
export interface Span {
  start: number;
  end: number;
}

/** A likely slip of the pen, with what to write instead. */
export interface Slip {
  rule: 'yaml/syntax' | 'yaml/tag' | 'yaml/alias';
  span: Span;
  message: string;
  /** What is read as text from here on, as if it stood in quotes; absent: what follows cannot be relied on. */
  text?: Span;
}

export interface SyntaxError {
  code: string;
  message: string;
  pos: [number, number];
}

/** ASCII characters of a text that lacks its quotes are moved here, where they mean nothing to YAML; lengths stay. */
const MASK_START = 0xe100;
const MASKED = /[\ue100-\ue17f]/g;
const MAX_SHOWN = 100;
/** `key: value` or `- value` on one line, dashes before it, a comment behind it. */
const ENTRY = /^(\s*(?:- +)*)(?:([\w.-]+):[ \t]+)?(.*?)(?:\s+#.*)?\s*$/;

export function isMasked(text: string): boolean {
  return text.search(MASKED) >= 0;
}

/** Makes a span plain text for the parser. Its length stays, so places in the file do too. */
export function mask(text: string, { start, end }: Span): string {
  const masked = text
    .slice(start, end)
    .replace(/[^\w.]/g, (character) =>
      character.charCodeAt(0) < 0x80 ? String.fromCharCode(MASK_START + character.charCodeAt(0)) : character,
    );
  return text.slice(0, start) + masked + text.slice(end);
}

export function unmask(text: string): string {
  return text.replace(MASKED, (character) => String.fromCharCode(character.charCodeAt(0) - MASK_START));
}

/**
 * The slip behind an error of the parser.
 * @param text what was parsed.
 */
export function slipOf(text: string, error: SyntaxError, document: Document.Parsed): Slip | undefined {
  const at = error.pos[0];
  const line = lineAt(text, at);
  if (text.startsWith('{{', at) && text[at - 1] === '$')
    return template(text, flowStart(text, at, line.start));
  if (error.code === 'NON_STRING_KEY' && text.slice(at - 1, at + 1) === '{{') {
    return template(text, text[at - 2] === '$' ? flowStart(text, at - 2, line.start) : at - 1);
  }
  switch (error.code) {
    case 'TAB_AS_INDENT': {
      const message = 'a tab stands here, and YAML does not indent by tabs: write spaces, two a level';
      return { rule: 'yaml/syntax', span: { start: at, end: at + 1 }, message };
    }
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'BLOCK_IN_FLOW':
      return colonInText(text, at) ?? deeperLine(text, at);
    case 'MULTILINE_IMPLICIT_KEY':
      return missingAfterKey(text, at);
    case 'BAD_SCALAR_START':
    case 'BAD_ALIAS':
      return startsWith(text, at, 'yaml/syntax');
    case 'TAG_RESOLVE_FAILED':
      return /[.(&|=<>]/.test(text.slice(at, error.pos[1])) ? startsWith(text, at, 'yaml/tag') : undefined;
    case 'BAD_INDENT':
      return error.message.startsWith('Flow') ? unclosedBracket(document, text, at) : wrongIndent(text, at);
    case 'MISSING_CHAR':
      if (error.message.startsWith('Missing closing')) return unclosedQuote(document, text, at);
      if (error.message.startsWith('Implicit map keys')) return missingAfterKey(text, at);
      if (error.message.startsWith('Missing ,')) {
        const message = 'a comma is missing before this: write one between two entries';
        return { rule: 'yaml/syntax', span: { start: at, end: at + 1 }, message };
      }
      return unclosedBracket(document, text, at);
    case 'UNEXPECTED_TOKEN':
      return unexpected(document, text, error);
    default:
      return undefined;
  }
}

/** Aliases and anchors whose names show that text was meant; the parser takes them. */
export function namesThatAreText(text: string, document: Document.Parsed): Slip[] {
  const slips: Slip[] = [];
  visit(document, {
    Node: (_key, node) => {
      const start = node.range?.[0];
      if (start === undefined) return;
      if (isAlias(node)) {
        if (isTextual(node.source) && node.resolve(document) === undefined) {
          slips.push(startsWith(text, start, 'yaml/alias'));
        }
      } else if ('anchor' in node && typeof node.anchor === 'string' && isTextual(node.anchor)) {
        const before = text.lastIndexOf(`&${node.anchor}`, start);
        if (before >= 0) slips.push(startsWith(text, before, 'yaml/alias'));
      }
    },
  });
  return slips;
}

function isTextual(name: string): boolean {
  return !/^[\w-]+$/.test(name);
}

function lineAt(text: string, at: number): { start: number; end: number; text: string } {
  const start = text.lastIndexOf('\n', at - 1) + 1;
  const newline = text.indexOf('\n', at);
  const end = newline === -1 ? text.length : newline;
  return { start, end, text: text.slice(start, end) };
}

/** The value that begins at an offset: to the end of its line, or of its entry inside brackets. */
function valueFrom(
  text: string,
  at: number,
): Span & { key: string | undefined; value: string; isBlock: boolean } {
  const line = lineAt(text, at);
  const [, dashes = '', key, value = ''] = ENTRY.exec(line.text) ?? [];
  const isBlock =
    line.text.lastIndexOf(value) >= 0 &&
    at === line.start + line.text.indexOf(value, dashes.length + (key?.length ?? 0));
  if (isBlock) return { start: at, end: at + value.length, key, value, isBlock };
  const rest = text.slice(at, line.end);
  // A bracket or comma in a quoted part ends nothing.
  const entry = (/^(?:"[^"]*"|'[^']*'|[^,\]}])*/.exec(rest)?.[0] ?? rest).trimEnd();
  const before = /([\w.-]+):[ \t]+$/.exec(text.slice(line.start, at))?.[1];
  return { start: at, end: at + entry.length, key: before, value: entry, isBlock };
}

function inQuotes(value: string): string {
  const shown = value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value;
  return `'${unmask(shown).replaceAll("'", "''")}'`;
}

function entryOf(key: string | undefined, value: string): string {
  return key === undefined ? inQuotes(value) : `${key}: ${inQuotes(value)}`;
}

function colonInText(text: string, at: number): Slip | undefined {
  const found = valueFrom(text, at);
  if (!/:(?:\s|$)/.test(found.value) || /^(?:[[{\s]|- )/.test(found.value)) return undefined;
  const what = found.value.includes('?') ? 'an expression' : 'a text';
  const span = { start: found.start, end: found.end };
  // `target: kind: Deployment` was more likely meant as a map than as text.
  if (/^[\w-]+:(?:\s|$)/.test(found.value)) {
    const message = `${what} that holds ": " stands in quotes: write ${entryOf(found.key, found.value)}; a map starts on the next line`;
    return { rule: 'yaml/syntax', span, message };
  }
  const message = `${what} that holds ": " stands in quotes: write ${entryOf(found.key, found.value)}`;
  return { rule: 'yaml/syntax', span, message, text: span };
}

/** `a: 1` and a deeper `b: 2` on the next line. */
function deeperLine(text: string, at: number): Slip | undefined {
  const line = lineAt(text, at);
  const next = lineAt(text, Math.min(text.length, line.end + 1));
  const start = next.start + (next.text.length - next.text.trimStart().length);
  if (next.text.trim() === '' || start <= line.end) return undefined;
  const message =
    'this line is indented deeper than the one before, which has a value already: give the keys of a map the same indentation';
  return { rule: 'yaml/syntax', span: { start, end: next.end }, message };
}

function missingAfterKey(text: string, at: number): Slip | undefined {
  const line = lineAt(text, at);
  const first = text.slice(at, line.end).trimEnd();
  const span = { start: at, end: at + first.length };
  const [, key, rest] = /^([\w-]+):(?!\/\/)(\S.*)$/.exec(first) ?? [];
  if (key !== undefined && rest !== undefined) {
    const message = `a space is missing after the colon: write ${key}: ${rest.slice(0, MAX_SHOWN)}`;
    return { rule: 'yaml/syntax', span, message };
  }
  if (/^[\w-]+$/.test(first)) {
    return {
      rule: 'yaml/syntax',
      span,
      message: `a colon is missing after ${first}: write ${first}: and its value`,
    };
  }
  return undefined;
}

function startsWith(text: string, at: number, rule: Slip['rule']): Slip {
  const { start, end, key, value } = valueFrom(text, at);
  const span = { start, end: Math.max(end, start + 1) };
  const message = `a text or expression that starts with ${text[at]} stands in quotes: write ${entryOf(key, value)}`;
  return { rule, span, message, text: span };
}

function flowStart(text: string, at: number, lineStart: number): number {
  const before = text.slice(lineStart, at);
  return at - (/[^\s,[\]{}:][^,[\]{}:]*$/.exec(before)?.[0].length ?? 0);
}

function template(text: string, start: number): Slip | undefined {
  const line = lineAt(text, start);
  const close = text.indexOf('}}', start);
  if (close === -1 || close > line.end) {
    const message = 'the {{ that opens here is not closed: write }} behind the name, and all of it in quotes';
    return { rule: 'yaml/syntax', span: { start, end: line.end }, message };
  }
  const rest = /^[^,\]}]*/.exec(text.slice(close + 2, line.end))?.[0].trimEnd() ?? '';
  const span = { start, end: close + 2 + rest.length };
  const value = text.slice(span.start, span.end);
  const written = value.includes('$' + '{{') ? value : value.replace('{{', '$$' + '{{');
  const message = `a text with {{ }} stands in quotes: write ${inQuotes(written)}`;
  return { rule: 'yaml/syntax', span, message, text: span };
}

function wrongIndent(text: string, at: number): Slip {
  const line = lineAt(text, at);
  const content = line.text.trimStart();
  const span = { start: line.start + line.text.length - content.length, end: line.end };
  const [, dashed] = /^-([^\s-].*)$/.exec(content) ?? [];
  const message =
    dashed === undefined
      ? 'this line begins at another column than the lines it belongs to: give the entries of a list or map the same indentation'
      : `a space is missing after the dash: write - ${dashed.slice(0, MAX_SHOWN)}`;
  return { rule: 'yaml/syntax', span, message };
}

/** The last bracket before an offset that is open. */
function unclosedBracket(document: Document.Parsed, text: string, at: number): Slip | undefined {
  let start: number | undefined;
  visit(document, {
    Collection: (_key, node) => {
      if (!isCollection(node) || !node.flow || !node.range || node.range[0] > at) return;
      const closed = text[node.range[1] - 1];
      const open = text[node.range[0]];
      if (closed === (open === '[' ? ']' : '}') && node.range[1] <= at) return;
      start = node.range[0];
    },
  });
  if (start === undefined) return undefined;
  const open = text[start];
  const message = `the ${open} that opens here is not closed: write ${open === '[' ? ']' : '}'} behind the last entry`;
  return { rule: 'yaml/syntax', span: { start, end: lineAt(text, start).end }, message };
}

function unclosedQuote(document: Document.Parsed, text: string, at: number): Slip | undefined {
  const start = quotedBefore(document, at)?.start;
  if (start === undefined) return undefined;
  const message = `the quote that opens here is not closed: write ${text[start]} at the end of the text`;
  return { rule: 'yaml/syntax', span: { start, end: lineAt(text, start).end }, message };
}

/** The last quoted text that begins before an offset. */
function quotedBefore(document: Document.Parsed, at: number): Span | undefined {
  let found: Span | undefined;
  visit(document, {
    Scalar: (_key, node) => {
      if (!isNode(node) || !isScalar(node) || !node.range || node.range[0] >= at) return;
      if (node.type !== 'QUOTE_DOUBLE' && node.type !== 'QUOTE_SINGLE') return;
      if (found === undefined || node.range[0] > found.start)
        found = { start: node.range[0], end: node.range[1] };
    },
  });
  return found;
}

function unexpected(document: Document.Parsed, text: string, error: SyntaxError): Slip | undefined {
  const at = error.pos[0];
  const span = { start: at, end: at + 1 };
  if (/flow-(?:seq|map)-end/.test(error.message)) {
    const message = `this ${text[at]} closes nothing: take it out, or open its bracket before`;
    return { rule: 'yaml/syntax', span, message };
  }
  if (error.message.includes('block-seq-ind on same line')) {
    return { rule: 'yaml/syntax', span, message: 'a list of dashes starts on the line after its key' };
  }
  const quoted = quotedBefore(document, at);
  if (quoted === undefined || text.slice(quoted.end, at).trim() !== '') return undefined;
  const opened = lineAt(text, quoted.start);
  if (opened.end < at) {
    const message = `the text that this quote opens goes on over several lines: write ${text[quoted.start]} where it should end`;
    return { rule: 'yaml/syntax', span: { start: quoted.start, end: opened.end }, message };
  }
  const whole = valueFrom(text, quoted.start);
  const range = { start: whole.start, end: whole.end };
  const message = `the text goes on after its closing quote: write ${entryOf(whole.key, mended(whole.value))}`;
  return { rule: 'yaml/syntax', span: range, message, ...(whole.isBlock ? { text: range } : {}) };
}

/** `'it's'` was meant as one text in quotes; `"a" + "b"` as a text that holds quotes. */
function mended(value: string): string {
  return /^'.*'$/.test(value) ? value.slice(1, -1) : value;
}
