import { Octokit } from 'octokit';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import type { TicketActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { fromGitHub } from './errors.ts';
import {
  ACTIVITY_DEADLINE_MS,
  MAX_COMMENT_PAGES,
  MAX_ISSUE_PAGES,
  MAX_LABEL,
  MAX_LABELS,
  MAX_TITLE,
  PAGE_SIZE,
} from './limits.ts';
import { commentMarker, hasMarker, incidentMarker, withMarker } from './markers.ts';

export interface GitHubTicketsOptions {
  /** Fine-grained token or installation token with "Issues: read and write". */
  token: string;
  owner: string;
  repo: string;
  /** Base URL of the REST API: https://api.github.com, or https://HOST/api/v3 of GitHub Enterprise Server. */
  apiUrl: string;
}

/** Every ticket of ours has it: retries look for theirs among these only. */
const OUR_LABEL = 'firebreak';

interface RepositoryCall {
  owner: string;
  repo: string;
  request: { signal: AbortSignal };
}

/**
 * Tickets as GitHub issues. Issues have no idempotency key, so each is looked for by a marker in its body before it is
 * written: exactly once against retries one after another, at least once if two attempts run at the same moment.
 *
 * @param options undefined where no ticket system is configured: then every call is Refused.
 */
export function createGitHubTickets(options: GitHubTicketsOptions | undefined): TicketActivities {
  if (options === undefined) return { openTicket: refuse, commentTicket: refuse };
  const octokit = connect(options);
  const { owner, repo } = options;
  const name = `${owner}/${repo}`;

  return {
    async openTicket({ incidentId, title, bodyMarkdown, labels }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const marker = incidentMarker(incidentId);
      const thing = `repository ${name}`;
      const found = await tried(`GitHub list issues of ${name}`, thing, () =>
        findIssue(octokit, { owner, repo, request }, marker),
      );
      if (found !== undefined) return { url: found.html_url, number: found.number, created: false };
      const { data } = await tried(`GitHub create issue in ${name}`, thing, () =>
        octokit.rest.issues.create({
          owner,
          repo,
          request,
          title: titleOf(title) || incidentId,
          body: withMarker(marker, bodyMarkdown),
          labels: labelsOf(labels),
        }),
      );
      return { url: data.html_url, number: data.number, created: true };
    },

    async commentTicket({ number, commentKey, bodyMarkdown }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const marker = commentMarker(commentKey);
      const at = { owner, repo, issue_number: number, request };
      const thing = `issue ${name}#${number}`;
      const found = await tried(`GitHub list comments of ${name}#${number}`, thing, () =>
        findComment(octokit, at, marker),
      );
      if (found !== undefined) return { url: found.html_url };
      const { data } = await tried(`GitHub comment on ${name}#${number}`, thing, () =>
        octokit.rest.issues.createComment({ ...at, body: withMarker(marker, bodyMarkdown) }),
      );
      return { url: data.html_url };
    },
  };
}

async function tried<T>(what: string, thing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromGitHub(error, what, thing);
  }
}

async function refuse(): Promise<never> {
  throw fail('Refused', 'no ticket system is configured: set tickets.github');
}

/** Octokit that makes one attempt: waiting and retrying are Temporal's, where they are seen and bounded. */
function connect({ token, apiUrl }: GitHubTicketsOptions): Octokit {
  const silent = () => undefined;
  const octokit = new Octokit({
    auth: token,
    baseUrl: apiUrl.replace(/\/+$/, ''),
    userAgent: 'firebreak',
    retry: { enabled: false },
    throttle: { enabled: false },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  // Pages for people are answered 200 too, and Octokit passes their text on: it would be taken for an empty list of issues.
  octokit.hook.after('request', ({ data }) => {
    if (typeof data === 'object' && data !== null) return;
    throw fail(
      'Unavailable',
      'GitHub answered something else than JSON: is tickets.github.apiUrl right (https://HOST/api/v3 of an Enterprise Server)?',
    );
  });
  return octokit;
}

/**
 * The incident's issue, open or closed, newest first. Where the token lacks push access GitHub drops labels silently when
 * it creates an issue: so the newest issues are looked through without the label as well.
 */
async function findIssue(octokit: Octokit, at: RepositoryCall, marker: string) {
  const newest = { ...at, state: 'all', sort: 'created', direction: 'desc' } as const;
  const { issues } = octokit.rest;
  for await (const issue of pages(MAX_ISSUE_PAGES, (page) =>
    issues.listForRepo({ ...newest, ...page, labels: OUR_LABEL }),
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
async function findComment(octokit: Octokit, at: RepositoryCall & { issue_number: number }, marker: string) {
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

/** Titles are no Markdown, but in lists and mails @ and # make references: a zero-width space keeps them text. */
function titleOf(text: string): string {
  const plain = stripControl(text)
    .replace(/@|#(?=\d)/g, '$&\u200b')
    .trim();
  return truncate(plain, MAX_TITLE);
}

/**
 * Ours first. GitHub compares labels without case, creates those that it does not know, and separates those of a query by
 * commas.
 */
function labelsOf(labels: readonly string[]): string[] {
  const byLowerCase = new Map([[OUR_LABEL, OUR_LABEL]]);
  for (const label of labels.map((text) =>
    truncate(stripControl(text).replace(/,/g, ' ').trim(), MAX_LABEL),
  )) {
    const key = label.toLowerCase();
    if (label !== '' && !byLowerCase.has(key)) byLowerCase.set(key, label);
  }
  return [...byLowerCase.values()].slice(0, MAX_LABELS);
}
