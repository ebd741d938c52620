import { z } from 'zod';
import { defineStep } from '../define.ts';
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

export const definition = defineStep({
  summary: 'Opens the circuit breaker: all traffic to a fallback, or none at all.',
  input: divertInput,
  outputs: { contained: 'bool', fallback: 'string' },
  mutates: true,
  needsTarget: true,
  whenUnknownDefault: 'run',
  describe: ({ to }) =>
    to === 'block' ? 'blocks all traffic of the target' : `sends all traffic of the target to ${to}`,
});
