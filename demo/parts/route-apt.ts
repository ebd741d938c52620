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

export interface AptPackage {
  name: string;
  /** File name below /usr/bin of each part. */
  executables: Record<string, string>;
  /** Packages that make it nicer (files of its web pages), and that it works without. */
  extras?: string[];
}

/**
 * A Debian (or Ubuntu) package, downloaded by apt, which checks the archive's signature, and unpacked into the cache:
 * nothing is installed and root is not needed.
 */
export function aptRoute({ name, executables, extras = [] }: AptPackage): PackageRoute {
  return {
    title: `Debian ${name} (apt-get download)`,
    executables: Object.fromEntries(
      Object.entries(executables).map(([part, file]) => [part, `usr/bin/${file}`]),
    ),
    matches: (folder) => folder.startsWith(FOLDER_PREFIX) && folder.endsWith(`-${PLATFORM}`),
    fetch: async (context) => {
      await download([name], context);
      await download(extras, context).catch((error: Error) =>
        context.progress(`without the files of its web pages: ${firstLine(error)}`),
      );
      const debs = (await readdir(context.into)).filter((file) => file.endsWith('.deb'));
      for (const deb of debs) await unpack(deb, context);
      // name_version_architecture.deb
      const [, version] = debs.find((deb) => deb.startsWith(`${name}_`))?.split('_') ?? [];
      if (!version) throw new Error(`apt-get reported success but left no package of ${name}`);
      return `${FOLDER_PREFIX}${version}-${PLATFORM}`;
    },
  };
}

async function unpack(deb: string, { into, signal, progress }: FetchContext): Promise<void> {
  progress(`unpacking ${deb}`);
  await runCommand('dpkg', ['-x', join(into, deb), into], { timeoutMs: UNPACK_TIMEOUT_MS, signal });
  await rm(join(into, deb));
}

async function download(packages: string[], context: FetchContext): Promise<void> {
  if (packages.length === 0) return;
  context.progress(`apt-get download ${packages.join(' ')}`);
  const run = (options: string[]) =>
    runCommand('apt-get', [...options, 'download', ...packages], {
      cwd: context.into,
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
      signal: context.signal,
    });
  try {
    await run([]);
  } catch (withSystemLists) {
    // No package lists yet, or lists so old that the archive has moved on: fetch fresh ones into folders of our own.
    const options = await privateLists(context).catch((error: Error) => {
      throw new Error(`${(withSystemLists as Error).message}; then ${error.message}`);
    });
    await run(options);
  }
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
