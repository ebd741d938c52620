import { z } from 'zod';
import { defineStep, MINUTE_MS } from '../define.ts';

/** GitHub's limit for the name of a label (https://docs.github.com/en/rest/issues/labels). */
const MAX_LABEL_LENGTH = 50;
const MAX_LABELS = 20;

/** Opens the incident's ticket. */
export const ticketInput = z.strictObject({
  labels: z
    .array(z.string().min(1).max(MAX_LABEL_LENGTH))
    .max(MAX_LABELS)
    .default([])
    .describe('Labels that the ticket gets.'),
});

export type TicketInput = z.output<typeof ticketInput>;

export const definition = defineStep({
  summary: 'Opens the ticket of the incident.',
  input: ticketInput,
  outputs: { url: 'string', key: 'string' },
  defaultTimeoutMs: 30 * MINUTE_MS,
  describe: () => 'opens a ticket',
  references: () => [{ kind: 'ticketing', name: 'tickets', path: [] }],
});
