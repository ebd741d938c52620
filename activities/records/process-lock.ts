import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { RecordsError } from './sql.ts';

/** How often the holder touches its lock file. */
const HEARTBEAT_MS = 5_000;
/** On another host (a shared volume) no pid can be asked: silence for six heartbeats means that the holder is gone. */
const SILENT_AFTER_MS = 30_000;
/** Taking over a stale lock takes milliseconds; a take-over file this old was left by a process that died in it. */
const TAKEOVER_ABANDONED_MS = 10_000;
const TAKEOVER_RETRY_MS = 20;

interface Holder {
  pid: number;
  /** When the process started, by the kernel: tells it from a later process with the same pid. */
  processStarted?: string;
  host: string;
  since: string;
  nonce: string;
}

export interface ProcessLock {
  release(): Promise<void>;
}

/**
 * Takes the lock file at `path` for this process. The lock of a process that is gone is taken over.
 * @param onLost called once when the file turns out to be somebody else's while we hold it.
 * @throws RecordsError Refused naming the process that holds it.
 */
export async function acquireProcessLock(path: string, onLost: () => void): Promise<ProcessLock> {
  const me: Holder = {
    pid: process.pid,
    processStarted: processStarted(process.pid),
    host: hostname(),
    since: new Date().toISOString(),
    nonce: randomUUID(),
  };
  while (!(await tryCreate(path, me))) {
    const holder = await readHolder(path);
    if (holder === undefined) continue;
    if (await isAlive(path, holder)) throw heldBy(path, holder);
    await takeOver(path, holder);
  }
  const heartbeat = setInterval(() => {
    beat(path, me.nonce).then((mine) => {
      if (mine) return;
      clearInterval(heartbeat);
      onLost();
    }, ignoreError);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
      if ((await readHolder(path))?.nonce === me.nonce) await rm(path, { force: true });
    },
  };
}

/** Creates the file whole or not at all: a link to a file that is complete already. */
async function tryCreate(path: string, me: Holder): Promise<boolean> {
  const aside = `${path}.${me.nonce}`;
  await writeFile(aside, JSON.stringify(me), { mode: 0o600 });
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** Removes a stale lock; a second file keeps two processes from doing it at once and removing each other's new one. */
async function takeOver(path: string, stale: Holder): Promise<void> {
  const guard = `${path}.takeover`;
  try {
    await writeFile(guard, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if ((await ageMs(guard)) > TAKEOVER_ABANDONED_MS) await rm(guard, { force: true });
    else await delay(TAKEOVER_RETRY_MS);
    return;
  }
  try {
    if ((await readHolder(path))?.nonce === stale.nonce) await rm(path, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

async function isAlive(path: string, holder: Holder): Promise<boolean> {
  if (holder.host !== hostname()) return (await ageMs(path)) <= SILENT_AFTER_MS;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = processStarted(holder.pid);
  return started === undefined || holder.processStarted === undefined || started === holder.processStarted;
}

/** Boot and start time of a process, or undefined where the system does not tell. */
function processStarted(pid: number): string | undefined {
  try {
    // Field 22 of /proc/<pid>/stat (proc_pid_stat(5)); the name in field 2 may hold spaces and brackets.
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const ticks = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${ticks}`;
  } catch {
    // No /proc: macOS and the BSDs.
  }
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
    return started === '' ? undefined : started;
  } catch {
    return undefined;
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new RecordsError(
      'Refused',
      `records: the lock file ${path} cannot be read; remove it when no Firebreak process runs on its folder`,
    );
  }
}

async function beat(path: string, nonce: string): Promise<boolean> {
  if ((await readHolder(path))?.nonce !== nonce) return false;
  const now = new Date();
  await utimes(path, now, now);
  return true;
}

async function ageMs(path: string): Promise<number> {
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch {
    return 0;
  }
}

function heldBy(path: string, holder: Holder): RecordsError {
  const who =
    holder.pid === process.pid && holder.host === hostname() ? 'this process' : `process ${holder.pid}`;
  return new RecordsError(
    'Refused',
    `records: the embedded records are open in ${who} (host ${holder.host}, since ${holder.since}; lock file ${path}). ` +
      'One process at a time can open them: stop that one, ask it through its HTTP API, or give records.postgresUrl ' +
      'so that several processes share the records',
  );
}

function ignoreError(): void {
  // A folder that cannot be read for a moment is no proof that the lock is lost; the next beat looks again.
}
