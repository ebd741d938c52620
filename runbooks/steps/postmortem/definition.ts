import { z } from 'zod';
import { defineStep } from '../define.ts';

/** Drafts the postmortem and its action items; takes no input. */
export const postmortemInput = z.strictObject({});

export const definition = defineStep({
  summary:
    'Drafts the postmortem and its action items; it is brought up to date when the incident is resolved.',
  input: postmortemInput,
  outputs: { sha256: 'string', actionItems: 'double' },
  describe: () => 'drafts the postmortem and its action items',
});
