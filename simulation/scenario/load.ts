import path from 'node:path';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { compileRunbook } from '../../runbooks/compile.ts';
import type { Problem } from '../../runbooks/problem.ts';
import { readYamlFile } from '../../runbooks/read-file.ts';
import { parsePart } from '../../runbooks/schema-problems.ts';
import { YamlSource } from '../../runbooks/yaml-source.ts';
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
  if (kindOf(source.value) === 'Runbook') {
    const message =
      'this is a runbook, not a scenario: pass a file with kind: Scenario, as in runbook simulate RUNBOOK --scenario SCENARIO';
    return { ok: false, problems: [source.problem('schema/wrong-value', ['kind'], message)] };
  }
  const { value: scenario, problems } = parsePart(source, scenarioSchema, source.value, []);
  if (scenario === undefined) return { ok: false, problems: inOrder(problems) };

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
  const other = new YamlSource(chosen, runbookText);
  if (kindOf(other.value) === 'Scenario') {
    const message = 'this is a scenario, not a runbook: pass a file with kind: Runbook here';
    return { ok: false, problems: [other.problem('schema/wrong-value', ['kind'], message)] };
  }
  const compiled = compileWith(chosen, runbookText, scenario.spec.inputs);
  if (!compiled.ok) return { ok: false, problems: compiled.problems };
  const mismatches = checkScenario(source, scenario, compiled.runbook);
  if (mismatches.length > 0) return { ok: false, problems: mismatches };
  return { ok: true, loaded: { file, scenario, runbook: compiled.runbook, runbookFile: chosen } };
}

function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
}

function inOrder(problems: Problem[]): Problem[] {
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
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
  const read = await readYamlFile(file);
  return 'text' in read ? read.text : read.problem;
}
