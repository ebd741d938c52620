import { z } from 'zod';
import { defineStep, MINUTE_MS } from '../define.ts';

/** Closes the circuit breaker; takes no input. */
export const restoreInput = z.strictObject({});

export const definition = defineStep({
  summary: 'Closes the circuit breaker; refused while the revision that runs is not proved.',
  input: restoreInput,
  outputs: { breaker: 'string' },
  mutates: true,
  needsTarget: true,
  defaultTimeoutMs: 10 * MINUTE_MS,
  describe: () => 'gives the target all of its traffic back',
});
