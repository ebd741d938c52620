import { z } from 'zod';
import { scenarioSchema } from './schema.ts';

/** Where the schema is published: what an editor's `$schema` line names. */
const SCHEMA_ID = 'https://firebreak.dev/schemas/v1alpha1/scenario.json';

/** JSON Schema (draft 2020-12) of a scenario file, for editors. */
export function scenarioJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(scenarioSchema, { io: 'input' }), $id: SCHEMA_ID, title: 'Firebreak scenario' };
}
