/**
 * Writes the generated pages of docs/: configuration.md, runbook-reference.md and runbook.schema.json.
 * Run it with `node scripts/bootstrap.mjs scripts/docs.ts`; scripts/docs.test.ts fails while a page is stale.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runbookJsonSchema } from '../runbooks/json-schema.ts';
import { RULES } from '../runbooks/rules.ts';
import type { StepDefinition } from '../runbooks/steps/define.ts';
import { STEP_DEFINITIONS } from '../runbooks/steps/registry.ts';
import { configReference } from '../worker/config/reference.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const COMMAND = 'node scripts/bootstrap.mjs scripts/docs.ts';

/** The parts of a field of the JSON Schema that the page shows. */
interface Field {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  description?: string;
  default?: unknown;
  anyOf?: Field[];
  items?: Field;
  properties?: Record<string, Field>;
  required?: string[];
}

/** Every generated page by its path from the root, formatted. */
export function generatedPages(): Record<string, string> {
  const pages = {
    'docs/configuration.md': `${configReference().trimEnd()}\n\nThis page is generated: \`${COMMAND}\`.\n`,
    'docs/runbook-reference.md': runbookReference(),
    'docs/runbook.schema.json': `${JSON.stringify(runbookJsonSchema(), null, 2)}\n`,
  };
  return Object.fromEntries(Object.entries(pages).map(([file, text]) => [file, formatted(file, text)]));
}

function runbookReference(): string {
  const inputs = inputSchemas();
  const sections = Object.entries(STEP_DEFINITIONS).map(([type, definition]) =>
    [`### ${type}`, '', facts(definition), '', fieldTable(inputs[type])].join('\n'),
  );
  const rules = Object.entries(RULES).map(([id, text]) => `| \`${id}\` | ${cell(text)} |`);
  return [
    '# Runbook reference',
    '',
    'What each step type takes under `with`, and every rule that `firebreak runbook validate` checks.',
    'The language itself is explained in [runbooks.md](runbooks.md).',
    '',
    '## Step types',
    '',
    sections.join('\n\n'),
    '',
    '## Rules',
    '',
    'Messages say more; the ids are stable.',
    '',
    '| Rule | What it asks for |',
    '|---|---|',
    ...rules,
    '',
    `This page is generated: \`${COMMAND}\`.`,
    '',
  ].join('\n');
}

function facts(definition: StepDefinition): string {
  return [
    definition.mutates ? 'Changes production' : 'Changes nothing in production',
    definition.needsTarget ? 'needs a target' : 'works without a target',
    `default timeout ${minutes(definition.defaultTimeoutMs)}`,
    `an unknown condition means ${definition.whenUnknownDefault}`,
  ]
    .join('; ')
    .concat('.');
}

/** As a runbook would write it; every default is whole minutes. */
function minutes(durationMs: number): string {
  return `${durationMs / 60_000}m`;
}

function inputSchemas(): Record<string, Field> {
  const root = runbookJsonSchema() as { properties: { spec: { properties: { steps: { items: unknown } } } } };
  const { oneOf } = root.properties.spec.properties.steps.items as {
    oneOf: { properties: { uses: Field; with: Field } }[];
  };
  return Object.fromEntries(oneOf.map(({ properties }) => [String(properties.uses.const), properties.with]));
}

function fieldTable(input: Field | undefined): string {
  const rows = rowsOf('', input);
  if (rows.length === 0) return 'Takes no input.';
  return ['| Field | Type | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function rowsOf(prefix: string, input: Field | undefined): string[] {
  return Object.entries(input?.properties ?? {}).flatMap(([name, field]) => {
    const required = input?.required?.includes(name) ?? false;
    const preset = required ? 'required' : defaultOf(field);
    const row = `| \`${prefix}${name}\` | ${typeOf(field)} | ${preset} | ${cell(field.description ?? '')} |`;
    return [row, ...rowsOf(`${prefix}${name}.`, field)];
  });
}

function defaultOf({ default: preset }: Field): string {
  if (preset === undefined) return '';
  if (Array.isArray(preset) && preset.length === 0) return 'none';
  return `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``;
}

function typeOf(field: Field): string {
  if (field.const !== undefined) return `\`${String(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(' or ');
  if (field.anyOf !== undefined) return field.anyOf.map(typeOf).join(' or ');
  if (field.type === 'array') return `list of ${field.items === undefined ? 'values' : typeOf(field.items)}`;
  return field.type ?? 'any';
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '\\<').replace(/\s+/g, ' ').trim();
}

/** As `npm run check` wants it. */
function formatted(file: string, text: string): string {
  const biome = path.join(ROOT, 'node_modules', '.bin', 'biome');
  const run = spawnSync(biome, ['format', `--stdin-file-path=${file}`], {
    cwd: ROOT,
    input: text,
    encoding: 'utf8',
  });
  if (run.status !== 0)
    throw new Error(`${file} could not be formatted: ${run.stderr ?? run.error?.message}`);
  return run.stdout;
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(generatedPages())) writeFileSync(path.join(ROOT, file), text);
}
