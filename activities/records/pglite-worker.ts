/**
 * The thread that PGlite runs in: WebAssembly blocks its thread while it works, and the worker's main thread has
 * workflow tasks to answer in time. One message in, one out, in order; the other side sees to transactions.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';

export type PgliteRequest =
  | { id: number; op: 'query'; text: string; params: unknown[] }
  | { id: number; op: 'close' };
export type PgliteReply =
  | { id: number; rows: unknown[] }
  | { id: number; error: { message: string; code?: string } };

const port = parentPort;
if (port === null) throw new Error('pglite-worker runs in a worker thread only');

// Opened at once: the first message waits for it. Not "relaxed": a reply means that the commit has been written.
const opening = PGlite.create({
  dataDir: (workerData as { dataDir: string }).dataDir,
  relaxedDurability: false,
});
opening.catch(() => {
  // Every request rejects with it.
});

let tail: Promise<void> = Promise.resolve();
port.on('message', (request: PgliteRequest) => {
  tail = tail.then(async () => port.postMessage(await answer(request)));
});

async function answer(request: PgliteRequest): Promise<PgliteReply> {
  try {
    const db = await opening;
    if (request.op === 'close') {
      await db.close();
      return { id: request.id, rows: [] };
    }
    const result = await db.query(request.text, request.params);
    return { id: request.id, rows: result.rows };
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    const message = error instanceof Error ? error.message : 'unknown error';
    return { id: request.id, error: { message, ...(typeof code === 'string' ? { code } : {}) } };
  }
}
