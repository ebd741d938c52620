import type { Octokit } from 'octokit';
import { incidentLabel } from '../tickets/labels.ts';
import { MAX_COMMENT_PAGES, MAX_ISSUE_PAGES, PAGE_SIZE } from './limits.ts';
import { hasMarker } from './markers.ts';

export interface RepositoryCall {
  owner: string;
  repo: string;
  request: { signal: AbortSignal };
}

/**
 * The issue with the marker, open or closed, newest first: among those with the incident's label. Where the token lacks push
 * access GitHub drops labels silently when it creates an issue
 * (https://docs.github.com/en/rest/issues/issues#create-an-issue): so the newest issues are looked through without the label
 * as well. Both lists are read from the database, not from the search index: an issue is there once it is created.
 */
export async function findIssue(octokit: Octokit, at: RepositoryCall, incidentId: string, marker: string) {
  const newest = { ...at, state: 'all', sort: 'created', direction: 'desc' } as const;
  const { issues } = octokit.rest;
  for await (const issue of pages(MAX_ISSUE_PAGES, (page) =>
    issues.listForRepo({ ...newest, ...page, labels: incidentLabel(incidentId) }),
  )) {
    if (hasMarker(issue.body, marker)) return issue;
  }
  for await (const issue of pages(1, (page) => issues.listForRepo({ ...newest, ...page }))) {
    // GitHub lists pull requests among issues.
    if (issue.pull_request === undefined && hasMarker(issue.body, marker)) return issue;
  }
  return undefined;
}

/** Of the ticket's own author: whoever may comment could otherwise keep ours away by writing its marker first. */
export async function findComment(
  octokit: Octokit,
  at: RepositoryCall & { issue_number: number },
  marker: string,
) {
  const { issues } = octokit.rest;
  const { data: ticket } = await issues.get({ ...at });
  for await (const comment of pages(MAX_COMMENT_PAGES, (page) => issues.listComments({ ...at, ...page }))) {
    if (comment.user?.id === ticket.user?.id && hasMarker(comment.body, marker)) return comment;
  }
  return undefined;
}

async function* pages<T>(
  maxPages: number,
  fetchPage: (page: { per_page: number; page: number }) => Promise<{ data: T[] }>,
): AsyncGenerator<T> {
  for (let page = 1; page <= maxPages; page += 1) {
    const { data } = await fetchPage({ per_page: PAGE_SIZE, page });
    yield* data;
    if (data.length < PAGE_SIZE) return;
  }
}

/** Names of labels, which the API gives as texts or as objects. */
export function labelNames(labels: readonly (string | { name?: string | null })[]): string[] {
  return labels.map((label) => (typeof label === 'string' ? label : (label.name ?? '')));
}
