import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import type { FetchContext, PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';
import { runCommand } from './run-command.ts';

const DOWNLOAD_TIMEOUT_MS = 5 * 60_000;
const UPDATE_TIMEOUT_MS = 3 * 60_000;
const UNPACK_TIMEOUT_MS = 60_000;
const FOLDER_PREFIX = 'debian-';
/** A source that cannot be reached must not hold up the others: seconds for each of apt's connections. */
const CONNECT_TIMEOUT_S = 20;

/**
 * A Debian (or Ubuntu) package, downloaded by apt, which checks the archive's signature, and unpacked into the cache:
 * nothing is installed and root is not needed. `executables` maps a part to its file name below /usr/bin.
 */
export function aptRoute(packageName: string, executables: Record<string, string>): PackageRoute {
  return {
    title: `Debian ${packageName} (apt-get download)`,
    executables: Object.fromEntries(
      Object.entries(executables).map(([part, file]) => [part, `usr/bin/${file}`]),
    ),
    matches: (name) => name.startsWith(FOLDER_PREFIX) && name.endsWith(`-${PLATFORM}`),
    fetch: async (context) => {
      const deb = await downloadPackage(packageName, context);
      context.progress(`unpacking ${deb}`);
      const file = join(context.into, deb);
      await runCommand('dpkg', ['-x', file, context.into], {
        timeoutMs: UNPACK_TIMEOUT_MS,
        signal: context.signal,
      });
      await rm(file);
      // name_version_architecture.deb
      return `${FOLDER_PREFIX}${deb.split('_')[1] ?? 'unknown'}-${PLATFORM}`;
    },
  };
}

async function downloadPackage(packageName: string, context: FetchContext): Promise<string> {
  context.progress(`apt-get download ${packageName}`);
  const download = (options: string[]) =>
    runCommand('apt-get', [...options, 'download', packageName], {
      cwd: context.into,
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      signal: context.signal,
    });
  try {
    await download([]);
  } catch (withSystemLists) {
    // No package lists yet, or lists so old that the archive has moved on: fetch fresh ones into folders of our own.
    const options = await privateLists(context).catch((error: Error) => {
      throw new Error(`${(withSystemLists as Error).message}; then ${error.message}`);
    });
    await download(options);
  }
  const deb = (await readdir(context.into)).find((name) => name.endsWith('.deb'));
  if (!deb) throw new Error(`apt-get reported success but left no package of ${packageName}`);
  return deb;
}

/** Runs `apt-get update` on folders inside the cache and gives the options that make apt use them. */
async function privateLists(context: FetchContext): Promise<string[]> {
  const root = join(context.cacheDir, 'apt');
  const lists = join(root, 'lists');
  const archives = join(root, 'archives');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  const options = [
    ['Dir::State::Lists', lists],
    ['Dir::Cache', root],
    ['Dir::Cache::archives', archives],
    ['Acquire::http::Timeout', String(CONNECT_TIMEOUT_S)],
    ['Acquire::https::Timeout', String(CONNECT_TIMEOUT_S)],
    // As root, apt would download as the user _apt, who has no right to these folders.
    ...(process.getuid?.() === 0 ? [['APT::Sandbox::User', 'root']] : []),
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await withFileLock(join(context.cacheDir, 'apt.lock'), async () => {
    context.progress('apt-get update (private package lists)');
    // One unreachable source among several makes it fail although the others are there: the download decides.
    await runCommand('apt-get', [...options, 'update'], {
      timeoutMs: UPDATE_TIMEOUT_MS,
      signal: context.signal,
    }).catch((error: Error) => context.progress(`apt-get update was not complete: ${firstLine(error)}`));
  });
  return options;
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? '';
}
