import { z } from 'zod';
import { writeDuration } from '../../../domain/duration.ts';
import { defineStep, MINUTE_MS, rolesAt } from '../define.ts';
import { duration, roleName } from '../fields.ts';

/** Roles paged by one step; more would be a mailing list. */
const MAX_ROLES = 10;

const escalate = z
  .strictObject({
    after: duration.describe('Without an acknowledgement for this long, the next roles are paged.'),
    to: z.array(roleName).min(1).max(MAX_ROLES).describe('Roles paged then.'),
  })
  .transform(({ after, to }) => ({ afterMs: after, to }));

/** Pages roles side by side. Succeeds when each was accepted by a channel; acknowledgement and escalation go on. */
export const pageInput = z.strictObject({
  roles: z
    .array(roleName)
    .min(1, 'at least one role, such as ml-oncall')
    .max(MAX_ROLES)
    .describe('Roles to page.'),
  escalate: escalate.optional(),
});

export type PageInput = z.output<typeof pageInput>;

export const definition = defineStep({
  summary: 'Pages roles side by side, and others when nobody acknowledges.',
  input: pageInput,
  outputs: { roles: 'list<string>' },
  whenUnknownDefault: 'run',
  // A page is tried until its step ends: there is nothing more important left to do.
  defaultTimeoutMs: 30 * MINUTE_MS,
  describe: ({ roles, escalate }) =>
    `pages ${roles.join(' and ')}${escalate ? `, and ${escalate.to.join(' and ')} when nobody acknowledges within ${writeDuration(escalate.afterMs)}` : ''}`,
  references: (input) => [...rolesAt(input, 'roles'), ...rolesAt(input, 'escalate', 'to')],
});
