import { z } from 'zod';
import { writeDuration } from '../../../domain/duration.ts';
import { defineStep } from '../define.ts';
import { duration, expression } from '../fields.ts';

/** Waits for a time, or less where a condition comes true. */
export const waitInput = z
  .strictObject({
    for: duration.describe('How long, at most 30d. Restarts of Firebreak neither shorten nor lengthen it.'),
    until: expression
      .optional()
      .describe('CEL: ends the wait as soon as it holds; looked at every watchEvery. Unknown: waits on.'),
  })
  .transform(({ for: forMs, until }) => ({ forMs, ...(until === undefined ? {} : { until }) }));

export type WaitInput = z.output<typeof waitInput>;

export const definition = defineStep({
  summary: 'Waits for a time, and less where a condition comes true before.',
  input: waitInput,
  outputs: { early: 'bool', seconds: 'double' },
  innerWaitMs: ({ forMs }) => forMs,
  describe: ({ forMs, until }) =>
    until === undefined
      ? `waits ${writeDuration(forMs)}`
      : `waits until ${until}, at most ${writeDuration(forMs)}`,
  expressions: ({ until }) =>
    typeof until === 'string' ? [{ path: ['until'], text: until, wanted: 'bool' }] : [],
});
