import { z } from 'zod';
import { writeDuration } from '../../../domain/duration.ts';
import { defineStep } from '../define.ts';
import { longDuration } from '../fields.ts';

const MAX_TITLE_LENGTH = 300;
const MAX_OWNER_LENGTH = 200;

const LANES = ['control', 'assurance', 'safety-debt', 'exception'] as const;

/** The field that a lane needs, and that no other lane has. */
function onlyWith(lane: (typeof LANES)[number], field: string) {
  return {
    if: { properties: { lane: { const: lane } }, required: ['lane'] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema.
    then: { required: [field] },
    else: { not: { required: [field] } },
  };
}

/** Makes an action item at once, with an owner and a date. */
export const taskInput = z
  .strictObject({
    title: z
      .string()
      .min(1)
      .max(MAX_TITLE_LENGTH)
      .describe(`What is to be done; \${{ expression }} is replaced by its value.`),
    lane: z
      .enum(LANES)
      .describe(
        'control: a safeguard to be made; assurance: a test or telemetry that proves one; safety-debt: a risk accepted for now; exception: a temporary deviation.',
      ),
    owner: z
      .string()
      .min(1)
      .max(MAX_OWNER_LENGTH)
      .optional()
      .describe(
        `Who does it, such as \${{ target.owner }}; default, and where that is unknown: the runbook's owner.`,
      ),
    due: longDuration.describe('Time from now until it is due, such as 14d.'),
    expires: longDuration
      .optional()
      .describe('safety-debt only, and needed there: when the accepted risk must be decided upon again.'),
    retires: longDuration.optional().describe('exception only, and needed there: when the deviation ends.'),
    rmfFunction: z
      .enum(['GOVERN', 'MAP', 'MEASURE', 'MANAGE'])
      .default('MANAGE')
      .describe('Function of the NIST AI RMF that it serves.'),
  })
  .refine((input) => (input.expires !== undefined) === (input.lane === 'safety-debt'), {
    path: ['expires'],
    error: 'accepted risk (safety-debt) needs expires: when it is decided upon again; other lanes have none',
  })
  .refine((input) => (input.retires !== undefined) === (input.lane === 'exception'), {
    path: ['retires'],
    error: 'an exception needs retires: when the deviation ends; other lanes have none',
  })
  // As the refinements say it, for editors.
  .meta({ allOf: [onlyWith('safety-debt', 'expires'), onlyWith('exception', 'retires')] })
  .transform(({ due, expires, retires, ...rest }) => ({
    ...rest,
    dueMs: due,
    ...(expires === undefined ? {} : { expiresMs: expires }),
    ...(retires === undefined ? {} : { retiresMs: retires }),
  }));

export type TaskInput = z.output<typeof taskInput>;

export const definition = defineStep({
  summary: 'Makes a task at once: an action item with a lane, an owner and a date.',
  input: taskInput,
  outputs: { id: 'string', due: 'string' },
  describe: ({ title, lane, dueMs }) => `makes a task (${lane}), due in ${writeDuration(dueMs)}: ${title}`,
  templates: (input) =>
    ['title', 'owner'].flatMap((field) => {
      const text = input[field];
      return typeof text === 'string' ? [{ path: [field], text }] : [];
    }),
});
