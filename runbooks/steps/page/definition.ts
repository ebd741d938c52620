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

/**
 * Pages roles side by side, and by an escalation policy. Succeeds when each role was accepted by a channel, of a policy the
 * first one; acknowledgement and escalation go on.
 */
export const pageInput = z
  .strictObject({
    roles: z.array(roleName).max(MAX_ROLES).default([]).describe('Roles to page.'),
    policy: roleName
      .optional()
      .describe('Escalation policy of the configuration (paging.policies): its levels are paged as it says.'),
    escalate: escalate.optional(),
  })
  .refine(({ roles, policy }) => roles.length > 0 || policy !== undefined, {
    path: ['roles'],
    error: 'at least one role, such as ml-oncall, or a policy',
  })
  .refine(({ policy, escalate: follows }) => policy === undefined || follows === undefined, {
    path: ['escalate'],
    error: 'a policy says itself who is next: take out escalate, or policy',
  })
  // As the refinements say it, for editors.
  .meta({
    anyOf: [{ properties: { roles: { minItems: 1 } }, required: ['roles'] }, { required: ['policy'] }],
    not: { required: ['policy', 'escalate'] },
  });

export type PageInput = z.output<typeof pageInput>;

export const definition = defineStep({
  summary: 'Pages roles side by side, and others when nobody acknowledges.',
  input: pageInput,
  outputs: { roles: 'list<string>' },
  whenUnknownDefault: 'run',
  // A page is tried until its step ends: there is nothing more important left to do.
  defaultTimeoutMs: 30 * MINUTE_MS,
  describe: ({ roles, policy, escalate }) =>
    `pages ${[...roles, ...(policy === undefined ? [] : [`by the policy ${policy}`])].join(' and ')}${escalate ? `, and ${escalate.to.join(' and ')} when nobody acknowledges within ${writeDuration(escalate.afterMs)}` : ''}`,
  references: (input) => [
    ...rolesAt(input, 'roles'),
    ...rolesAt(input, 'escalate', 'to'),
    ...(typeof input.policy === 'string'
      ? [{ kind: 'policy' as const, name: input.policy, path: ['policy'] }]
      : []),
  ],
});
