/**
 * Writes the generated pages of docs/: configuration.md, runbook-reference.md, rules.md, runbook.schema.json and
 * scenario.schema.json.
 * Run it with `node scripts/bootstrap.mjs scripts/docs.ts`; scripts/docs.test.ts fails while a page is stale.
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeDuration } from '../domain/duration.ts';
import { type CompileOptions, compileRunbook } from '../runbooks/compile.ts';
import { runbookJsonSchema } from '../runbooks/json-schema.ts';
import { formatProblems } from '../runbooks/report.ts';
import type { Rule } from '../runbooks/rules/rule.ts';
import { RULES } from '../runbooks/rules.ts';
import type { StepDefinition } from '../runbooks/steps/define.ts';
import { STEP_DEFINITIONS } from '../runbooks/steps/registry.ts';
import { scenarioJsonSchema } from '../simulation/scenario/json-schema.ts';
import { installationOf } from '../worker/config/installation.ts';
import { loadConfig } from '../worker/config/load.ts';
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
  $ref?: string;
  items?: Field;
  properties?: Record<string, Field>;
  required?: string[];
}

/** Every generated page by its path from the root, formatted. */
export function generatedPages(): Record<string, string> {
  const pages = {
    'docs/configuration.md': `${configReference().trimEnd()}\n\nThis page is generated: \`${COMMAND}\`.\n`,
    'docs/runbook-reference.md': runbookReference(),
    'docs/rules.md': rulesPage(),
    'docs/runbook.schema.json': `${JSON.stringify(runbookJsonSchema(), null, 2)}\n`,
    'docs/scenario.schema.json': `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`,
  };
  return Object.fromEntries(Object.entries(pages).map(([file, text]) => [file, formatted(file, text)]));
}

function runbookReference(): string {
  const inputs = inputSchemas();
  const sections = Object.entries(STEP_DEFINITIONS).map(([type, definition]) =>
    [
      `### ${type}`,
      '',
      definition.summary,
      '',
      facts(definition),
      '',
      fieldTable(inputs[type]),
      '',
      outputsOf(definition),
    ].join('\n'),
  );
  return [
    '# Runbook reference',
    '',
    'What each step type does, takes under `with`, and gives to steps that need it. The language itself is explained in',
    '[runbooks.md](runbooks.md), what `firebreak runbook validate` checks in [rules.md](rules.md).',
    '',
    `Under \`with\`, a text may read inputs of the runbook: \`\${{ inputs.name }}\`, alone also where a number is taken.`,
    '',
    '## Step types',
    '',
    sections.join('\n\n'),
    '',
    `This page is generated: \`${COMMAND}\`.`,
    '',
  ].join('\n');
}

/** Fixtures that break a rule have its name: what the compiler says of them is the example. */
const FIXTURES = path.join(ROOT, 'test', 'fixtures', 'runbooks');

function installed(): CompileOptions {
  const config = loadConfig(path.join(FIXTURES, 'firebreak.yaml'));
  return { inputs: config.runbooks.inputs, installation: installationOf(config) };
}

function rulesPage(): string {
  const sections = new Map<string, string[]>();
  for (const [id, rule] of Object.entries(RULES)) {
    const [group = ''] = id.split('/');
    sections.set(group, [...(sections.get(group) ?? []), ruleText(id, rule)]);
  }
  const rows = Object.entries(RULES).map(
    ([id, { severity, asks }]) => `| [\`${id}\`](#${id.replace('/', '')}) | ${severity} | ${cell(asks)} |`,
  );
  return [
    '# Rules of runbooks',
    '',
    'What `firebreak runbook validate` checks. The id of a rule stands at the end of each message, in brackets; ids are',
    'stable. An **error** keeps a runbook from being used. A **warning** does not, and can be turned off in the file, with',
    'a reason, for the whole runbook or for one step:',
    '',
    '```yaml',
    'metadata:',
    '  ignore:',
    '    - { rule: rollback/previous, step: rollback, reason: This model is released once a month. }',
    '```',
    '',
    'Rules that start with `config/` need to know the installation: `firebreak serve` checks them, and',
    '`firebreak runbook validate --config firebreak.yaml`.',
    '',
    '| Rule | | What it asks for |',
    '|---|---|---|',
    ...rows,
    '',
    ...[...sections].flatMap(([group, texts]) => [`## ${group}`, '', texts.join('\n\n'), '']),
    `This page is generated: \`${COMMAND}\`.`,
    '',
  ].join('\n');
}

function ruleText(id: string, rule: Rule): string {
  const example = exampleOf(id);
  return [
    `### ${id}`,
    '',
    `${rule.severity === 'error' ? 'Error' : 'Warning'}. ${cell(rule.asks)}`,
    '',
    `${cell(rule.why)} ${cell(rule.mend)}`,
    ...(example === undefined ? [] : ['', '```text', example, '```']),
  ].join('\n');
}

/** What the compiler says of the fixture of a rule, as far as it is about the rule. */
function exampleOf(id: string): string | undefined {
  const name = id.replace('/', '-');
  const file = [
    `invalid/${name}.yaml`,
    `valid/warning-${name}.yaml`,
    `invalid/config-${name}.yaml`,
    `invalid/${name}-*.yaml`,
  ]
    .flatMap((pattern) => globSync(pattern, { cwd: FIXTURES }).sort())
    .at(0);
  if (file === undefined) return undefined;
  const options = file.includes('/config-') ? installed() : {};
  const { problems } = compileRunbook(
    'runbook.yaml',
    readFileSync(path.join(FIXTURES, file), 'utf8'),
    options,
  );
  const first = problems.find(({ rule }) => rule === id);
  if (first === undefined)
    throw new Error(`the fixture ${file} does not break the rule ${id} that it is named for`);
  const [block] = formatProblems([first]).split('\n\n');
  // The place within the fixture says nothing here.
  return block?.replace(/^runbook.yaml:\d+:\d+ /, '');
}

function facts(definition: StepDefinition): string {
  return [
    typeof definition.changesProduction === 'function'
      ? 'Changes production, or not, by what it is given'
      : definition.changesProduction
        ? 'Changes production'
        : definition.mutates
          ? 'Changes nothing in production itself; is not run in observe mode'
          : 'Changes nothing in production',
    definition.needsTarget ? 'needs a target' : 'works without a target',
    `default timeout ${writeDuration(definition.defaultTimeoutMs)}`,
    `an unknown condition means ${definition.whenUnknownDefault}`,
  ]
    .join('; ')
    .concat('.');
}

function outputsOf({ outputs }: StepDefinition): string {
  if (typeof outputs === 'function') return 'Its outputs are the names that it declares.';
  const listed = Object.entries(outputs).map(([name, type]) => `\`${name}\` (${OUTPUT_TYPES[type]})`);
  return listed.length === 0 ? 'It has no outputs.' : `Outputs: ${listed.join(', ')}.`;
}

const OUTPUT_TYPES = {
  string: 'text',
  double: 'number',
  bool: 'true or false',
  'list<string>': 'list of texts',
  dyn: 'any',
} as const;

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
  // Everywhere under `with`, a text may read an input: the page says so once.
  const options = field.anyOf?.filter(({ $ref }) => $ref !== '#/$defs/input');
  if (options !== undefined) return [...new Set(options.map(typeOf))].join(' or ');
  if (field.type === 'array') return `list of ${field.items === undefined ? 'values' : typeOf(field.items)}`;
  return field.type ?? 'any';
}

/** Text of a table or paragraph: what Markdown would read as markup is escaped. */
function cell(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll('__', '\\_\\_')
    .replaceAll('<', '\\<')
    .replace(/\s+/g, ' ')
    .trim();
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
