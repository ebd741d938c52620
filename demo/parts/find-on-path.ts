import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PartName, VersionCheck } from './catalog.ts';
import { PARTS } from './catalog.ts';
import { runCommand } from './run-command.ts';

const VERSION_TIMEOUT_MS = 10_000;

/** An executable that answered its version check; `version` is undefined where the part has none. */
export interface FoundPart {
  path: string;
  version?: string;
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Looks through the folders for a part of a sufficient version. Gives what it found, or why nothing was taken. */
export async function findOnPath(part: PartName, folders: readonly string[]): Promise<FoundPart | string> {
  const { commands, version } = PARTS[part];
  const refused: string[] = [];
  for (const command of commands) {
    for (const folder of folders) {
      const path = join(folder, command);
      if (!(await isExecutable(path))) continue;
      try {
        return { path, version: version && (await checkVersion(path, version)) };
      } catch (error) {
        refused.push(`${path}: ${(error as Error).message}`);
      }
    }
  }
  return refused.length > 0 ? refused.join('; ') : `no ${commands.join(' or ')}`;
}

/** Runs the executable's version command. Throws where it fails or says too old a version. */
export async function checkVersion(path: string, check: VersionCheck): Promise<string> {
  const output = await runCommand(path, check.args, { timeoutMs: VERSION_TIMEOUT_MS });
  const found = check.pattern.exec(output)?.[1];
  if (!found) throw new Error('its version could not be read');
  if (isOlder(found, check.atLeast)) throw new Error(`version ${found} is older than ${check.atLeast}`);
  return found;
}

/** Compares `major.minor[.patch]` by number. */
export function isOlder(version: string, atLeast: string): boolean {
  const have = version.split('.').map(Number);
  const want = atLeast.split('.').map(Number);
  for (const [index, wanted] of want.entries()) {
    const difference = (have[index] ?? 0) - wanted;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
