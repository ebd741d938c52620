import { open, rm, stat, utimes } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** How often the holder says that it lives, and how long its silence means that it does not. */
const HEARTBEAT_MS = 2_000;
const STALE_AFTER_MS = 15_000;
const RETRY_MS = 100;

/**
 * Runs `work` while holding the lock file at `path`; waits for another process that holds it. A holder touches the
 * file while it works, so that the lock of a killed process is taken over after 15 s, also between containers that
 * share a folder but no process ids. It saves work done twice; the callers stay correct (write aside, rename) should
 * two ever take over at the same moment.
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>, onWait?: () => void): Promise<T> {
  let told = false;
  while (!(await tryCreate(path))) {
    if (await isStale(path)) {
      await rm(path, { force: true });
      continue;
    }
    if (!told) onWait?.();
    told = true;
    await delay(RETRY_MS);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {
      // The folder was removed under us: the work itself will say so.
    });
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    await rm(path, { force: true });
  }
}

async function tryCreate(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > STALE_AFTER_MS;
  } catch {
    return false;
  }
}
