import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as letOthersRun } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { formatMatcher } from '../domain/matcher.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import { ignores } from './checks/ignored.ts';
import { type CompileOptions, type CompileResult, compileRunbook } from './compile.ts';
import { DEFAULT_RUNBOOK, NAMED_RUNBOOKS } from './match.ts';
import { hasErrors, type Problem } from './problem.ts';
import { fileProblem, readYamlFile, unreadable } from './read-file.ts';
import { didYouMean } from './suggest.ts';
import { YamlSource } from './yaml-source.ts';

/** The runbooks that are shipped. */
export const LIBRARY_PATH = fileURLToPath(new URL('./library', import.meta.url));
/** Scenarios stand beside the runbooks that they try. */
const SCENARIO_FILE = /\.scenario\.ya?ml$/;

export interface LoadOptions extends Omit<CompileOptions, 'shipped'> {
  /** How messages name the configuration, where what it sets is wrong. */
  configFile?: string | undefined;
}

export interface LoadResult {
  /** No errors: the runbooks can be used. There may be warnings. */
  ok: boolean;
  /** In the order in which they are matched. With errors, those that compiled. */
  runbooks: CompiledRunbook[];
  /** All mistakes and warnings of all files. */
  problems: Problem[];
  /** The files that were read as runbooks, in order. */
  files: string[];
}

/** One file as it was read, or why it could not be. */
interface SourceFile {
  file: string;
  read: Awaited<ReturnType<typeof readYamlFile>>;
  /** Of the library, and nobody asked for it by a path. */
  shipped: boolean;
  /** Asked for by its own name, not found in a folder. */
  named: boolean;
}

/** Everything that a set of runbooks is made of, in memory: what is compiled is what was read, and hashed, once. */
export interface RunbookSources {
  /** In order. A path of which nothing can be read is a problem in its place. */
  found: readonly (SourceFile | { problem: Problem })[];
  /** Used where no other runbook has their names. */
  shippedByName: readonly { name: string; source: SourceFile }[];
  /** SHA-256 (hex) of all of it: names, order, contents, and what could not be read. */
  hash: string;
}

/**
 * Loads runbooks from files and folders, in the order given, files of a folder by name (its `.yaml` and `.yml` files, neither
 * scenarios nor its subfolders). Without paths: the shipped library. The shipped `default` and `manual-rollback` are added where
 * no runbook has their names. Of files that are shipped and were not asked for by a path, names that the installation does not have are warnings.
 */
export async function loadRunbooks(
  paths: readonly string[] = [],
  options: LoadOptions = {},
): Promise<LoadResult> {
  return await compileRunbooks(await readRunbooks(paths), options);
}

/** Reads what `loadRunbooks` compiles. Never throws: what cannot be read is a problem. */
export async function readRunbooks(paths: readonly string[] = []): Promise<RunbookSources> {
  const shipped = paths.length === 0;
  const found: (SourceFile | { problem: Problem })[] = [];
  for (const path of shipped ? [LIBRARY_PATH] : paths) found.push(...(await readPath(path, shipped)));
  const shippedByName: { name: string; source: SourceFile }[] = [];
  for (const name of NAMED_RUNBOOKS) {
    const source = await readSource(join(LIBRARY_PATH, `${name}.yaml`), { shipped: true, named: false });
    shippedByName.push({ name, source });
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([found, shippedByName]))
    .digest('hex');
  return { found, shippedByName, hash };
}

/** Compiles what `readRunbooks` has read; see `loadRunbooks`. Lets other work run between two files. */
export async function compileRunbooks(
  sources: RunbookSources,
  options: LoadOptions = {},
): Promise<LoadResult> {
  const loading = new Loading(options);
  for (const one of sources.found) {
    if ('problem' in one) loading.problems.push(one.problem);
    else loading.addFile(one);
    await letOthersRun();
  }
  for (const { name, source } of sources.shippedByName) {
    if (!loading.runbooks.some((runbook) => runbook.name === name)) loading.addFile(source);
  }
  const { runbooks, problems, files } = loading;
  // A runbook with errors has a name too, which is not known here.
  if (!hasErrors(problems)) problems.push(...unknownRunbooks(runbooks, options));
  return { ok: !hasErrors(problems), runbooks, problems, files };
}

async function readPath(path: string, shipped: boolean): Promise<(SourceFile | { problem: Problem })[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [await readSource(path, { shipped, named: true })];
    // A mounted ConfigMap holds its files as links beside folders whose names start with two dots.
    const names = (await readdir(path))
      .filter((name) => /\.ya?ml$/.test(name) && !SCENARIO_FILE.test(name) && !name.startsWith('.'))
      .sort();
    if (names.length === 0) {
      return [{ problem: fileProblem(path, 'file/unreadable', 'the folder holds no .yaml file') }];
    }
    const files: SourceFile[] = [];
    for (const name of names) files.push(await readSource(join(path, name), { shipped, named: false }));
    return files;
  } catch (error) {
    return [{ problem: unreadable(path, error) }];
  }
}

async function readSource(file: string, how: { shipped: boolean; named: boolean }): Promise<SourceFile> {
  return { file, read: await readYamlFile(file), ...how };
}

class Loading {
  readonly runbooks: CompiledRunbook[] = [];
  readonly problems: Problem[] = [];
  readonly files: string[] = [];
  readonly #options: LoadOptions;
  readonly #fileOfName = new Map<string, string>();
  readonly #fileOfMatchers = new Map<string, string>();

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  addFile({ file, read, shipped, named }: SourceFile): void {
    if (this.files.includes(file)) return;
    if ('problem' in read) {
      this.files.push(file);
      this.problems.push(read.problem);
      return;
    }
    const compiled = compileRunbook(file, read.text, { ...this.#options, shipped });
    if (!compiled.ok && compiled.problems[0]?.rule === 'file/scenario') {
      if (named) this.problems.push(...compiled.problems);
      return;
    }
    this.files.push(file);
    this.problems.push(...compiled.problems);
    if (!compiled.ok) return;
    const { name } = compiled.runbook;
    const other = this.#fileOfName.get(name);
    if (other !== undefined) {
      const message = `there is a runbook ${name} already, in ${other}: give this one another name`;
      const source = new YamlSource(file, read.text);
      this.problems.push(source.problem('runbook/duplicate-name', ['metadata', 'name'], message));
      return;
    }
    this.#fileOfName.set(name, file);
    this.runbooks.push(compiled.runbook);
    this.#checkReached(file, read.text, compiled.runbook);
  }

  /** The first that matches answers: a later one with the same matchers never does. */
  #checkReached(file: string, text: string, { match, name }: CompiledRunbook): void {
    // The default answers what no other does, whatever it matches.
    if (match.length === 0) return;
    const matchers = [...new Set(match.map(formatMatcher))].sort().join('\n');
    const other = this.#fileOfMatchers.get(matchers);
    if (other === undefined) {
      this.#fileOfMatchers.set(matchers, file);
      return;
    }
    const source = new YamlSource(file, text);
    if (name === DEFAULT_RUNBOOK || ignores(source, 'runbook/never-matches')) return;
    const message = `answers no alert: ${other} has the same matchers and comes before it: change those of one`;
    this.problems.push(source.keyProblem('runbook/never-matches', ['spec', 'match'], message));
  }
}

/** Runbooks for which the configuration sets inputs, and which are not loaded. */
function unknownRunbooks(runbooks: readonly CompiledRunbook[], options: LoadOptions): Problem[] {
  const names = runbooks.map(({ name }) => name);
  return Object.keys(options.inputs ?? {})
    .filter((name) => !names.includes(name))
    .map((name) => {
      const message = `runbooks.inputs sets inputs of ${name}, and no runbook of this name is loaded${didYouMean(name, names)}`;
      return fileProblem(options.configFile ?? 'configuration', 'inputs/unknown-runbook', message);
    });
}

/** Reads and compiles one runbook, with the defaults of its inputs. */
export async function compileFile(file: string): Promise<CompileResult> {
  const read = await readYamlFile(file);
  return 'text' in read ? compileRunbook(file, read.text) : { ok: false, problems: [read.problem] };
}
