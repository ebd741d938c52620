import { z } from 'zod';
import { writeDuration } from '../../../domain/duration.ts';
import { didYouMean } from '../../suggest.ts';
import { defineStep } from '../define.ts';
import { duration, stepId } from '../fields.ts';

/** The guide's number: enough for a root cause, few enough to be looked at by a person. */
const MAX_SAMPLES = 50;

/** Collects recent harmful outputs: ids, hashes, lengths and categories, never text. */
export const sampleInput = z
  .strictObject({
    from: z.string().min(1).describe('Name of a source in the configuration (samples.<name>).'),
    limit: z.int().min(1).max(MAX_SAMPLES).default(MAX_SAMPLES).describe('At most this many, newest first.'),
    window: duration
      .default(900_000)
      .describe('How far to look back before the incident began; default 15m.'),
    attachTo: stepId.optional().describe('Id of the ticket step whose ticket gets the summary.'),
  })
  .transform(({ window, ...rest }) => ({ ...rest, windowMs: window }));

export type SampleInput = z.output<typeof sampleInput>;

export const definition = defineStep({
  summary: 'Collects recent harmful outputs: ids, hashes, lengths and categories, never text.',
  input: sampleInput,
  outputs: { count: 'double' },
  needsTarget: true,
  whenUnknownDefault: 'run',
  describe: ({ from, limit, windowMs, attachTo }) =>
    `samples up to ${limit} harmful outputs of the incident and the ${writeDuration(windowMs)} before it from ${from}${attachTo ? `, for the ticket of ${attachTo}` : ''}`,
  references: ({ from }) =>
    typeof from === 'string' ? [{ kind: 'source', name: from, path: ['from'] }] : [],
  check: (step, view) => {
    const { attachTo } = step.with;
    if (typeof attachTo !== 'string') return [];
    const named = view.steps.find((other) => other.id === attachTo);
    if (named?.uses === 'ticket') return [];
    const tickets = view.steps.filter((other) => other.uses === 'ticket').map((other) => other.id ?? '');
    const what = named ? `${attachTo} is no ticket step` : `there is no step ${attachTo}`;
    const hint = tickets.length === 0 ? ': add a step that uses ticket' : didYouMean(attachTo, tickets);
    return [{ rule: 'steps/attach-to', path: ['with', 'attachTo'], message: `${what}${hint}` }];
  },
});
