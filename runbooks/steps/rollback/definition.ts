import { z } from 'zod';
import type { RollbackTo } from '../../../domain/rollback-plan.ts';
import { defineStep, MINUTE_MS } from '../define.ts';
import { duration, rate } from '../fields.ts';

const EXPECTED = 'write last-known-good, previous, revision 12 or { revision: 12 }';

const to = z
  .union(
    [
      z.enum(['last-known-good', 'previous']),
      z.string().regex(/^revision [1-9][0-9]{0,8}$/, EXPECTED),
      z.strictObject({ revision: z.int().min(1) }),
    ],
    { error: EXPECTED },
  )
  .transform((value): RollbackTo => {
    if (typeof value !== 'string') return { revision: value.revision };
    if (value === 'previous' || value === 'last-known-good') return value;
    return { revision: Number(value.slice('revision '.length)) };
  });

/** Rolls the target back by a plan that people approve. */
export const rollbackInput = z
  .strictObject({
    to: to.default('last-known-good').describe('Which revision.'),
    servedFor: duration
      .default(3_600_000)
      .describe('What a revision must have served to count as good; default 1h.'),
    minClassified: z.int().min(1).default(500).describe('Classified outputs that it must have served then.'),
    harmRateBelow: rate.default(0.01).describe('Harm rate that it must have stayed below then.'),
    rolloutTimeout: duration
      .optional()
      .describe(
        'Default: progressDeadlineSeconds of the workload (600s for a StatefulSet, which has none) without progress, plus 60s.',
      ),
  })
  .transform(({ servedFor, rolloutTimeout, ...rest }) => ({
    ...rest,
    servedForMs: servedFor,
    ...(rolloutTimeout === undefined ? {} : { rolloutTimeoutMs: rolloutTimeout }),
  }));

export type RollbackInput = z.output<typeof rollbackInput>;

export const definition = defineStep({
  summary: 'Rolls the target back by a plan that people approve.',
  input: rollbackInput,
  outputs: { applied: 'string', revision: 'double', templateHash: 'string' },
  mutates: true,
  prepares: true,
  needsTarget: true,
  // A Deployment's own deadline is 600 s by default, and awaiting it takes 60 s more.
  defaultTimeoutMs: 20 * MINUTE_MS,
  innerWaitMs: ({ rolloutTimeoutMs }) => rolloutTimeoutMs ?? 0,
  describe: ({ to }) =>
    `rolls the target back to ${typeof to === 'string' ? (to === 'previous' ? 'the previous revision' : 'the last revision known to be good') : `revision ${to.revision}`}`,
});
