import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Replaces a file as a whole, so that no server reads half of it. Its name meanwhile starts with a dot. */
export async function writeAtomic(path: string, text: string, mode = 0o644): Promise<void> {
  const aside = join(dirname(path), `.${basename(path)}-${randomBytes(4).toString('hex')}`);
  await writeFile(aside, text, { mode });
  await rename(aside, path);
}

/** Names become file names: lower case letters, digits and dashes, at most 63. Throws otherwise. */
export function checkName(name: string): string {
  if (!NAME.test(name))
    throw new Error(`"${name}" is no name for a file of the stack: use [a-z0-9-], at most 63`);
  return name;
}
