import { runCommand } from './run-command.ts';

/** Tens of megabytes at most; a slow line is given time. */
const DOWNLOAD_TIMEOUT_MS = 5 * 60_000;

export interface GoModuleVersion {
  module: string;
  /** With the leading v. */
  version: string;
  /** `h1:` hash of the module's zip, as in a go.sum. */
  sum: string;
  /** Any folder: one without a go.mod keeps other modules out of it. */
  cwd: string;
  signal?: AbortSignal;
}

/**
 * Has a module in the module cache, by Go's own client.
 * @returns its folder there, which is read-only.
 * @throws Error where it cannot be had, or its hash is another one than the pinned.
 */
export async function downloadGoModule({
  module,
  version,
  sum,
  cwd,
  signal,
}: GoModuleVersion): Promise<string> {
  const answer = await runCommand('go', ['mod', 'download', '-json', `${module}@${version}`], {
    cwd,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
    signal,
  });
  // The notices about a newer toolchain come before the JSON, in the same output.
  const downloaded = JSON.parse(answer.slice(answer.indexOf('{'))) as { Dir: string; Sum: string };
  if (downloaded.Sum !== sum) throw new Error(`its hash is ${downloaded.Sum}, and ${sum} is pinned`);
  return downloaded.Dir;
}
