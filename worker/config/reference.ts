import { z } from 'zod';
import { formatDuration } from '../../domain/duration.ts';
import { configSchema, duration, secretRef } from './schema.ts';

/** What this page reads of a JSON Schema, as zod writes it. */
interface JsonSchema {
  type?: string;
  format?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minItems?: number;
  pattern?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
}

interface Row {
  path: string;
  type: string;
  preset: string;
  description: string;
}

/**
 * The reference page of firebreak.yaml (Markdown), generated from the schema: every setting with its path, type, default
 * and meaning. `<name>` in a path is a name of your choice, `[]` an entry of a list.
 */
export function configReference(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => annotate(zodSchema, jsonSchema as JsonSchema),
  }) as JsonSchema;
  const sections = Object.entries(schema.properties ?? {}).map(([name, section]) => {
    const rows = rowsOf(name, section, schema.required?.includes(name) ?? false);
    const lines = rows.map(
      ({ path, type, preset, description }) => `| \`${path}\` | ${type} | ${preset} | ${cell(description)} |`,
    );
    return [`## ${name}`, '', '| Setting | Type | Default | Meaning |', '|---|---|---|---|', ...lines].join(
      '\n',
    );
  });
  return [
    '# Configuration reference',
    '',
    '<!-- Generated from worker/config/schema.ts. -->',
    '',
    'Everything is in one file, `firebreak.yaml`. Relative paths are seen from its folder. Secrets are given by reference:',
    '`env:NAME` (an environment variable) or `file:PATH` (a file; one newline at its end is not part of the secret).',
    'Durations are written `90s`, `5m`, `1h30m` or `250ms`. `<name>` in a path is a name of your choice, `[]` an entry of',
    'a list. "required" means: where its section is given. A setting that is not in this list is an error.',
    '',
    sections.join('\n\n'),
    '',
  ].join('\n');
}

/** JSON Schema cannot say "duration" or "secret", and drops defaults that stand behind a transformation. */
function annotate(schema: unknown, json: JsonSchema): void {
  if (isA(schema, duration)) json.format = 'duration';
  if (isA(schema, secretRef)) json.format = 'secret';
  if (!(schema instanceof z.ZodDefault)) return;
  const preset: unknown = schema.def.defaultValue;
  const durationMs = isA(schema.def.innerType, duration) && typeof preset === 'number' ? preset : undefined;
  json.default = durationMs === undefined ? preset : durationText(durationMs);
}

/** A described schema is a copy with the same definition. */
function isA(schema: unknown, known: z.ZodType): boolean {
  return schema instanceof z.ZodType && schema.def === known.def;
}

/** As a person would write it in the file. */
function durationText(durationMs: number): string {
  for (const [unit, unitMs] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const) {
    if (durationMs >= unitMs && durationMs % unitMs === 0) return `${durationMs / unitMs}${unit}`;
  }
  return formatDuration(durationMs);
}

function rowsOf(path: string, schema: JsonSchema, required: boolean): Row[] {
  const own: Row = {
    path,
    type: typeOf(schema),
    preset: required ? 'required' : presetOf(schema),
    description: schema.description ?? '',
  };
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives !== undefined) {
    return [
      ...described(own),
      ...alternatives.flatMap((alternative) =>
        rowsOf(alternativePath(path, alternative), alternative, false),
      ),
    ];
  }
  if (schema.properties !== undefined) {
    const inner = Object.entries(schema.properties).flatMap(([name, property]) =>
      rowsOf(`${path}.${name}`, property, schema.required?.includes(name) ?? false),
    );
    return [...described(own), ...inner];
  }
  if (typeof schema.additionalProperties === 'object') {
    return [own, ...rowsOf(`${path}.<name>`, schema.additionalProperties, false)];
  }
  if (schema.items !== undefined && isCompound(schema.items)) {
    return [own, ...rowsOf(`${path}[]`, schema.items, false)];
  }
  return [own];
}

/** A section that has nothing to say is shown by its settings alone. */
function described(row: Row): Row[] {
  return row.description === '' ? [] : [row];
}

function alternativePath(path: string, alternative: JsonSchema): string {
  const type = alternative.properties?.type?.const;
  return typeof type === 'string' ? `${path}(${type})` : path;
}

function isCompound(schema: JsonSchema): boolean {
  return schema.properties !== undefined || schema.oneOf !== undefined || schema.anyOf !== undefined;
}

function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(' or ');
  if (schema.format === 'duration' || schema.format === 'secret') {
    return schema.format === 'secret' ? 'secret reference' : 'duration';
  }
  if (schema.format === 'uri') return 'URL';
  if (schema.format === 'email') return 'e-mail address';
  if (schema.type === 'array')
    return `list of ${schema.items === undefined ? 'values' : plural(schema.items)}`;
  if (schema.type === 'integer' && schema.minimum !== undefined && schema.maximum !== undefined) {
    return `integer, ${schema.minimum} to ${schema.maximum}`;
  }
  if (schema.type === 'object')
    return typeof schema.additionalProperties === 'object' ? 'map by name' : 'section';
  return schema.type ?? 'one of';
}

function plural(schema: JsonSchema): string {
  if (isCompound(schema)) return 'entries';
  return schema.format === 'secret' ? 'secret references' : `${typeOf(schema)}s`;
}

function presetOf(schema: JsonSchema): string {
  const { default: preset } = schema;
  if (preset === undefined) return '';
  if (Array.isArray(preset) && preset.length === 0) return 'none';
  if (typeof preset === 'object' && preset !== null && Object.keys(preset).length === 0) return 'none';
  return code(typeof preset === 'string' ? preset : JSON.stringify(preset));
}

function code(value: unknown): string {
  return `\`${String(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();
}
