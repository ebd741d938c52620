import type { ASTNode } from '@marcbachmann/cel-js';
import { didYouMean } from './suggest.ts';

/** Loops in one expression: nested loops over lists multiply. */
const MAX_LOOPS = 2;
const LOOPS: readonly string[] = ['all', 'exists', 'exists_one', 'map', 'filter'];
/** Fields of `target` in expressions with their CEL types. */
export const TARGET_FIELDS = {
  cluster: 'string',
  namespace: 'string',
  kind: 'string',
  name: 'string',
  exists: 'bool',
  owner: 'string',
  riskTier: 'string',
  mode: 'string',
  images: 'list<string>',
  revision: 'int',
  replicas: 'int',
} as const;

/** Fields of `incident` in expressions with their CEL types. */
export const INCIDENT_FIELDS = {
  severity: 'string',
  round: 'double',
  acknowledged: 'bool',
  firing: 'double',
} as const;

const EXPRESSION_ROOTS: readonly string[] = ['metrics', 'steps', 'target', 'alert', 'inputs', 'incident'];
/** Read as a whole: the time of the measurement. */
const NOW = 'now';

type ExpressionRule = 'cel/syntax' | 'cel/type' | 'cel/limit' | 'cel/not-allowed' | 'cel/unknown-name';

/** A mistake in an expression; `start` and `end` are offsets in its text. */
export interface ExpressionProblem {
  rule: ExpressionRule;
  start: number;
  end: number;
  message: string;
}

/** Something that an expression reads. */
export type Reference =
  | { kind: 'metric'; name: string; start: number; end: number }
  | { kind: 'step'; id: string; output: string | undefined; start: number; end: number }
  | { kind: 'target'; field: string; start: number; end: number }
  | { kind: 'input'; name: string; start: number; end: number }
  | { kind: 'incident'; field: string; start: number; end: number }
  | { kind: 'label'; name: string; start: number; end: number };

export interface ParsedExpression {
  references: Reference[];
  problems: ExpressionProblem[];
  /** CEL type of the value, as far as it is known; undefined when there are problems. */
  type: string | undefined;
  /** The texts among the values that the whole expression can have, in branches of `?:` as well. */
  literals: { value: string; start: number; end: number }[];
}

/** Walks the syntax tree for references and for what is not allowed. `locals` are variables of loops around the node. */
export function inspect(
  node: ASTNode,
  result: ParsedExpression,
  locals: ReadonlySet<string>,
  seen: { loops: number },
): void {
  const reject = (message: string, rule: ExpressionRule = 'cel/not-allowed') =>
    result.problems.push({ rule, start: node.start, end: node.end, message });
  switch (node.op) {
    case 'id':
      if (locals.has(node.args) || node.args === NOW) return;
      if (!EXPRESSION_ROOTS.includes(node.args)) {
        const message = `unknown name ${node.args}: expressions read metrics, steps, inputs, target, incident, alert.labels and now, and text stands in quotes`;
        reject(message, 'cel/unknown-name');
      } else {
        // As a whole, an unknown metric would simply be absent, and `metrics.all(...)` known without it.
        reject(`${node.args} is read by name only: write ${EXAMPLES[node.args] ?? node.args}`);
      }
      return;
    case '.':
    case '[]': {
      if (readReference(node, result, locals)) return;
      break;
    }
    case 'call': {
      const [name, args] = node.args;
      if (name === 'double') {
        // double("NaN") of a label would be neither above nor below a limit, and yet be "known".
        reject('double() is not used: numbers of metrics are doubles already, and labels are text');
      }
      const [first] = args;
      if (name === 'has' && first !== undefined && rootOf(first) === 'metrics') {
        reject(
          'has() of a metric is not used: an unknown metric makes the condition unknown, see whenUnknown',
        );
        return;
      }
      if (name === 'has' && first !== undefined && rootOf(first) !== undefined) {
        inspect(first, result, locals, seen);
        return;
      }
      break;
    }
    case 'rcall': {
      const [method, receiver, args] = node.args;
      if (method === 'matches') {
        reject(
          'matches() is not used on alerts: use contains, startsWith, endsWith or ==, or a matcher with =~ in match',
        );
      }
      if (LOOPS.includes(method)) {
        seen.loops += 1;
        if (seen.loops === MAX_LOOPS + 1)
          reject(`at most ${MAX_LOOPS} loops (all, exists, map, ...)`, 'cel/limit');
        const [variable] = args;
        if (variable?.op === 'id') {
          inspect(receiver, result, locals, seen);
          const inner = new Set([...locals, variable.args]);
          for (const arg of args.slice(1)) inspect(arg, result, inner, seen);
          return;
        }
      }
      if (receiver.op === 'id' && receiver.args === 'cel') {
        reject('cel.bind is not used: define a metric instead');
        return;
      }
      break;
    }
    case '/': {
      const [, divisor] = node.args;
      // 0.0 / 0.0 is NaN in CEL, which is neither above nor below a limit: known, and wrong.
      if (divisor.op !== 'value' || Number(divisor.args) === 0) {
        reject('divide by literals only: define a metric { ratio: [a, b] }, which is unknown where b is 0');
      }
      break;
    }
    default:
  }
  for (const child of childrenOf(node)) inspect(child, result, locals, seen);
}

const EXAMPLES: Record<string, string> = {
  metrics: 'metrics.harmRate',
  steps: 'steps.rollback.revision',
  target: 'target.riskTier',
  inputs: 'inputs.limit',
  incident: 'incident.severity',
  alert: 'alert.labels.severity',
};

/** @returns true when the node is a whole reference (or was reported); its inside needs no further look. */
function readReference(node: ASTNode, result: ParsedExpression, locals: ReadonlySet<string>): boolean {
  const path = pathOf(node);
  if (path === undefined) return false;
  const [root, first, second] = path.names;
  if (root === undefined || locals.has(root) || !EXPRESSION_ROOTS.includes(root)) return false;
  const at = { start: node.start, end: node.end };
  if (path.dynamic) {
    result.problems.push({
      rule: 'cel/not-allowed',
      ...at,
      message: `${root} is read by literal names only`,
    });
    return true;
  }
  if (first === undefined) return false;
  if (root === 'metrics') result.references.push({ kind: 'metric', name: first, ...at });
  else if (root === 'steps') result.references.push({ kind: 'step', id: first, output: second, ...at });
  else if (root === 'inputs') result.references.push({ kind: 'input', name: first, ...at });
  else if (root === 'target' || root === 'incident') {
    const fields = root === 'target' ? TARGET_FIELDS : INCIDENT_FIELDS;
    if (Object.hasOwn(fields, first)) result.references.push({ kind: root, field: first, ...at });
    else {
      const message = `${root === 'target' ? 'a target' : 'an incident'} has no ${first}${didYouMean(first, Object.keys(fields))}`;
      result.problems.push({ rule: 'cel/unknown-name', ...at, message });
    }
  } else if (first === 'labels' && second !== undefined)
    result.references.push({ kind: 'label', name: second, ...at });
  else {
    const message = 'of an alert, expressions read labels only: write alert.labels.severity';
    result.problems.push({ rule: 'cel/unknown-name', ...at, message });
  }
  return true;
}

/** `a.b["c"]` as names, or undefined where the node does not start at a name. `dynamic`: an index is no literal. */
function pathOf(node: ASTNode): { names: string[]; dynamic: boolean } | undefined {
  if (node.op === 'id') return { names: [node.args], dynamic: false };
  if (node.op === '.') {
    const inner = pathOf(node.args[0]);
    return inner && { names: [...inner.names, node.args[1]], dynamic: inner.dynamic };
  }
  if (node.op === '[]') {
    const [object, index] = node.args;
    const inner = pathOf(object);
    if (inner === undefined) return undefined;
    const literal = index.op === 'value' && typeof index.args === 'string';
    // target.images[0]: a position in a list is no name, but a literal all the same.
    const position = index.op === 'value' && typeof index.args === 'bigint' && inner.names.length > 1;
    return {
      names: literal ? [...inner.names, String(index.args)] : inner.names,
      dynamic: inner.dynamic || !(literal || position),
    };
  }
  return undefined;
}

function rootOf(node: ASTNode): string | undefined {
  return pathOf(node)?.names[0];
}

function childrenOf(node: ASTNode): ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) collect(item);
    else if (typeof value === 'object' && value !== null && 'op' in value && 'args' in value)
      found.push(value as ASTNode);
  };
  collect(node.args);
  return found;
}

/** The texts that an expression can have as its value. */
export function collectLiterals(node: ASTNode, into: ParsedExpression['literals']): void {
  if (node.op === '?:') {
    collectLiterals(node.args[1], into);
    collectLiterals(node.args[2], into);
  } else if (node.op === 'value' && typeof node.args === 'string') {
    into.push({ value: node.args, start: node.start, end: node.end });
  }
}
