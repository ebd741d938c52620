import { z } from 'zod';
import { parseExpression } from '../../expressions.ts';
import { defineStep, type OutputType } from '../define.ts';
import { expression } from '../fields.ts';

/** All are evaluated over one measurement, which has to be done within seconds. */
const MAX_VALUES = 20;

const valueName = z
  .string()
  .regex(
    /^[a-z][a-zA-Z0-9_]*$/,
    'a value starts with a lower case letter and has letters, digits and _ only',
  );

/** Measures once. Each value is an output of its own name; one that is unknown is no output. */
export const measureInput = z.strictObject({
  values: z
    .record(valueName, expression)
    .refine((values) => Object.keys(values).length > 0, 'at least one value, such as rate: metrics.harmRate')
    .refine((values) => Object.keys(values).length <= MAX_VALUES, `at most ${MAX_VALUES} values`)
    // As the refinements say it, for editors.
    .meta({ minProperties: 1, maxProperties: MAX_VALUES })
    .describe('CEL by the name under which other steps read the value: steps.<id>.<name>.'),
  onUnknown: z
    .enum(['fail', 'continue'])
    .default('fail')
    .describe('What an unknown value does: fail the step, or be left out.'),
});

export type MeasureInput = z.output<typeof measureInput>;

/** Whole numbers come back as doubles: JSON has one kind of number. */
const OUTPUT_TYPES: Readonly<Record<string, OutputType>> = {
  double: 'double',
  int: 'double',
  uint: 'double',
  bool: 'bool',
  string: 'string',
};

/** The texts under `values`, as far as there are any. */
function textsOf(values: unknown): [name: string, text: string][] {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return [];
  return Object.entries(values).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
}

export const definition = defineStep({
  summary: 'Measures values once and keeps them, with the readings they were made of, as evidence.',
  input: measureInput,
  outputs: ({ values }) =>
    Object.fromEntries(
      textsOf(values).map(([name, text]) => [name, OUTPUT_TYPES[parseExpression(text).type ?? ''] ?? 'dyn']),
    ),
  describe: ({ values, onUnknown }) =>
    `measures ${Object.keys(values).join(', ')}${onUnknown === 'continue' ? ', and goes on without what is unknown' : ''}`,
  expressions: ({ values }) =>
    textsOf(values).map(([name, text]) => ({ path: ['values', name], text, wanted: 'any' })),
});
