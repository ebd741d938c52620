import { z } from 'zod';
import { writeDuration } from '../../../domain/duration.ts';
import { defineStep, MINUTE_MS } from '../define.ts';
import { duration } from '../fields.ts';

/** Lists what changed around the onset of harm. */
export const changesInput = z
  .strictObject({ window: duration.default(86_400_000).describe('How far to look back; default 24h.') })
  .transform(({ window }) => ({ windowMs: window }));

export type ChangesInput = z.output<typeof changesInput>;

export const definition = defineStep({
  summary: 'Lists what changed around the onset of harm.',
  input: changesInput,
  outputs: { changes: 'list<string>' },
  needsTarget: true,
  defaultTimeoutMs: 2 * MINUTE_MS,
  describe: ({ windowMs }) => `lists what changed on the target in the last ${writeDuration(windowMs)}`,
});
