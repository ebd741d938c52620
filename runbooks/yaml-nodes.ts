/** Where things stand in a parsed YAML document, and what can be taken out of it without changing its places. */
import { type Document, isMap, isPair, isScalar, type Node, type Scalar, visit } from 'yaml';
import type { Span } from './yaml-slips.ts';

/** The parser is recursive: before it, brackets (or dashes) that are open at once are counted in the bare text. */
const MAX_OPEN_BRACKETS = 200;
const MANY_DASHES = /(?:[-?][ \t]+){200}/;

/**
 * Takes the second of two equal keys out of the document. Of two maps, both stay, so that the names in them are known.
 * @returns false where that would leave something out that others name: a list of steps.
 */
export function keepFirstKeys(document: Document.Parsed): boolean {
  let ok = true;
  const merge = (map: { items: unknown[] }, name: string): void => {
    const firsts = new Map<string, { value: unknown }>();
    map.items = map.items.filter((item) => {
      if (!isPair(item) || !isScalar(item.key)) return true;
      const key = String(item.key.value);
      const first = firsts.get(key);
      if (first === undefined) {
        firsts.set(key, item);
        return true;
      }
      if (isMap(first.value) && isMap(item.value)) {
        // Two metrics or inputs of one name: fields of both would be one that nobody wrote.
        if (name === 'metrics' || name === 'inputs') return false;
        first.value.items.push(...item.value.items);
        merge(first.value, key);
      } else if (!isScalar(first.value) || !isScalar(item.value)) {
        ok = false;
      }
      return false;
    });
  };
  if (!document.errors.some(({ code }) => code === 'DUPLICATE_KEY')) return true;
  visit(document, {
    Map: (_key, map, ancestors) => {
      const pair = ancestors.at(-1);
      merge(map, isPair(pair) && isScalar(pair.key) ? String(pair.key.value) : '');
    },
  });
  return ok;
}

export function findPair(
  map: { items: unknown[] },
  key: unknown,
): { key: unknown; value: unknown } | undefined {
  for (const item of map.items) {
    if (isPair(item) && isScalar(item.key) && String(item.key.value) === String(key)) return item;
  }
  return undefined;
}

export function hasRange(node: unknown): node is Node & { range: [number, number, number]; tag?: string } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}

export function spanOf(node: unknown): Span {
  return hasRange(node) ? { start: node.range[0], end: node.range[1] } : { start: 0, end: 1 };
}

/** Where a text opens more brackets than any reader could follow; undefined where it does not. */
export function tooDeepAt(text: string): number | undefined {
  const dashes = MANY_DASHES.exec(text);
  if (dashes !== null) return dashes.index;
  let open = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '[' || character === '{') open += 1;
    else if ((character === ']' || character === '}') && open > 0) open -= 1;
    if (open > MAX_OPEN_BRACKETS) return at;
  }
  return undefined;
}

/** Where the tag of a node stands: before it, perhaps with an anchor between. */
export function tagOf(text: string, node: unknown): Span | undefined {
  if (!hasRange(node) || node.tag === undefined) return undefined;
  const { start } = spanOf(node);
  const found = /(!\S*)(\s+&\S+)?\s*$/.exec(text.slice(0, start));
  return found === null ? spanOf(node) : { start: found.index, end: found.index + (found[1] ?? '').length };
}

export function firstLineOf(text: string, span: Span): Span {
  const newline = text.indexOf('\n', span.start);
  return newline === -1 ? span : { start: span.start, end: Math.min(span.end, newline) };
}

/**
 * Where a part of a scalar's decoded text stands in the file. Exact where the file holds the text as it is (plain and
 * quoted scalars without escapes or folded lines) and for block scalars by line; undefined elsewhere.
 */
export function partOf(text: string, node: Scalar, part: Span): Span | undefined {
  const value = String(node.value);
  const { start, end } = spanOf(node);
  const raw = text.slice(start, end);
  if (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED')
    return partOfBlock(text, start, value, part);
  const quote = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE' ? 1 : 0;
  if (raw.slice(quote, raw.length - quote) !== value) return undefined;
  return { start: start + quote + part.start, end: start + quote + Math.max(part.end, part.start + 1) };
}

/** Lines of a block scalar stand in the file in order, each behind the same indentation. */
function partOfBlock(text: string, start: number, value: string, part: Span): Span | undefined {
  const before = value.slice(0, part.start).split('\n');
  const wanted = value.split('\n')[before.length - 1];
  if (wanted === undefined) return undefined;
  let lineStart = text.indexOf('\n', start) + 1;
  for (let skipped = 1; skipped < before.length && lineStart > 0; skipped += 1) {
    lineStart = text.indexOf('\n', lineStart) + 1;
  }
  const lineAt = text.indexOf(wanted, lineStart);
  // A folded scalar joins lines: then the line as decoded is nowhere in the file, and the whole value is marked.
  if (lineStart === 0 || lineAt === -1 || text.slice(lineStart, lineAt).trim() !== '') return undefined;
  const at = lineAt + (before.at(-1)?.length ?? 0);
  return { start: at, end: at + Math.max(1, part.end - part.start) };
}
