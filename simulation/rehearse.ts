import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { compileFile } from '../runbooks/load.ts';
import type { Problem } from '../runbooks/problem.ts';
import { MAX_FILE_BYTES } from '../runbooks/yaml-source.ts';
import { Coverage, type RunbookCoverage } from './coverage.ts';
import { type Check, checkExpectations } from './expectations.ts';
import { type LoadedScenario, loadScenario } from './scenario/load.ts';
import { type SimulatedRun, simulate } from './simulate.ts';

/** How files of scenarios are called, so that they are told from runbooks. */
const SCENARIO_FILE = /\.scenario\.ya?ml$/;
/** Folders below this are somebody's whole disk. */
const MAX_DEPTH = 20;

/** What became of one scenario file. */
export interface Rehearsed {
  file: string;
  ok: boolean;
  /** What is wrong with the file or its runbook: nothing was run. */
  problems: Problem[];
  /** Why it could not be run to its end. */
  error?: string;
  loaded?: LoadedScenario;
  run?: SimulatedRun;
  checks: Check[];
  /** Real time. */
  tookMs: number;
}

/** Runs one scenario file and compares. Never throws for what can be wrong with the file, its runbook or its run. */
export async function rehearse(file: string, bundlePath: string, runbookFile?: string): Promise<Rehearsed> {
  const beganMs = performance.now();
  const result = await loadScenario(file, runbookFile);
  const ended = (more: Partial<Rehearsed>): Rehearsed => ({
    file,
    ok: false,
    problems: [],
    checks: [],
    tookMs: performance.now() - beganMs,
    ...more,
  });
  if (!result.ok) return ended({ problems: result.problems });
  const { loaded } = result;
  try {
    const run = await simulate(loaded, bundlePath);
    const checks = checkExpectations(loaded.scenario.spec.expect, run, loaded.runbook);
    return ended({ ok: checks.every(({ ok }) => ok), loaded, run, checks });
  } catch (error) {
    return ended({ loaded, error: error instanceof Error ? error.message : String(error) });
  }
}

/** A runbook, also one that cannot be read as YAML any further. */
const RUNBOOK_TEXT = /^(["']?)kind\1\s*:\s*(["']?)Runbook\2\s*(#.*)?$/m;
const YAML_FILE = /\.ya?ml$/;

/** Runbook files of folders (with their subfolders), by what they say they are; single files are scenarios. */
export async function findRunbooks(paths: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const one of paths) {
    if (!(await stat(one)).isDirectory()) continue;
    for (const file of await below(one, 0, (name) => YAML_FILE.test(name) && !SCENARIO_FILE.test(name))) {
      const status = await stat(file);
      // Opening a pipe waits for a writer.
      if (!status.isFile() || status.size > MAX_FILE_BYTES) continue;
      if (RUNBOOK_TEXT.test(await readFile(file, 'utf8'))) found.add(file);
    }
  }
  return [...found];
}

/**
 * Looks at runbooks that no scenario ran: nothing of them is covered, and one that is broken is told as what failed,
 * unless a scenario has told it.
 */
export async function withoutScenarios(
  runbooks: readonly string[],
  rehearsed: readonly Rehearsed[],
): Promise<{ broken: Rehearsed[]; uncovered: CoveredRunbook[] }> {
  const ran = new Set(rehearsed.flatMap(({ loaded }) => (loaded ? [path.resolve(loaded.runbookFile)] : [])));
  const told = new Set(
    rehearsed.flatMap(({ problems }) => problems.map((problem) => path.resolve(problem.file))),
  );
  const broken: Rehearsed[] = [];
  const uncovered: CoveredRunbook[] = [];
  for (const file of runbooks) {
    if (ran.has(path.resolve(file)) || told.has(path.resolve(file))) continue;
    const compiled = await compileFile(file);
    if (compiled.ok) {
      const { runbook } = compiled;
      uncovered.push({ name: runbook.name, file: path.normalize(file), ...new Coverage(runbook).report() });
    } else broken.push({ file, ok: false, problems: compiled.problems, checks: [], tookMs: 0 });
  }
  return { broken, uncovered };
}

/** Scenario files of files and folders (with their subfolders), each once, in the order of their paths. */
export async function findScenarios(paths: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const one of paths) {
    if ((await stat(one)).isDirectory()) for (const file of await below(one, 0, isScenario)) found.add(file);
    else found.add(one);
  }
  return [...found];
}

function isScenario(name: string): boolean {
  return SCENARIO_FILE.test(name);
}

async function below(folder: string, depth: number, wanted: (name: string) => boolean): Promise<string[]> {
  if (depth > MAX_DEPTH) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules')
      files.push(...(await below(file, depth + 1, wanted)));
    else if (wanted(entry.name)) files.push(file);
  }
  return files;
}

export interface CoveredRunbook extends RunbookCoverage {
  name: string;
  file: string;
}

/** Coverage by runbook file, over all scenarios that ran. */
export function coverageOf(rehearsed: readonly Rehearsed[]): CoveredRunbook[] {
  const byFile = new Map<string, Coverage>();
  for (const { loaded, run } of rehearsed) {
    if (!loaded || !run) continue;
    const file = path.normalize(loaded.runbookFile);
    const coverage = byFile.get(file) ?? new Coverage(loaded.runbook);
    coverage.add(run);
    byFile.set(file, coverage);
  }
  return [...byFile].map(([file, coverage]) => ({
    name: coverage.runbook.name,
    file,
    ...coverage.report(),
  }));
}
