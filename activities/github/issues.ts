import { type Octokit, RequestError } from 'octokit';
import { incidentLabel } from '../tickets/labels.ts';
import { isRateLimit } from './errors.ts';
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
 * as well. Only what the token's account wrote: whoever may open issues could otherwise put one with our marker in the place of
 * ours. Both lists are read from the database, not from the search index: an issue is there once it is created.
 */
export async function findIssue(
  octokit: Octokit,
  at: RepositoryCall,
  incidentId: string,
  marker: string,
  isOurs: (author: Author) => Promise<boolean>,
) {
  const newest = { ...at, state: 'all', sort: 'created', direction: 'desc' } as const;
  const { issues } = octokit.rest;
  for await (const issue of pages(MAX_ISSUE_PAGES, (page) =>
    issues.listForRepo({ ...newest, ...page, labels: incidentLabel(incidentId) }),
  )) {
    if (hasMarker(issue.body, marker) && (await isOurs(issue.user))) return issue;
  }
  for await (const issue of pages(1, (page) => issues.listForRepo({ ...newest, ...page }))) {
    // GitHub lists pull requests among issues.
    const marked = issue.pull_request === undefined && hasMarker(issue.body, marker);
    if (marked && (await isOurs(issue.user))) return issue;
  }
  return undefined;
}

/** Who wrote an issue; null where the account is gone. */
export type Author = { id: number; type: string } | null;

/** Of a request that GitHub refuses an installation: what it may not ask at all. */
const FORBIDDEN = 403;
/** Of apps; people cannot write as one. */
const BOT = 'Bot';

/**
 * Tells the account of the token from others. Installation tokens of apps may not ask who they are
 * (https://docs.github.com/en/rest/users/users#get-the-authenticated-user answers 403 "Resource not accessible by integration"):
 * there any app's account will do, since people cannot write as one.
 */
export function ownAccount(octokit: Octokit): (author: Author, at: RepositoryCall) => Promise<boolean> {
  let own: number | 'app' | undefined;
  return async (author, { request }) => {
    if (author === null) return false;
    own ??= await readOwnId(octokit, request);
    return own === 'app' ? author.type === BOT : author.id === own;
  };
}

async function readOwnId(octokit: Octokit, request: RepositoryCall['request']): Promise<number | 'app'> {
  try {
    return (await octokit.rest.users.getAuthenticated({ request })).data.id;
  } catch (error) {
    const refused = error instanceof RequestError && error.status === FORBIDDEN;
    if (refused && !isRateLimit(error, error.response?.headers ?? {})) return 'app';
    throw error;
  }
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
