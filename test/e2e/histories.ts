import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { type History, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { ScenarioRun } from '../../demo/run/scenario-run.ts';
import { createEncryptionCodec } from '../../worker/codec/encryption-codec.ts';
import { loadOrCreateKeys } from '../../worker/keys.ts';
import type { Installation } from './installation.ts';

export interface ReadHistory {
  workflowId: string;
  runId: string;
  type: string;
  history: History;
}

/** All histories of an installation's Temporal namespace, payloads decrypted with its keys. */
export async function histories(installation: Installation): Promise<ReadHistory[]> {
  const { payload } = await loadOrCreateKeys(`${installation.firebreak.dir}/data`);
  const codec = createEncryptionCodec(payload);
  const connection = await Connection.connect({ address: installation.stack.temporal.address });
  try {
    const client = new Client({ connection, namespace: installation.temporalNamespace });
    const found: ReadHistory[] = [];
    for await (const execution of client.workflow.list()) {
      const { workflowId, runId, type } = execution;
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      await decodeAll(history, codec);
      found.push({ workflowId, runId, type, history: history as unknown as History });
    }
    return found;
  } finally {
    await connection.close();
  }
}

interface PayloadLike {
  metadata?: Record<string, Uint8Array> | null;
  data?: Uint8Array | null;
}

function isPayload(value: object): value is PayloadLike {
  return 'metadata' in value && 'data' in value && value.data instanceof Uint8Array;
}

/** Replaces every encrypted payload below `value` in place by what it holds. */
async function decodeAll(value: unknown, codec: ReturnType<typeof createEncryptionCodec>): Promise<void> {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'object' || item === null) continue;
    if (isPayload(item)) {
      const [plain] = await codec.decode([item as never]);
      (value as Record<string, unknown>)[key] = plain;
    } else {
      await decodeAll(item, codec);
    }
  }
}

/**
 * The text of everything in the histories: of strings as they are, and of bytes (the data of decrypted payloads among
 * them) as UTF-8. JSON of a history would show bytes as numbers or base64, in which no text is ever found.
 */
export function textOf(read: readonly ReadHistory[]): string {
  const texts: string[] = [];
  collectText(
    read.map(({ history }) => history),
    texts,
  );
  return texts.join('\n');
}

function collectText(value: unknown, texts: string[]): void {
  if (typeof value === 'string') texts.push(value);
  else if (value instanceof Uint8Array) texts.push(Buffer.from(value).toString('utf8'));
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      texts.push(key);
      collectText(item, texts);
    }
  }
}

export const HISTORIES_DIR = path.resolve('test/replay/histories');

/** Writes the histories of each scenario's workflows, decrypted, where test/replay finds them. */
export async function recordHistories(
  installation: Installation,
  runs: ReadonlyMap<string, ScenarioRun>,
): Promise<void> {
  const all = await histories(installation);
  for (const [scenario, { view }] of runs) {
    const dir = path.join(HISTORIES_DIR, scenario);
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
    const target = view.target ? `/${view.target.namespace}/` : 'none';
    const own = all.filter(
      ({ workflowId }) =>
        workflowId === view.workflowId || workflowId.includes(view.incidentId) || workflowId.includes(target),
    );
    for (const { type, history } of own) {
      const text = historyToJSON(history as Parameters<typeof historyToJSON>[0]);
      await writeFile(path.join(dir, `${type}.json.gz`), gzipSync(text, { level: 9 }));
    }
  }
}
