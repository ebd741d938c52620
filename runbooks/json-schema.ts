import { z } from 'zod';
import { runbookSchema, stepSchema } from './schema.ts';
import { STEP_DEFINITIONS } from './steps/registry.ts';

/** Where the schema is published with the package: what an editor's `$schema` line names. */
const SCHEMA_ID = 'https://firebreak.dev/schemas/v1alpha1/runbook.json';

/** JSON Schema (draft 2020-12) of a runbook file, with each step type's own input; for editors. */
export function runbookJsonSchema(): Record<string, unknown> {
  const { spec } = runbookSchema.shape;
  const variants = Object.entries(STEP_DEFINITIONS).map(([type, definition]) =>
    z.strictObject({ ...stepSchema.shape, uses: z.literal(type), with: withSchema(definition.input) }),
  );
  const [first, ...others] = variants;
  if (first === undefined)
    throw new Error('there are no step types: the registry in runbooks/steps is empty');
  const complete = z.strictObject({
    ...runbookSchema.shape,
    spec: z.strictObject({
      ...spec.shape,
      steps: z.array(z.discriminatedUnion('uses', [first, ...others])).min(1),
    }),
  });
  return { ...z.toJSONSchema(complete, { io: 'input' }), $id: SCHEMA_ID, title: 'Firebreak runbook' };
}

/** `with` may be left out where the step type's input has defaults for everything. */
function withSchema(input: z.ZodType<Record<string, unknown>>): z.ZodType {
  return input.safeParse({}).success ? input.optional() : input;
}
