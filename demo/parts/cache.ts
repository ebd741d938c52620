import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import { isExecutable } from './find-on-path.ts';
import type { PackageRoute } from './package-route.ts';

/** Half-filled folders of killed processes are removed after this long; no fetch takes a day. */
const ABANDONED_AFTER_MS = 24 * 60 * 60_000;

/**
 * The newest cached folder of a set of parts that the route would make today and that has all its executables.
 * Folders appear in the cache by rename, complete or not at all.
 */
export async function findCached(
  cacheDir: string,
  set: string,
  route: PackageRoute,
): Promise<string | undefined> {
  const names = await readdir(join(cacheDir, set)).catch(() => []);
  const complete: { folder: string; mtimeMs: number }[] = [];
  for (const name of names) {
    const folder = join(cacheDir, set, name);
    if (!(await route.matches(name))) continue;
    const executables = Object.values(route.executables).map((file) => isExecutable(join(folder, file)));
    if ((await Promise.all(executables)).every(Boolean)) {
      complete.push({ folder, mtimeMs: (await stat(folder)).mtimeMs });
    }
  }
  return complete.sort((a, b) => b.mtimeMs - a.mtimeMs)[0]?.folder;
}

export interface FetchOptions {
  progress: (detail: string) => void;
  /** Tries the executables of a filled folder before it enters the cache; throws where they are of no use. */
  verify: (folder: string) => Promise<void>;
  signal?: AbortSignal;
}

/** Fetches a set of parts into the cache, once among all processes that ask at the same time. Gives its folder. */
export async function fetchIntoCache(
  cacheDir: string,
  set: string,
  route: PackageRoute,
  { progress, verify, signal }: FetchOptions,
): Promise<string> {
  const unfinished = join(cacheDir, '.unfinished');
  await mkdir(unfinished, { recursive: true });
  await mkdir(join(cacheDir, set), { recursive: true });
  await removeAbandoned(unfinished);
  const lock = join(cacheDir, `${set}.lock`);
  const wait = () => progress('another process is fetching it: waiting');
  return withFileLock(
    lock,
    async () => {
      const already = await findCached(cacheDir, set, route);
      if (already) return already;
      const into = join(unfinished, `${set}-${process.pid}-${randomBytes(4).toString('hex')}`);
      await mkdir(into);
      try {
        const folder = join(cacheDir, set, await route.fetch({ cacheDir, into, progress, signal }));
        await verify(into);
        await moveIntoPlace(into, folder);
        return folder;
      } finally {
        await rm(into, { recursive: true, force: true });
      }
    },
    wait,
  );
}

async function moveIntoPlace(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    // There is a folder of this name that findCached refused (damaged by hand), or another process was faster.
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
}

async function removeAbandoned(unfinished: string): Promise<void> {
  for (const name of await readdir(unfinished)) {
    const folder = join(unfinished, name);
    const age = Date.now() - (await stat(folder).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > ABANDONED_AFTER_MS) await rm(folder, { recursive: true, force: true });
  }
}
