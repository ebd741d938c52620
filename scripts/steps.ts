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

interface Registry {
  what: string;
  name: string;
  /** File of a step type's folder, and the name that it exports. */
  from: string;
  exported: string;
  type: string;
  typeFrom: string;
}

const REGISTRIES: Record<string, Registry> = {
  'runbooks/steps/registry.ts': {
    what: 'What the compiler and the tools know of every step type.',
    name: 'STEP_DEFINITIONS',
    from: 'definition.ts',
    exported: 'definition',
    type: 'StepDefinition',
    typeFrom: './define.ts',
  },
  'runbooks/steps/runners.ts': {
    what: 'The implementations of the step types: workflow code.',
    name: 'STEP_RUNNERS',
    from: 'run.ts',
    exported: 'run',
    type: 'StepRunner',
    typeFrom: './context.ts',
  },
};

function render({ what, name, from, exported, type, typeFrom }: Registry, types: readonly string[]): string {
  const imports = [
    ...types.map((step) => ({ path: `./${step}/${from}`, line: `import { ${exported} as ${step} } from` })),
    { path: typeFrom, line: `import type { ${type} } from` },
  ].sort((a, b) => a.path.localeCompare(b.path));
  return [
    HEADER,
    ...imports.map(({ path: file, line }) => `${line} '${file}';`),
    '',
    `/** ${what} */`,
    `export const ${name}: Readonly<Record<string, ${type}>> = {`,
    ...types.map((step) => `  ${step},`),
    '};',
    '',
  ].join('\n');
}

/** The generated files by their path from `root`. */
export function generatedRegistry(root: string): Record<string, string> {
  const types = stepTypes(path.join(root, 'runbooks/steps'));
  return Object.fromEntries(
    Object.entries(REGISTRIES).map(([file, registry]) => [file, render(registry, types)]),
  );
}

if (import.meta.main) {
  const root = path.resolve(process.argv[2] ?? path.join(import.meta.dirname, '..'));
  for (const [file, text] of Object.entries(generatedRegistry(root)))
    writeFileSync(path.join(root, file), text);
}
