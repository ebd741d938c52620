import { z } from 'zod';

/** Closes the circuit breaker; takes no input. */
export const restoreInput = z.strictObject({});
