import { join } from 'node:path';
import { findCached } from './cache.ts';
import { PART_SETS, PARTS, type PartName } from './catalog.ts';
import { defaultCacheDir, searchPath } from './environment.ts';
import { isExecutable } from './find-on-path.ts';

/** An executable that is on this machine already, on PATH or in the cache; undefined: it would have to be fetched. */
export async function findPart(name: PartName): Promise<string | undefined> {
  const { set, commands } = PARTS[name];
  for (const folder of searchPath()) {
    for (const command of commands) {
      const file = join(folder, command);
      if (await isExecutable(file)) return file;
    }
  }
  const { route } = PART_SETS[set];
  const folder = await findCached(defaultCacheDir(), set, route);
  return folder && join(folder, route.executables[name] ?? name);
}
