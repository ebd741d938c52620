import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { migrate } from './migrations.ts';
import type { PgliteReply, PgliteRequest } from './pglite-worker.ts';
import { acquireProcessLock } from './process-lock.ts';
import type { SqlClient, SqlParam, SqlRow, SqlSession } from './sql.ts';
import { RecordsError, toRecordsError } from './sql.ts';
import { createRecordsStore } from './sql-store.ts';
import type { RecordsStore } from './store.ts';

const LOCK_FILE = 'lock';
const DATA_FOLDER = 'pgdata';
/** An initialisation that was interrupted leaves a folder of this name, which the next start removes. */
const UNFINISHED_PREFIX = 'pgdata.unfinished-';

/**
 * Opens the embedded records in `dir` (made when missing): PGlite in a thread of its own. One process at a time.
 * What was answered survives the process being killed; PGlite does not call fsync, so the machine losing power can take
 * the last moments with it. Where that matters the records belong in PostgreSQL.
 * @throws RecordsError Refused when another process has them open.
 */
export async function openPglite(dir: string): Promise<RecordsStore> {
  const folder = resolve(dir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let thread: PgliteThread | undefined;
  const lock = await acquireProcessLock(join(folder, LOCK_FILE), () => {
    thread?.fail(new RecordsError('Unavailable', `records: another process has taken the lock of ${folder}`));
  });
  try {
    await initialise(folder);
    thread = startThread(join(folder, DATA_FOLDER));
    const client = pgliteClient(thread, () => lock.release());
    await migrate(client);
    return createRecordsStore(client);
  } catch (error) {
    await thread?.terminate();
    await lock.release();
    throw toRecordsError(error, `opening ${folder}`);
  }
}

/** Makes the database aside and renames it: a folder of that name is always a whole database. */
async function initialise(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(UNFINISHED_PREFIX)) await rm(join(folder, name), { recursive: true, force: true });
  }
  const data = join(folder, DATA_FOLDER);
  if (existsSync(data)) return;
  const unfinished = join(folder, `${UNFINISHED_PREFIX}${process.pid}`);
  const thread = startThread(unfinished);
  try {
    await thread.send({ op: 'query', text: 'select 1', params: [] });
    await thread.send({ op: 'close' });
  } finally {
    await thread.terminate();
  }
  await rename(unfinished, data);
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}

type Request = PgliteRequest extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface PgliteThread {
  send(request: Request): Promise<unknown[]>;
  /** Ends the thread; what is waiting and what comes later rejects with the reason. */
  fail(reason: Error): void;
  terminate(): Promise<void>;
}

function startThread(dataDir: string): PgliteThread {
  // Built files end in .js, sources run as they are: the thread's file ends as this one does.
  const file = new URL(`./pglite-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
  const worker = new Worker(file, { workerData: { dataDir }, name: 'records' });
  const waiting = new Map<number, { resolve: (rows: unknown[]) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  let failure: Error | undefined;

  const fail = (reason: Error) => {
    failure ??= reason;
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
    void worker.terminate();
  };
  worker.on('message', (reply: PgliteReply) => {
    const request = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('rows' in reply) request?.resolve(reply.rows);
    else request?.reject(Object.assign(new Error(reply.error.message), { code: reply.error.code }));
  });
  worker.on('error', (error) => {
    fail(
      new RecordsError(
        'Unavailable',
        `records: the database's thread broke: ${error.message}; restart the process`,
      ),
    );
  });
  worker.on('exit', () => {
    fail(new RecordsError('Unavailable', 'records: the embedded records are closed'));
  });

  return {
    send(request) {
      if (failure !== undefined) return Promise.reject(failure);
      lastId += 1;
      const id = lastId;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker.postMessage({ ...request, id } satisfies PgliteRequest);
      });
    },
    fail,
    async terminate() {
      await worker.terminate();
    },
  };
}

/** One session, so one user at a time: a transaction keeps every other statement waiting. */
function pgliteClient(thread: PgliteThread, release: () => Promise<void>): SqlClient {
  let tail: Promise<unknown> = Promise.resolve();
  let closing: Promise<void> | undefined;

  const session: SqlSession = {
    async query<Row extends SqlRow>(text: string, params: readonly SqlParam[] = []): Promise<Row[]> {
      try {
        return (await thread.send({ op: 'query', text, params: [...params] })) as Row[];
      } catch (error) {
        throw toRecordsError(error, 'a statement');
      }
    },
  };
  const exclusively = <T>(work: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) {
      return Promise.reject(new RecordsError('Unavailable', 'records: the embedded records are closed'));
    }
    const result = tail.then(work);
    tail = result.catch(() => {});
    return result;
  };

  return {
    embedded: true,
    query: (text, params) => exclusively(() => session.query(text, params)),
    transaction: (work) =>
      exclusively(async () => {
        await session.query('begin');
        try {
          const result = await work(session);
          await session.query('commit');
          return result;
        } catch (error) {
          await session.query('rollback').catch(() => {
            // The thread is gone; its failure is what the caller gets.
          });
          throw error;
        }
      }),
    close() {
      closing ??= tail
        .then(() => thread.send({ op: 'close' }))
        .catch(() => {
          // Broken already: what matters is that thread and lock go.
        })
        .then(() => thread.terminate())
        .then(release);
      return closing;
    },
  };
}
