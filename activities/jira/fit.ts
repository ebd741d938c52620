import { type AdfDocument, type AdfNode, documentOf } from './adf.ts';
import { MAX_DOCUMENT } from './limits.ts';

/**
 * A document within Jira's limit: its end is left out, by blocks, rows and items, never within one, and `note` says so.
 * @param tail what stays at the end whatever is cut.
 * @param spare characters left free, for what is added later.
 */
export function fitted(content: AdfNode[], note: AdfNode[], tail: AdfNode[] = [], spare = 0): AdfDocument {
  const limit = MAX_DOCUMENT - spare;
  const whole = documentOf([...content, ...tail]);
  if (lengthOf(whole) <= limit) return whole;
  const room = limit - lengthOf(documentOf([...note, ...tail]));
  return documentOf([...within(content, room), ...note, ...tail]);
}

function lengthOf(value: unknown): number {
  return JSON.stringify(value).length;
}

/** The first nodes that fit; of the first that does not, the rows or items that do. */
function within(nodes: readonly AdfNode[], length: number): AdfNode[] {
  const kept: AdfNode[] = [];
  let left = length;
  for (const node of nodes) {
    // And the comma.
    const needed = lengthOf(node) + 1;
    if (needed <= left) {
      kept.push(node);
      left -= needed;
      continue;
    }
    const part = partOf(node, left);
    if (part) kept.push(part);
    break;
  }
  return kept;
}

const DIVISIBLE: ReadonlySet<string> = new Set(['table', 'bulletList', 'orderedList']);

function partOf(node: AdfNode, length: number): AdfNode | undefined {
  if (!DIVISIBLE.has(node.type)) return undefined;
  const frame = lengthOf({ ...node, content: [] });
  const content = within(node.content ?? [], length - frame - 1);
  return content.length === 0 ? undefined : { ...node, content };
}
