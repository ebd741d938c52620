/** One YAML file of the configuration against its schema: everything that is wrong with it at once, each at its place. */
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';

/** YAML aliases multiply (the "billion laughs"): nobody writes more than this by hand. */
const MAX_ALIASES = 100;
/** Keys that mean something else to JavaScript than to whoever wrote them. */
const REFUSED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

export interface ConfigProblem {
  /** `clusters.eu-1.prometheus.url`; empty: the file as a whole. */
  path: string;
  message: string;
  /** From 1; absent where the file has no such place. */
  line?: number;
  column?: number;
  /** Absent: the configuration itself. Given: a file that it names. */
  file?: string;
}

export type Path = readonly PropertyKey[];
/** A problem before it has a place in a file. */
export interface Flat {
  path: Path;
  message: string;
}

export type ReadDocument<Value> =
  | {
      ok: true;
      value: Value;
      /** As written, before defaults. */
      raw: unknown;
      /** Gives a problem its place in this file. */
      place(problem: Flat): ConfigProblem;
    }
  | { ok: false; problems: ConfigProblem[] };

/** Parses and checks a text. An empty one is checked as `{}`. Never throws for what a person can write. */
export function readDocument<Schema extends z.ZodType>(
  text: string,
  schema: Schema,
): ReadDocument<z.output<Schema>> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true, stringKeys: true });
  const at = (node: unknown): Pick<ConfigProblem, 'line' | 'column'> => {
    if (!isNode(node) || !node.range) return {};
    const { line, col } = lineCounter.linePos(node.range[0]);
    return { line, column: col };
  };
  const place = ({ path, message }: Flat): ConfigProblem => ({
    path: pathText(path),
    message,
    ...at(nodeAt(document.contents, path)),
  });
  const problems: ConfigProblem[] = document.errors.map((error) => ({
    path: '',
    // The library's message goes on with an excerpt of the file, which could hold a secret put there by mistake.
    message: error.message.split(/ at line \d+/)[0] ?? 'not YAML',
    ...(error.linePos ? { line: error.linePos[0].line, column: error.linePos[0].col } : {}),
  }));
  if (problems.length > 0) return { ok: false, problems };

  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar(key) && REFUSED_KEYS.has(String(key.value))) {
        problems.push({ path: String(key.value), message: 'this key is not allowed anywhere', ...at(key) });
      }
    },
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'string' && /\$\{[^}]*\}/.test(scalar.value)) {
        problems.push({
          path: '',
          message:
            'variables are not replaced in this file: write the value, or env:NAME where a secret is asked for',
          ...at(scalar),
        });
      }
    },
  });
  if (problems.length > 0) return { ok: false, problems };

  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch {
    return { ok: false, problems: [{ path: '', message: `it uses more than ${MAX_ALIASES} aliases` }] };
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return { ok: true, value: parsed.data, raw, place };
  return {
    ok: false,
    problems: parsed.error.issues.flatMap((issue) => flattenIssue(issue, []).map(place)),
  };
}

/** One problem an unknown key, each at its own place; of a union the alternatives' own problems. */
function flattenIssue(issue: z.core.$ZodIssue, prefix: Path): Flat[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such setting' }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => ({ path, message: `its name is not allowed: ${inner.message}` }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return issue.errors.flatMap((alternative) => alternative.flatMap((inner) => flattenIssue(inner, path)));
  }
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return [{ path, message: 'it is required' }];
  }
  return [{ path, message: issue.message }];
}

/** The node at a path, or the nearest one above it: a missing setting is reported where it is missing. */
function nodeAt(contents: unknown, path: Path): Node | undefined {
  let node: Node | undefined = isNode(contents) ? contents : undefined;
  let nearest: Node | undefined = node;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step);
      if (isScalar(pair?.key)) nearest = pair.key;
      node = isNode(pair?.value) ? pair.value : undefined;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      node = isNode(item) ? item : undefined;
      nearest = node ?? nearest;
    } else {
      return nearest;
    }
  }
  return nearest;
}

function pathText(path: Path): string {
  return path.map(String).join('.');
}
