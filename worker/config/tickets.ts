/** The section `tickets` of the configuration: where incidents and their action items are written down. */
import { z } from 'zod';

/** Parts that every section shares; passed in, as they stand in the schema that takes this section in. */
interface SharedParts {
  secretRef: z.ZodString;
  httpUrl: z.ZodURL;
}

/** @returns the schema of the section; at most one ticket system is configured. */
export function ticketsSchema({ secretRef, httpUrl }: SharedParts) {
  return z
    .strictObject({
      github: z
        .strictObject({
          token: secretRef.describe('Fine-grained token with "Issues: read and write".'),
          repository: z.string().regex(/^[^/]+\/[^/]+$/, 'owner/name'),
          apiUrl: httpUrl.default('https://api.github.com'),
        })
        .optional()
        .describe('Tickets are issues of this repository.'),
      jira: z
        .strictObject({
          url: httpUrl.describe('Of the site, as people open it: https://acme.atlassian.net'),
          apiUrl: httpUrl
            .optional()
            .describe(
              'Base of the API for tokens with scopes: https://api.atlassian.com/ex/jira/CLOUD-ID; absent: url.',
            ),
          email: z.email().describe('Of the account that the token belongs to.'),
          apiToken: secretRef.describe('API token of that account.'),
          project: z
            .string()
            .regex(/^[A-Z][A-Z0-9_]{1,254}$/, 'the key of the project, such as OPS')
            .describe('Key of the project in which issues are created.'),
          issueType: z.string().min(1).default('Task').describe('Issue type of incidents.'),
          actionItemType: z.string().min(1).default('Task').describe('Issue type of action items.'),
          linkType: z.string().min(1).default('Relates').describe('Type of the links between them.'),
          doneTransition: z
            .string()
            .min(1)
            .optional()
            .describe(
              'Transition, or its status, by which a ticket is closed; absent: the first to a status of the category Done.',
            ),
        })
        .optional()
        .describe('Tickets are issues of this Jira Cloud project.'),
      onResolved: z
        .enum(['close', 'leave'])
        .default('leave')
        .describe(
          'close: the ticket of an incident that is over (recovered, a false positive, a drill) is closed. leave: people close it, after the review.',
        ),
    })
    .refine(({ github, jira }) => github === undefined || jira === undefined, {
      message: 'one of the two: github or jira',
      path: ['jira'],
    });
}
