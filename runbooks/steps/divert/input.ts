import { z } from 'zod';
import { workloadName } from '../fields.ts';

/** Opens the circuit breaker of the target. */
export const divertInput = z.strictObject({
  to: workloadName
    .default('block')
    .describe(
      'Deployment in the same namespace that serves meanwhile, or block: no traffic is served at all.',
    ),
});

export type DivertInput = z.output<typeof divertInput>;
