import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchIntoCache, findCached } from './cache.ts';
import { withFileLock } from './file-lock.ts';
import type { PackageRoute } from './package-route.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'firebreak-cache-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

const nothing = { progress: () => {}, verify: async () => {} };

function route(name: string, fill: (into: string) => Promise<void>): PackageRoute {
  return {
    title: 'a test package',
    executables: { tool: 'bin/tool' },
    matches: (folder) => folder === name,
    fetch: async ({ into }) => {
      await fill(into);
      return name;
    },
  };
}

async function putTool(into: string): Promise<void> {
  await mkdir(join(into, 'bin'));
  await writeFile(join(into, 'bin', 'tool'), '#!/bin/sh\n');
  await chmod(join(into, 'bin', 'tool'), 0o755);
}

describe('fetchIntoCache', () => {
  it('fetches once for all who ask at the same time', async () => {
    let fetches = 0;
    const counted = route('v1', async (into) => {
      fetches += 1;
      await putTool(into);
    });
    const folders = await Promise.all([1, 2, 3].map(() => fetchIntoCache(cacheDir, 'set', counted, nothing)));
    expect(fetches).toBe(1);
    expect(new Set(folders)).toEqual(new Set([join(cacheDir, 'set', 'v1')]));
    expect(await findCached(cacheDir, 'set', counted)).toBe(folders[0]);
  });

  it('leaves nothing in the cache when the fetch fails or its result is of no use', async () => {
    const failing = route('v1', async (into) => {
      await putTool(into);
      throw new Error('the line broke');
    });
    await expect(fetchIntoCache(cacheDir, 'set', failing, nothing)).rejects.toThrow('the line broke');
    const verify = () => Promise.reject(new Error('cannot run here'));
    const useless = fetchIntoCache(cacheDir, 'set', route('v1', putTool), { ...nothing, verify });
    await expect(useless).rejects.toThrow('cannot run here');
    expect(await readdir(join(cacheDir, 'set'))).toEqual([]);
    expect(await readdir(join(cacheDir, '.unfinished'))).toEqual([]);
  });

  it('fetches again what was damaged, and does not take another version', async () => {
    const first = await fetchIntoCache(cacheDir, 'set', route('v1', putTool), nothing);
    expect(await findCached(cacheDir, 'set', route('v2', putTool))).toBeUndefined();
    await rm(join(first, 'bin', 'tool'));
    expect(await findCached(cacheDir, 'set', route('v1', putTool))).toBeUndefined();
    await writeFile(join(first, 'left-over'), '');
    await fetchIntoCache(cacheDir, 'set', route('v1', putTool), nothing);
    expect(await readdir(first)).toEqual(['bin']);
  });
});

describe('withFileLock', () => {
  it('lets one in at a time', async () => {
    const lock = join(cacheDir, 'lock');
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await readdir(cacheDir);
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 5 }, () => withFileLock(lock, work)));
    expect(most).toBe(1);
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it('takes over from a holder that has fallen silent', async () => {
    const lock = join(cacheDir, 'lock');
    const longAgo = new Date(Date.now() - 60_000);
    await writeFile(lock, '');
    await utimes(lock, longAgo, longAgo);
    expect(await withFileLock(lock, async () => 'done')).toBe('done');
  });
});
