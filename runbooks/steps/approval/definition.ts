import { z } from 'zod';
import { defineStep } from '../define.ts';

/** What people decide about has to fit on one screen, beside the warnings. */
const MAX_SUMMARY_LENGTH = 1_000;

/** A gate: what needs it goes on once enough people have approved. */
export const approvalInput = z.strictObject({
  summary: z
    .string()
    .min(1)
    .max(MAX_SUMMARY_LENGTH)
    .describe(`What people are asked; \${{ expression }} is replaced by its value.`),
});

export type ApprovalInput = z.output<typeof approvalInput>;

export const definition = defineStep({
  summary: 'Waits until enough people have approved; the steps that need it go on then.',
  input: approvalInput,
  outputs: { approvedBy: 'list<string>' },
  // It changes nothing itself, but what it lets through does: in observe mode nobody is asked about what will not be done.
  mutates: true,
  changesProduction: false,
  prepares: true,
  needsApproval: true,
  describe: ({ summary }) => `asks people: ${summary}`,
  templates: ({ summary }) => (typeof summary === 'string' ? [{ path: ['summary'], text: summary }] : []),
});
