import { z } from 'zod';
import { duration, stepId } from '../fields.ts';

/** The guide's number: enough for a root cause, few enough to be looked at by a person. */
const MAX_SAMPLES = 50;

/** Collects recent harmful outputs: ids, hashes, lengths and categories, never text. */
export const sampleInput = z
  .strictObject({
    from: z.string().min(1).describe('Name of a source in the configuration (samples.<name>).'),
    limit: z.int().min(1).max(MAX_SAMPLES).default(MAX_SAMPLES).describe('At most this many, newest first.'),
    window: duration.default(900_000).describe('How far to look back; default 15m.'),
    attachTo: stepId.optional().describe('Id of the ticket step whose ticket gets the summary.'),
  })
  .transform(({ window, ...rest }) => ({ ...rest, windowMs: window }));

export type SampleInput = z.output<typeof sampleInput>;
