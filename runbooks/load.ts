import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CompiledRunbook } from '../domain/runbook.ts';
import { compileRunbook } from './compile.ts';
import { DEFAULT_RUNBOOK } from './match.ts';
import type { Problem, RuleId } from './rules.ts';
import { MAX_FILE_BYTES, YamlSource } from './yaml-source.ts';

/** The runbooks that are shipped. */
export const LIBRARY_PATH = fileURLToPath(new URL('./library', import.meta.url));

export interface LoadResult {
  /** In the order in which they are matched. With problems, those that compiled. */
  runbooks: CompiledRunbook[];
  /** All mistakes of all files; nothing should be run when there are any. */
  problems: Problem[];
  /** The files that were read, in order. */
  files: string[];
}

/**
 * Loads runbooks from files and folders, in the order given, files of a folder by name (its `.yaml` and `.yml` files, not
 * its subfolders). Without paths: the shipped library. The shipped `default` is added where no runbook has that name.
 */
export async function loadRunbooks(paths: readonly string[] = []): Promise<LoadResult> {
  const result: LoadResult = { runbooks: [], problems: [], files: [] };
  const sources = new Map<string, string>();
  for (const path of paths.length === 0 ? [LIBRARY_PATH] : paths) {
    for (const file of await filesOf(path, result.problems)) await loadFile(file, result, sources);
  }
  if (!result.runbooks.some((runbook) => runbook.name === DEFAULT_RUNBOOK)) {
    const shipped = join(LIBRARY_PATH, 'default.yaml');
    if (!result.files.includes(shipped)) await loadFile(shipped, result, sources);
  }
  return result;
}

async function filesOf(path: string, problems: Problem[]): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    // A mounted ConfigMap holds its files as links beside folders whose names start with two dots.
    const names = (await readdir(path))
      .filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('.'))
      .sort();
    if (names.length === 0)
      problems.push(fileProblem(path, 'file/unreadable', 'the folder holds no .yaml file'));
    return names.map((name) => join(path, name));
  } catch (error) {
    problems.push(fileProblem(path, 'file/unreadable', `cannot be read (${codeOf(error)}): check the path`));
    return [];
  }
}

async function loadFile(file: string, result: LoadResult, sources: Map<string, string>): Promise<void> {
  if (result.files.includes(file)) return;
  result.files.push(file);
  let text: string;
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) {
      result.problems.push(
        fileProblem(file, 'file/too-large', `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`),
      );
      return;
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    result.problems.push(
      fileProblem(file, 'file/unreadable', `cannot be read (${codeOf(error)}): check the path`),
    );
    return;
  }
  const compiled = compileRunbook(file, text);
  if (!compiled.ok) {
    result.problems.push(...compiled.problems);
    return;
  }
  const { name } = compiled.runbook;
  const other = sources.get(name);
  if (other !== undefined) {
    const message = `there is a runbook ${name} already, in ${other}: give this one another name`;
    result.problems.push(
      new YamlSource(file, text).problem('runbook/duplicate-name', ['metadata', 'name'], message),
    );
    return;
  }
  sources.set(name, file);
  result.runbooks.push(compiled.runbook);
}

function fileProblem(file: string, rule: RuleId, message: string): Problem {
  return { file, line: 1, column: 1, length: 1, rule, message, path: '' };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
