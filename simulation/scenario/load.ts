import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { compileRunbook } from '../../runbooks/compile.ts';
import type { Problem } from '../../runbooks/problem.ts';
import { parsePart } from '../../runbooks/schema-problems.ts';
import { MAX_FILE_BYTES, YamlSource } from '../../runbooks/yaml-source.ts';
import { checkScenario } from './check.ts';
import { type Scenario, scenarioSchema } from './schema.ts';

export interface LoadedScenario {
  file: string;
  scenario: Scenario;
  runbook: CompiledRunbook;
  runbookFile: string;
}

export type LoadedScenarioResult = { ok: true; loaded: LoadedScenario } | { ok: false; problems: Problem[] };

/**
 * Reads a scenario and compiles its runbook with the scenario's inputs; tells every mistake of both at once.
 * @param runbookFile instead of the one that the scenario names.
 */
export async function loadScenario(file: string, runbookFile?: string): Promise<LoadedScenarioResult> {
  const text = await readText(file);
  if (typeof text !== 'string') return { ok: false, problems: [text] };
  const source = new YamlSource(file, text);
  if (source.problems.length > 0) return { ok: false, problems: source.problems };
  const { value: scenario, problems } = parsePart(source, scenarioSchema, source.value, []);
  if (scenario === undefined) return { ok: false, problems };

  const named = scenario.spec.runbook;
  if (runbookFile === undefined && named === undefined) {
    const message = 'the scenario names no runbook: write its path from this file';
    return { ok: false, problems: [source.problem('schema/missing-field', ['spec', 'runbook'], message)] };
  }
  const chosen = runbookFile ?? path.join(path.dirname(file), named ?? '');
  const runbookText = await readText(chosen);
  if (typeof runbookText !== 'string') {
    if (runbookFile !== undefined) return { ok: false, problems: [runbookText] };
    const message = `the runbook ${chosen} ${runbookText.message}`;
    return { ok: false, problems: [source.problem('file/unreadable', ['spec', 'runbook'], message)] };
  }
  const compiled = compileWith(chosen, runbookText, scenario.spec.inputs);
  if (!compiled.ok) return { ok: false, problems: compiled.problems };
  const mismatches = checkScenario(source, scenario, compiled.runbook);
  if (mismatches.length > 0) return { ok: false, problems: mismatches };
  return { ok: true, loaded: { file, scenario, runbook: compiled.runbook, runbookFile: chosen } };
}

/** Reads and compiles a runbook with the defaults of its inputs. */
export async function compileFile(
  file: string,
): Promise<{ ok: true; runbook: CompiledRunbook } | { ok: false; problems: Problem[] }> {
  const text = await readText(file);
  return typeof text === 'string' ? compileRunbook(file, text) : { ok: false, problems: [text] };
}

/** Inputs are set by the name of the runbook, as installations do it. Those it does not have are told by check.ts. */
function compileWith(file: string, text: string, inputs: Scenario['spec']['inputs']) {
  const plain = compileRunbook(file, text);
  if (!plain.ok || Object.keys(inputs).length === 0) return plain;
  const { name, inputs: declared } = plain.runbook;
  const own = Object.fromEntries(Object.entries(inputs).filter(([input]) => Object.hasOwn(declared, input)));
  return compileRunbook(file, text, { inputs: { [name]: own } });
}

async function readText(file: string): Promise<string | Problem> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) {
      return fileProblem(file, 'file/too-large', `is larger than ${MAX_FILE_BYTES / 1024} KiB`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return fileProblem(file, 'file/unreadable', `cannot be read (${code}): check the path`);
  }
}

function fileProblem(file: string, rule: Problem['rule'], message: string): Problem {
  return { file, line: 1, column: 1, length: 1, rule, severity: 'error', message, path: '' };
}
