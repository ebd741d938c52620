/**
 * Writes the registry of step types from the folders of runbooks/steps: registry.ts for the compiler and the tools,
 * runners.ts for workflow code, which must not see zod. Run it with `node scripts/bootstrap.mjs scripts/steps.ts` after a
 * folder was added; scripts/steps.test.ts fails while they are stale.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const HEADER = '// Generated from the folders beside it: node scripts/bootstrap.mjs scripts/steps.ts';

/** Types by their folders: a folder of a step type has definition.ts and run.ts. */
function stepTypes(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(path.join(folder, entry.name, 'definition.ts')))
    .map((entry) => entry.name)
    .sort();
}

/** The generated files by their path from `root`. */
export function generatedRegistry(root: string): Record<string, string> {
  const types = stepTypes(path.join(root, 'runbooks/steps'));
  const list = types.map((type) => `  ${type},`).join('\n');
  return {
    'runbooks/steps/registry.ts': [
      HEADER,
      ...[
        ...types.map((type) => `import { definition as ${type} } from './${type}/definition.ts';`),
        `import type { StepDefinition } from './define.ts';`,
      ].sort((a, b) => (a.split(' from ')[1] ?? '').localeCompare(b.split(' from ')[1] ?? '')),
      '',
      '/** What the compiler and the tools know of every step type. */',
      'export const STEP_DEFINITIONS: Readonly<Record<string, StepDefinition>> = {',
      list,
      '};',
      '',
    ].join('\n'),
    'runbooks/steps/runners.ts': [
      HEADER,
      ...[
        ...types.map((type) => `import { run as ${type} } from './${type}/run.ts';`),
        `import type { StepRunner } from './context.ts';`,
      ].sort((a, b) => (a.split(' from ')[1] ?? '').localeCompare(b.split(' from ')[1] ?? '')),
      '',
      '/** The implementations of the step types: workflow code. */',
      'export const STEP_RUNNERS: Readonly<Record<string, StepRunner>> = {',
      list,
      '};',
      '',
    ].join('\n'),
  };
}

if (import.meta.main) {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '..'));
  for (const [file, text] of Object.entries(generatedRegistry(root)))
    writeFileSync(path.join(root, file), text);
}
