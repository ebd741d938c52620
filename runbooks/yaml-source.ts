import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
} from 'yaml';
import { formatPath, type Path, type Problem, type RuleId } from './rules.ts';

/** A runbook of 100 steps has about 20 KiB; more is a mistake or an attack on the parser. */
export const MAX_FILE_BYTES = 256 * 1024;
/** Enough to share label lists between metrics; few enough that expanding them stays cheap. */
const MAX_ALIASES = 50;
/** Longest excerpt of a line in a problem. */
const MAX_EXCERPT_LENGTH = 160;

/** Part of the file that a problem is about, as offsets. */
export interface Span {
  start: number;
  end: number;
}

/** A parsed file that finds the place of everything in it. */
export class YamlSource {
  readonly file: string;
  readonly text: string;
  /** Plain JSON-like data; undefined when the file could not be read as YAML. */
  readonly value: unknown;
  readonly problems: Problem[] = [];
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
      this.#lines.addNewLine(0);
      this.#report(
        'file/too-large',
        { start: 0, end: 1 },
        `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`,
      );
      return;
    }
    const document = this.#parse(text);
    if (document === undefined) return;
    this.#document = document;
    for (const error of [...document.errors, ...document.warnings]) {
      const tag = error.code === 'TAG_RESOLVE_FAILED';
      const message =
        error.code === 'MULTIPLE_DOCS'
          ? 'a file holds one runbook: put the next one into a file of its own'
          : tag
            ? 'tags are not used in runbooks: write the plain value'
            : error.message;
      this.#report(tag ? 'yaml/tag' : 'yaml/syntax', { start: error.pos[0], end: error.pos[1] }, message);
    }
    this.#checkNodes(document);
    if (this.problems.length > 0) return;
    this.value = document.toJS({ maxAliasCount: MAX_ALIASES });
  }

  #parse(text: string): Document.Parsed | undefined {
    try {
      return parseDocument(text, {
        version: '1.2',
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: true,
        logLevel: 'error',
      });
    } catch {
      // The parser is recursive: thousands of open brackets end its stack.
      this.#report('yaml/syntax', { start: 0, end: 1 }, 'the file is nested too deeply to be read');
      return undefined;
    }
  }

  /** What JSON data may not carry, or readers would not expect: merge keys, many aliases, odd keys. */
  #checkNodes(document: Document.Parsed): void {
    let aliases = 0;
    visit(document, {
      Alias: (_key, node, ancestors) => {
        aliases += 1;
        if (aliases === MAX_ALIASES + 1) {
          this.#report('yaml/alias', spanOf(node), `more than ${MAX_ALIASES} aliases: write the values out`);
        }
        const target = node.resolve(document);
        if (target !== undefined && ancestors.includes(target)) {
          this.#report(
            'yaml/alias',
            spanOf(node),
            `*${node.source} is inside what it stands for: write the value out`,
          );
        }
      },
      Pair: (_key, pair) => {
        if (!isScalar(pair.key)) {
          if (pair.key !== null)
            this.#report('yaml/key', spanOf(pair.key as Node), 'a key is plain text, not a list or a map');
          return;
        }
        const name = String(pair.key.value);
        if (name === '<<') {
          this.#report(
            'yaml/merge-key',
            spanOf(pair.key),
            'merge keys are not used: write the fields out, or use *alias',
          );
        } else if (name === '__proto__') {
          this.#report('yaml/key', spanOf(pair.key), '__proto__ is no name that can be used');
        }
      },
    });
  }

  /** A problem about the value at `path`; where it is missing, about the nearest thing around it that exists. */
  problem(rule: RuleId, path: Path, message: string): Problem {
    return this.#make(rule, this.#spanAt(path), message, path);
  }

  /** A problem about the key at the end of `path`, not its value. */
  keyProblem(rule: RuleId, path: Path, message: string): Problem {
    const parent = this.#nodeAt(path.slice(0, -1));
    const key = isMap(parent) ? findPair(parent, path.at(-1))?.key : undefined;
    return this.#make(rule, isScalar(key) ? spanOf(key) : this.#spanAt(path), message, path);
  }

  /** A problem about a part (offsets in the decoded text) of the text at `path`. */
  textProblem(rule: RuleId, path: Path, part: Span, message: string): Problem {
    const node = this.#nodeAt(path);
    const whole = this.#spanAt(path);
    const span = isScalar(node) && typeof node.value === 'string' ? partOf(this.text, node, part) : undefined;
    return this.#make(rule, span ?? whole, message, path);
  }

  #report(rule: RuleId, span: Span, message: string): void {
    this.problems.push(this.#make(rule, span, message, []));
  }

  #make(rule: RuleId, span: Span, message: string, path: Path): Problem {
    const start = Math.min(span.start, this.text.length);
    const { line, col } = this.#lines.linePos(start);
    const lineStart = start - (col - 1);
    const newline = this.text.indexOf('\n', lineStart);
    const lineEnd = newline === -1 ? this.text.length : newline;
    return {
      file: this.file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      length: Math.max(1, Math.min(span.end, lineEnd) - start),
      rule,
      message,
      path: formatPath(path),
      excerpt: this.text.slice(lineStart, lineEnd).trimEnd().slice(0, MAX_EXCERPT_LENGTH),
    };
  }

  /** The node at a path, through aliases. */
  #nodeAt(path: Path): unknown {
    let node: unknown = this.#document?.contents;
    for (const part of path) {
      if (isAlias(node) && this.#document) node = node.resolve(this.#document);
      if (isMap(node)) node = findPair(node, part)?.value;
      else if (isSeq(node) && typeof part === 'number') node = node.items[part];
      else return undefined;
    }
    return node;
  }

  /** The span of the value at a path; a key's own span where a field of the map under it is missing. */
  #spanAt(path: Path): Span {
    const node = this.#nodeAt(path);
    if (hasRange(node)) return spanOf(node);
    for (let depth = path.length - 1; depth >= 0; depth -= 1) {
      const parentPath = path.slice(0, depth);
      const parent = this.#nodeAt(parentPath);
      if (!hasRange(parent)) continue;
      const owner = this.#nodeAt(parentPath.slice(0, -1));
      const key = isMap(owner) ? findPair(owner, parentPath.at(-1))?.key : undefined;
      return isScalar(key) ? spanOf(key) : firstLineOf(this.text, spanOf(parent));
    }
    return { start: 0, end: 1 };
  }
}

function findPair(map: { items: unknown[] }, key: unknown): { key: unknown; value: unknown } | undefined {
  for (const item of map.items) {
    if (isPair(item) && isScalar(item.key) && String(item.key.value) === String(key)) return item;
  }
  return undefined;
}

function hasRange(node: unknown): node is Node & { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}

function spanOf(node: unknown): Span {
  return hasRange(node) ? { start: node.range[0], end: node.range[1] } : { start: 0, end: 1 };
}

function firstLineOf(text: string, span: Span): Span {
  const newline = text.indexOf('\n', span.start);
  return newline === -1 ? span : { start: span.start, end: Math.min(span.end, newline) };
}

/**
 * Where a part of a scalar's decoded text stands in the file. Exact where the file holds the text as it is (plain and
 * quoted scalars without escapes or folded lines) and for block scalars by line; undefined elsewhere.
 */
function partOf(text: string, node: Scalar, part: Span): Span | undefined {
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
