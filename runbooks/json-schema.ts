import { z } from 'zod';
import { INPUT_TEXT } from './inputs.ts';
import { MAX_STEPS, runbookSchema, stepSchema } from './schema.ts';
import { STEP_DEFINITIONS } from './steps/registry.ts';

/** Where the schema is published with the package: what an editor's `$schema` line names. */
const SCHEMA_ID = 'https://firebreak.dev/schemas/v1alpha1/runbook.json';

/** A runbook that pages and writes down: for editors that offer one to start from. */
const EXAMPLE = {
  apiVersion: 'firebreak.dev/v1alpha1',
  kind: 'Runbook',
  metadata: { name: 'model-latency', owner: 'ml-platform@example.com', version: 1 },
  spec: {
    match: ['alertname="ModelLatencyHigh"'],
    correlateBy: ['cluster', 'namespace', 'deployment'],
    severity: '"SEV3"',
    steps: [
      {
        id: 'page',
        uses: 'page',
        with: { roles: ['ml-oncall'], escalate: { after: '15m', to: ['commander'] } },
      },
      { id: 'postmortem', uses: 'postmortem', needs: ['page'], always: true },
    ],
  },
};

type JsonSchema = { [keyword: string]: unknown };

/**
 * JSON Schema (draft 2020-12) of a runbook file, with each step type's own input; for editors and other validators. It says
 * of a file what the zod schemas say: the rules `schema/*` and `steps/unknown-type`. All else is told by the compiler only.
 */
export function runbookJsonSchema(): JsonSchema {
  const { spec } = runbookSchema.shape;
  const variants = Object.entries(STEP_DEFINITIONS).map(([type, definition]) =>
    z.strictObject({
      ...stepSchema.shape,
      uses: z.literal(type).describe(definition.summary),
      with: withSchema(definition.input),
    }),
  );
  const [first, ...others] = variants;
  if (first === undefined)
    throw new Error('there are no step types: the registry in runbooks/steps is empty');
  const complete = z
    .strictObject({
      ...runbookSchema.shape,
      spec: z.strictObject({
        ...spec.shape,
        steps: z
          .array(z.discriminatedUnion('uses', [first, ...others]))
          .min(1)
          .max(MAX_STEPS)
          .describe('What happens.'),
      }),
    })
    .describe(runbookSchema.description ?? '');
  const { $schema, ...schema } = z.toJSONSchema(complete, { io: 'input' }) as JsonSchema;
  for (const step of stepVariants(schema)) step.properties.with = withInputs(step.properties.with);
  return {
    $schema,
    $id: SCHEMA_ID,
    title: 'Firebreak runbook',
    ...schema,
    examples: [EXAMPLE],
    $defs: {
      ...(schema.$defs as JsonSchema | undefined),
      input: {
        type: 'string',
        pattern: INPUT_TEXT.source,
        description: `A text with \${{ inputs.name }}; what it becomes is checked when the runbook is compiled.`,
      },
    },
  };
}

/** `with` may be left out where the step type's input has defaults for everything. */
function withSchema(input: z.ZodType<Record<string, unknown>>): z.ZodType {
  return input.safeParse({}).success ? input.optional() : input;
}

function stepVariants(schema: JsonSchema): { properties: JsonSchema }[] {
  type Root = {
    properties: { spec: { properties: { steps: { items: { oneOf: { properties: JsonSchema }[] } } } } };
  };
  return (schema as unknown as Root).properties.spec.properties.steps.items.oneOf;
}

const SCALARS: readonly unknown[] = ['string', 'number', 'integer', 'boolean'];
/** What says something about a field, rather than about its value, stays outside the alternatives. */
const ANNOTATIONS: readonly string[] = ['description', 'default', 'examples'];

/**
 * Under `with`, a text that reads an input stands for a value that only the compiler knows: it is taken wherever a scalar is
 * (inputs.ts says the same to the zod schemas).
 */
function withInputs(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  const node = schema as JsonSchema;
  const made: JsonSchema = {};
  for (const [keyword, value] of Object.entries(node)) {
    if (keyword === 'properties' || keyword === '$defs') {
      made[keyword] = Object.fromEntries(
        Object.entries(value as JsonSchema).map(([name, field]) => [name, withInputs(field)]),
      );
    } else if (keyword === 'items' || keyword === 'additionalProperties') made[keyword] = withInputs(value);
    else if (keyword === 'prefixItems') made[keyword] = (value as unknown[]).map(withInputs);
    else made[keyword] = value;
  }
  if (isScalar(node)) return orInput(made, [constraintsOf(made)]);
  const options = node.anyOf ?? node.oneOf;
  if (!Array.isArray(options)) return made;
  const anyOf = options.map((option) => (isScalar(option as JsonSchema) ? option : withInputs(option)));
  const { anyOf: _any, oneOf: _one, ...rest } = made;
  return options.some((option) => isScalar(option as JsonSchema))
    ? orInput(rest, anyOf)
    : { ...made, ...(node.anyOf === undefined ? { oneOf: anyOf } : { anyOf }) };
}

function isScalar(node: JsonSchema): boolean {
  return SCALARS.includes(node.type) || node.const !== undefined || Array.isArray(node.enum);
}

function orInput(node: JsonSchema, alternatives: unknown[]): JsonSchema {
  const annotations = Object.entries(node).filter(([keyword]) => ANNOTATIONS.includes(keyword));
  return { ...Object.fromEntries(annotations), anyOf: [...alternatives, { $ref: '#/$defs/input' }] };
}

function constraintsOf(node: JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(node).filter(([keyword]) => !ANNOTATIONS.includes(keyword)));
}
