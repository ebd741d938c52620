import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Folders of PATH, in order. */
export function searchPath(): string[] {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
}

/** Where fetched parts are kept: `$XDG_CACHE_HOME/firebreak`, else `~/.cache/firebreak`. */
export function defaultCacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'firebreak');
}
