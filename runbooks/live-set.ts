import { createHash } from 'node:crypto';
import type { CompiledRunbook } from '../domain/runbook.ts';

/** A set of runbooks as it was loaded. Frozen: whoever holds it sees one set, whatever is loaded meanwhile. */
export interface RunbookSet {
  /** 1 for what was loaded at the start, one more for each set that replaced another. */
  generation: number;
  loadedAtMs: number;
  /** SHA-256 (hex) over names and content hashes, in the order in which runbooks are matched. */
  hash: string;
  runbooks: readonly CompiledRunbook[];
}

/** A version of a runbook, by what it says of itself and by its content. */
interface Named {
  version: number;
  hash: string;
}

export interface RunbookChange {
  name: string;
  /** Absent: it was added. */
  from?: Named;
  /** Absent: it was removed. */
  to?: Named;
  /** Another content under the same version: people and records would take the two for one. */
  versionKept: boolean;
}

export function runbookSet(
  runbooks: readonly CompiledRunbook[],
  { generation, loadedAtMs }: Pick<RunbookSet, 'generation' | 'loadedAtMs'>,
): RunbookSet {
  const identity = runbooks.map(({ name, hash }) => [name, hash]);
  const hash = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  return deepFreeze({ generation, loadedAtMs, hash, runbooks: [...runbooks] });
}

/** What differs, by name. Empty with different hashes: the order in which they are matched. */
export function changesBetween(before: RunbookSet, after: RunbookSet): RunbookChange[] {
  const names = new Set([...before.runbooks, ...after.runbooks].map(({ name }) => name));
  return [...names].sort().flatMap((name) => {
    const from = namedIn(before, name);
    const to = namedIn(after, name);
    if (from?.hash === to?.hash) return [];
    const versionKept = from !== undefined && to !== undefined && from.version === to.version;
    return [{ name, ...(from && { from }), ...(to && { to }), versionKept }];
  });
}

function namedIn({ runbooks }: RunbookSet, name: string): Named | undefined {
  const found = runbooks.find((runbook) => runbook.name === name);
  return found && { version: found.version, hash: found.hash };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}
