import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import { formatPath, type Path, type Problem } from './problem.ts';
import { type RuleId, ruleOf } from './rules.ts';
import {
  findPair,
  firstLineOf,
  hasRange,
  keepFirstKeys,
  partOf,
  spanOf,
  tagOf,
  tooDeepAt,
} from './yaml-nodes.ts';
import { isMasked, mask, namesThatAreText, type Slip, type Span, slipOf, unmask } from './yaml-slips.ts';

/** A runbook of 100 steps has about 20 KiB; more is a mistake or an attack on the parser. */
export const MAX_FILE_BYTES = 256 * 1024;
/** Enough to share label lists between metrics; few enough that expanding them stays cheap. */
const MAX_ALIASES = 50;
/** A runbook needs ten levels; everything that walks over the data may recurse as deep. */
const MAX_DEPTH = 32;
/** After the first mistakes of syntax the parser guesses, and what it says of the rest is no help. */
const MAX_SYNTAX_TOLD = 3;
/** Each text that lacks its quotes is read once more; whoever has more of them mends these first. */
const MAX_SLIPS = 20;
const MAX_DUPLICATES_TOLD = 20;
/** Longest excerpt of a line in a problem. */
const MAX_EXCERPT_LENGTH = 160;
/**
 * Control characters that YAML does not allow (all but tab, line feed and carriage return), and those that change the
 * direction of writing (https://trojansource.codes): a reviewer would read another text than the one that is run.
 */
const HIDDEN_CHARACTER =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;
/** A place or two show what is wrong; a binary file would have thousands. */
const MAX_HIDDEN_TOLD = 5;
/** Longest key shown in a message. */
const MAX_KEY_SHOWN = 60;

/** A rule that only a step type has (StepDefinition.rules), by its id. */
export type OwnRule = { own: string };

/** A parsed file that finds the place of everything in it. */
export class YamlSource {
  readonly file: string;
  readonly text: string;
  /** Plain JSON-like data; undefined when the file could not be read as YAML. */
  readonly value: unknown;
  /** Mistakes of YAML. There may be a value all the same: see `readable`. */
  readonly problems: Problem[] = [];
  /** Whether `value` is what the file says but for the places that `problems` names, so that it can be checked. */
  readonly readable: boolean = false;
  /** What was told of by `problems`, though it was read. */
  readonly #told: Span[] = [];
  #lines = new LineCounter();
  readonly #document: Document.Parsed | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    // A byte order mark is no character of the first line.
    this.text = text.replace(/^\uFEFF/, '');
    if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
      this.#lines.addNewLine(0);
      this.#report(
        'file/too-large',
        { start: 0, end: 1 },
        `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`,
      );
      return;
    }
    const tooDeep = tooDeepAt(this.text);
    if (tooDeep !== undefined) {
      this.#lines.addNewLine(0);
      for (const { index } of this.text.matchAll(/\n/g)) this.#lines.addNewLine(index + 1);
      this.#report('yaml/depth', { start: tooDeep, end: tooDeep + 1 }, 'nested too deeply to be read');
      return;
    }
    const parsed = this.#parseMending();
    if (parsed === undefined) return;
    const { document, slips } = parsed;
    this.#document = document;
    for (const slip of slips) this.#report(slip.rule, slip.span, slip.message);
    this.#checkCharacters(this.text);
    const mended = this.problems.length;
    const isDuplicate = ({ code }: { code: string }) => code === 'DUPLICATE_KEY';
    const errors = [...document.errors, ...document.warnings];
    this.#reportErrors(
      errors.filter((error) => !isDuplicate(error)),
      document,
    );
    this.#checkNodes(document);
    const unreliable = this.problems.length > mended;
    for (const error of errors.filter(isDuplicate).slice(0, MAX_DUPLICATES_TOLD)) {
      this.#reportSyntax(error, document);
    }
    this.problems.sort((a, b) => a.line - b.line || a.column - b.column);
    if (unreliable || !keepFirstKeys(document)) return;
    this.#restoreTexts(document);
    try {
      this.value = document.toJS({ maxAliasCount: MAX_ALIASES });
      this.readable = true;
    } catch {
      // A key that stands twice may have had the anchor.
      if (this.problems.length > 0) return;
      // Few aliases, but of aliases of aliases: together they stand for too much.
      this.#report(
        'yaml/alias',
        this.#firstAlias(document),
        'aliases of aliases multiply: write the values out',
      );
    }
  }

  /** Whether a problem is about a place of which `problems` tells already. */
  isTold({ line, column }: Problem): boolean {
    const at = (this.#lines.lineStarts[line - 1] ?? 0) + column - 1;
    return this.#told.some(({ start, end }) => at >= start && at < end);
  }

  /** Parses, and again with every text that lacks its quotes read as if it had them, as long as that is what is wrong first. */
  #parseMending(): { document: Document.Parsed; slips: Slip[] } | undefined {
    const slips: Slip[] = [];
    let text = this.text;
    for (;;) {
      const document = this.#parse(text);
      if (document === undefined) return undefined;
      if (slips.length >= MAX_SLIPS || isMasked(this.text)) return { document, slips };
      const errors = [...document.errors, ...document.warnings].filter(
        ({ code }) => code !== 'DUPLICATE_KEY',
      );
      const found: { at: number; slip?: Slip | undefined }[] = [
        ...errors.map((error) => ({ at: error.pos[0], slip: slipOf(text, error, document) })),
        ...namesThatAreText(text, document).map((slip) => ({ at: slip.span.start, slip })),
      ].sort((a, b) => a.at - b.at);
      const slip = found[0]?.slip;
      if (slip?.text === undefined) return { document, slips };
      const masked = mask(text, slip.text);
      if (masked === text) return { document, slips };
      text = masked;
      slips.push({ ...slip, message: unmask(slip.message) });
      this.#told.push(slip.text);
    }
  }

  /** Errors of the parser, by what is likely behind them; what follows from one that was told is left out. */
  #reportErrors(
    errors: readonly { code: string; message: string; pos: [number, number] }[],
    document: Document.Parsed,
  ): void {
    const tabs = errors.filter(({ code }) => code === 'TAB_AS_INDENT');
    const inOrder = [...(tabs.length > 0 ? tabs : errors)].sort((a, b) => a.pos[0] - b.pos[0]);
    const places = new Set<number>();
    let isKnown = false;
    for (const error of inOrder) {
      if (places.size >= MAX_SYNTAX_TOLD) return;
      const slip = slipOf(this.text, error, document);
      // Behind a slip the parser guesses: then only what is one by itself is told.
      if (isKnown && slip?.text === undefined && tabs.length === 0) continue;
      const place = slip?.span.start ?? error.pos[0];
      if (places.has(place)) continue;
      places.add(place);
      isKnown ||= slip !== undefined;
      if (slip === undefined) this.#reportSyntax(error, document);
      else this.#report(slip.rule, slip.span, slip.message);
    }
  }

  /** Texts as they stand in the file: without what was done for the parser, and without characters that are not shown. */
  #restoreTexts(document: Document.Parsed): void {
    if (this.problems.length === 0) return;
    visit(document, {
      Scalar: (_key, node) => {
        if (typeof node.value === 'string') node.value = unmask(node.value).replace(HIDDEN_CHARACTER, '');
      },
    });
  }

  #checkCharacters(text: string): void {
    let told = 0;
    for (const found of text.matchAll(HIDDEN_CHARACTER)) {
      told += 1;
      if (told > MAX_HIDDEN_TOLD) return;
      const code = (found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      const message = `there is a character here that is not shown (U+${code}): delete it, or write "\\u${code}" in double quotes`;
      this.#report('yaml/characters', { start: found.index, end: found.index + 1 }, message);
      this.#told.push(this.#scalarAround(found.index));
    }
  }

  #reportSyntax(
    error: { code: string; message: string; pos: [number, number] },
    document: Document.Parsed,
  ): void {
    const span = { start: error.pos[0], end: error.pos[1] };
    if (error.code === 'TAG_RESOLVE_FAILED') {
      // Every tag is told where the nodes are looked at.
    } else if (error.code === 'MULTIPLE_DOCS') {
      const message = 'a file holds one runbook: put the next one into a file of its own';
      this.#report('yaml/syntax', span, message);
    } else if (error.code === 'NON_STRING_KEY') {
      this.#report('yaml/key', span, 'a key is plain text, not a list, a map or an alias');
    } else if (error.code === 'DUPLICATE_KEY') {
      const [key, line] = this.#firstOfKey(document, span.start);
      const message = `the key ${key} stands twice in this map, here and on line ${line}: keep one of them`;
      this.#report('yaml/syntax', { start: span.start, end: span.start + key.length }, message);
    } else {
      const [message = 'this cannot be read'] = error.message.split('\n');
      this.#report('yaml/syntax', span, `${message.charAt(0).toLowerCase()}${message.slice(1)}`);
    }
  }

  /** The key of a duplicate at an offset, and the line of the first one. */
  #firstOfKey(document: Document.Parsed, offset: number): [key: string, line: number] {
    let found: [string, number] = ['here', 1];
    visit(document, {
      Map: (_key, map) => {
        const duplicate = map.items.find((item) => spanOf(item.key).start === offset)?.key;
        if (!isScalar(duplicate)) return undefined;
        const name = String(duplicate.value);
        const first = findPair(map, name)?.key;
        found = [name.slice(0, MAX_KEY_SHOWN), this.#lines.linePos(spanOf(first).start).line];
        return visit.BREAK;
      },
    });
    return found;
  }

  #scalarAround(at: number): Span {
    let span: Span = { start: at, end: at + 1 };
    if (this.#document === undefined) return span;
    visit(this.#document, {
      Scalar: (_key, node) => {
        const own = spanOf(node);
        if (own.start <= at && at < own.end) span = own;
      },
    });
    return span;
  }

  #firstAlias(document: Document.Parsed): Span {
    let span: Span = { start: 0, end: 1 };
    visit(document, {
      Alias: (_key, node) => {
        span = spanOf(node);
        return visit.BREAK;
      },
    });
    return span;
  }

  #parse(text: string): Document.Parsed | undefined {
    this.#lines = new LineCounter();
    try {
      return parseDocument(text, {
        version: '1.2',
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: true,
        stringKeys: true,
        logLevel: 'error',
      });
    } catch {
      // The parser is recursive: thousands of open brackets end its stack.
      this.#report('yaml/syntax', { start: 0, end: 1 }, 'the file is nested too deeply to be read');
      return undefined;
    }
  }

  /** What JSON data may not carry, or readers would not expect: directives, tags, merge keys, many aliases, odd keys. */
  #checkNodes(document: Document.Parsed): void {
    const directive = /^%(YAML|TAG)[^\n]*/m.exec(this.text);
    if (directive !== null && document.directives.docStart === true) {
      const span = { start: directive.index, end: directive.index + directive[0].length };
      this.#report(
        'yaml/directive',
        span,
        'directives are not used: runbooks are YAML 1.2, take the line out',
      );
    }
    let aliases = 0;
    let tooDeep = false;
    visit(document, {
      Node: (_key, node, ancestors) => {
        // Pairs are ancestors too: a level is a list or a map.
        if (!tooDeep && ancestors.filter((item) => isMap(item) || isSeq(item)).length > MAX_DEPTH) {
          tooDeep = true;
          this.#report(
            'yaml/depth',
            spanOf(node),
            `nested more than ${MAX_DEPTH} deep: close the brackets before`,
          );
          return visit.BREAK;
        }
        const tag = isAlias(node) ? undefined : tagOf(this.text, node);
        if (tag !== undefined) {
          this.#report('yaml/tag', tag, 'tags are not used in runbooks: write the plain value');
        }
        return undefined;
      },
      Alias: (_key, node, ancestors) => {
        aliases += 1;
        if (aliases === MAX_ALIASES + 1) {
          this.#report('yaml/alias', spanOf(node), `more than ${MAX_ALIASES} aliases: write the values out`);
        }
        const target = node.resolve(document);
        if (target === undefined) {
          const message = `there is no anchor &${node.source} before this alias: write the value out`;
          this.#report('yaml/alias', spanOf(node), message);
        } else if (ancestors.includes(target)) {
          const message = `*${node.source} is inside what it stands for: write the value out`;
          this.#report('yaml/alias', spanOf(node), message);
        }
      },
      Pair: (_key, pair) => {
        if (!isScalar(pair.key)) return;
        const name = String(pair.key.value);
        if (name === '<<') {
          const message = 'merge keys are not used: write the fields out, or use *alias';
          this.#report('yaml/merge-key', spanOf(pair.key), message);
        } else if (name === '__proto__') {
          this.#report('yaml/key', spanOf(pair.key), '__proto__ is no name that can be used');
        }
      },
    });
  }

  /** A problem about the value at `path`; where it is missing, about the nearest thing around it that exists. */
  problem(rule: RuleId | OwnRule, path: Path, message: string): Problem {
    return this.#make(rule, this.#spanAt(path), message, path);
  }

  /** A problem about the key at the end of `path`, not its value. */
  keyProblem(rule: RuleId | OwnRule, path: Path, message: string): Problem {
    const parent = this.#nodeAt(path.slice(0, -1));
    const key = isMap(parent) ? findPair(parent, path.at(-1))?.key : undefined;
    return this.#make(rule, isScalar(key) ? spanOf(key) : this.#spanAt(path), message, path);
  }

  /** A problem about a part (offsets in the decoded text) of the text at `path`. */
  textProblem(rule: RuleId | OwnRule, path: Path, part: Span, message: string): Problem {
    const node = this.#nodeAt(path);
    const whole = this.#spanAt(path);
    const span = isScalar(node) && typeof node.value === 'string' ? partOf(this.text, node, part) : undefined;
    return this.#make(rule, span ?? whole, message, path);
  }

  #report(rule: RuleId, span: Span, message: string): void {
    this.problems.push(this.#make(rule, span, message, []));
  }

  #make(id: RuleId | OwnRule, span: Span, message: string, path: Path): Problem {
    const start = Math.min(span.start, this.text.length);
    const step = this.#stepAt(path);
    const rule = typeof id === 'string' ? id : id.own;
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
      severity: ruleOf(rule)?.severity ?? 'error',
      message: oneLine(message),
      path: formatPath(path),
      ...(step === undefined ? {} : { step }),
      excerpt: this.text.slice(lineStart, lineEnd).trimEnd().slice(0, MAX_EXCERPT_LENGTH),
    };
  }

  /** Id of the step that a path leads into. */
  #stepAt(path: Path): string | undefined {
    if (path[0] !== 'spec' || path[1] !== 'steps' || path.length < 3) return undefined;
    const id = this.#nodeAt([...path.slice(0, 3), 'id']);
    return isScalar(id) && typeof id.value === 'string' ? id.value : undefined;
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

/** Messages are one line: they go into logs and annotations. */
function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
}
