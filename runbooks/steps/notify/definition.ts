import { z } from 'zod';
import { defineStep } from '../define.ts';
import { roleName } from '../fields.ts';

/** A notification is read in passing; what is longer belongs in the incident. */
const MAX_TEXT_LENGTH = 2_000;

/** Tells people without waking them. */
export const notifyInput = z.strictObject({
  to: roleName.describe('Name of a channel of the configuration (notifications.<name>).'),
  text: z
    .string()
    .min(1)
    .max(MAX_TEXT_LENGTH)
    .describe(`Plain text; \${{ expression }} is replaced by its value.`),
});

export type NotifyInput = z.output<typeof notifyInput>;

export const definition = defineStep({
  summary: 'Tells a channel, without waking anybody: text with values, shown as plain text.',
  input: notifyInput,
  outputs: { reference: 'string' },
  whenUnknownDefault: 'skip',
  describe: ({ to }) => `tells ${to}, without waking anybody`,
  templates: ({ text }) => (typeof text === 'string' ? [{ path: ['text'], text }] : []),
  references: ({ to }) => (typeof to === 'string' ? [{ kind: 'channel', name: to, path: ['to'] }] : []),
});
