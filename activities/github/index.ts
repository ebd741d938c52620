import { Octokit } from 'octokit';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import type { TicketActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { fromGitHub } from './errors.ts';
import {
  MAX_COMMENT_PAGES,
  MAX_ISSUE_PAGES,
  MAX_LABEL,
  MAX_LABELS,
  MAX_TITLE,
  PAGE_SIZE,
  REQUEST_TIMEOUT_MS,
} from './limits.ts';
import { commentMarker, incidentMarker, withMarker } from './markers.ts';

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
      const marker = incidentMarker(incidentId);
      try {
        const found = await findIssue(octokit, options, marker);
        if (found !== undefined) return { ...found, created: false };
      } catch (error) {
        throw fromGitHub(error, `GitHub list issues of ${name}`, `repository ${name}`);
      }
      try {
        const { data } = await octokit.rest.issues.create({
          owner,
          repo,
          title: truncate(stripControl(title), MAX_TITLE) || incidentId,
          body: withMarker(marker, bodyMarkdown),
          labels: labelsOf(labels),
        });
        return { url: data.html_url, number: data.number, created: true };
      } catch (error) {
        throw fromGitHub(error, `GitHub create issue in ${name}`, `repository ${name}`);
      }
    },

    async commentTicket({ number, commentKey, bodyMarkdown }) {
      const marker = commentMarker(commentKey);
      const issue = `issue ${name}#${number}`;
      try {
        const found = await findComment(octokit, options, number, marker);
        if (found !== undefined) return { url: found };
      } catch (error) {
        throw fromGitHub(error, `GitHub list comments of ${name}#${number}`, issue);
      }
      try {
        const body = withMarker(marker, bodyMarkdown);
        const { data } = await octokit.rest.issues.createComment({ owner, repo, issue_number: number, body });
        return { url: data.html_url };
      } catch (error) {
        throw fromGitHub(error, `GitHub comment on ${name}#${number}`, issue);
      }
    },
  };
}

async function refuse(): Promise<never> {
  throw fail('Refused', 'no ticket system is configured: set tickets.github');
}

/** Octokit that makes one attempt: waiting and retrying are Temporal's, where they are seen and bounded. */
function connect({ token, apiUrl }: GitHubTicketsOptions): Octokit {
  const silent = () => undefined;
  return new Octokit({
    auth: token,
    baseUrl: apiUrl.replace(/\/+$/, ''),
    userAgent: 'firebreak',
    retry: { enabled: false },
    throttle: { enabled: false },
    log: { debug: silent, info: silent, warn: silent, error: silent },
    request: {
      fetch: (url: string, init: RequestInit) =>
        fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }),
    },
  });
}

/**
 * The incident's issue, open or closed, newest first. Where the token lacks push access GitHub drops labels silently when
 * it creates an issue: so the newest issues are looked through without the label as well.
 */
async function findIssue(
  octokit: Octokit,
  { owner, repo }: GitHubTicketsOptions,
  marker: string,
): Promise<{ url: string; number: number } | undefined> {
  const newest = {
    owner,
    repo,
    state: 'all',
    sort: 'created',
    direction: 'desc',
    per_page: PAGE_SIZE,
  } as const;
  const pagesOfOurs = Array.from({ length: MAX_ISSUE_PAGES }, (_, index) => ({
    labels: OUR_LABEL,
    page: index + 1,
  }));
  for (const filter of pagesOfOurs) {
    const { data } = await octokit.rest.issues.listForRepo({ ...newest, ...filter });
    const found = data.find((issue) => issue.body?.includes(marker));
    if (found) return { url: found.html_url, number: found.number };
    if (data.length < PAGE_SIZE) break;
  }
  const { data } = await octokit.rest.issues.listForRepo(newest);
  // GitHub lists pull requests among issues.
  const found = data.find((issue) => issue.pull_request === undefined && issue.body?.includes(marker));
  return found && { url: found.html_url, number: found.number };
}

async function findComment(
  octokit: Octokit,
  { owner, repo }: GitHubTicketsOptions,
  issueNumber: number,
  marker: string,
): Promise<string | undefined> {
  for (let page = 1; page <= MAX_COMMENT_PAGES; page += 1) {
    const { data } = await octokit.rest.issues.listComments({
      owner,
      repo,
      issue_number: issueNumber,
      per_page: PAGE_SIZE,
      page,
    });
    const found = data.find((comment) => comment.body?.includes(marker));
    if (found) return found.html_url;
    if (data.length < PAGE_SIZE) return undefined;
  }
  return undefined;
}

/** Ours first; GitHub compares labels without case and creates those that it does not know. */
function labelsOf(labels: readonly string[]): string[] {
  const byLowerCase = new Map([[OUR_LABEL, OUR_LABEL]]);
  for (const label of labels.map((text) => truncate(stripControl(text).trim(), MAX_LABEL))) {
    const key = label.toLowerCase();
    if (label !== '' && !byLowerCase.has(key)) byLowerCase.set(key, label);
  }
  return [...byLowerCase.values()].slice(0, MAX_LABELS);
}
