import { fail } from '../failure.ts';
import type { AdfDocument } from './adf.ts';
import { createdIssue, foundIssues, type JiraClient } from './client.ts';
import { fromCreation, refusedFields } from './errors.ts';

/** Labels of ours: what a query is made of cannot end its quotes. */
const OUR_LABEL = /^[A-Za-z0-9._-]+$/;
/** Of several that we made: the one whose answer was lost first. */
const OLDEST = 1;

/**
 * Key of the oldest issue with all the labels that the account of the token created, in whichever project it is by now: people
 * can copy a ticket, and write labels of ours on one before ours is there. The creator is Jira's to set, the reporter is not
 * (https://support.atlassian.com/jira-software-cloud/docs/jql-fields/, currentUser() of
 * https://support.atlassian.com/jira-software-cloud/docs/jql-functions/;
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/#api-rest-api-3-search-jql-post).
 */
export async function findIssue(jira: JiraClient, labels: readonly string[]): Promise<string | undefined> {
  if (!labels.every((label) => OUR_LABEL.test(label))) {
    throw fail('InvalidInput', 'the id of the incident or of its action item cannot be searched for');
  }
  const labelled = labels.map((label) => `labels = "${label}"`).join(' AND ');
  const jql = `${labelled} AND creator = currentUser() ORDER BY created ASC`;
  const { issues } = await jira.call(foundIssues, {
    method: 'POST',
    path: '/search/jql',
    data: { jql, fields: ['summary'], maxResults: OLDEST },
    what: 'search for issues by label',
    thing: 'the search',
  });
  return issues[0]?.key;
}

/** By these an issue is found again: without the field there would be another one with each attempt. */
const NEEDED = 'labels';

/**
 * @param optional fields that are left out where the project does not have them, or does not take their values.
 * @returns the issue's key.
 */
export async function createIssue(
  jira: JiraClient,
  project: string,
  fields: { issuetype: { name: string }; summary: string; description: AdfDocument; labels: string[] },
  optional: Record<string, unknown> = {},
): Promise<string> {
  const thing = `project ${project}`;
  const what = `create issue in ${project}`;
  const call = (extra: Record<string, unknown>) =>
    jira.attempt(createdIssue, {
      method: 'POST',
      path: '/issue',
      data: { fields: { project: { key: project }, ...fields, ...extra } },
      what,
      thing,
    });
  let left = optional;
  // Each time round something is left out that Jira refused; what is refused without it is refused.
  for (;;) {
    try {
      return (await call(left)).key;
    } catch (error) {
      const refused = refusedFields(error);
      if (refused.includes(NEEDED)) {
        throw fail(
          'InvalidInput',
          `Jira ${what}: the field Labels cannot be set; add it to the screens of the issue type ${fields.issuetype.name}, tickets are found by it`,
          { cause: error },
        );
      }
      const kept = Object.fromEntries(Object.entries(left).filter(([field]) => !refused.includes(field)));
      if (Object.keys(kept).length === Object.keys(left).length)
        throw fromCreation(error, `Jira ${what}`, thing);
      left = kept;
    }
  }
}
