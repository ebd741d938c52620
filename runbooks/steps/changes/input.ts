import { z } from 'zod';
import { duration } from '../fields.ts';

/** Lists what changed around the onset of harm. */
export const changesInput = z
  .strictObject({ window: duration.default(86_400_000).describe('How far to look back; default 24h.') })
  .transform(({ window }) => ({ windowMs: window }));

export type ChangesInput = z.output<typeof changesInput>;
