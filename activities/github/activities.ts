import type { Octokit } from 'octokit';
import { stripControl } from '../../domain/plain-text.ts';
import type { TicketActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { fromGitHub } from './errors.ts';
import { commentMarker, incidentMarker, issueTitle, markedBody, startsWithMarker } from './text.ts';

/** Marks every ticket of ours, so that they can be listed. One label for all: a label an incident would fill the list. */
export const TICKET_LABEL = 'firebreak';
/** GitHub: longer names are answered 422. Commas separate labels in a query. */
const MAX_LABEL_LENGTH = 50;
const MAX_LABELS = 20;
/** GitHub's largest page. */
const PAGE_SIZE = 100;
/** An incident's ticket is among the newest: 500 tickets are further back than any incident's first minutes. */
const MAX_TICKET_PAGES = 5;
/** A ticket with more comments than this has been a conversation for long. */
const MAX_COMMENT_PAGES = 10;
/**
 * For all calls of one activity together, below its start-to-close timeout (60 s): an attempt that Temporal has given up
 * must not create a second ticket beside the next attempt's.
 */
const ACTIVITY_DEADLINE_MS = 45_000;

export interface GitHubTicketOptions {
  octokit: Octokit;
  /** owner/name. */
  repository: string;
}

/** Tickets as GitHub issues. Found by label and marker, never by the search API: its index lags by seconds to minutes. */
export function createGitHubTicketActivities({ octokit, repository }: GitHubTicketOptions): TicketActivities {
  const [owner = '', repo = ''] = repository.split('/');
  const issues = octokit.rest.issues;

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

  async function findTicket(marker: string, request: { signal: AbortSignal }) {
    const listed = pages(MAX_TICKET_PAGES, (page) =>
      issues.listForRepo({
        ...{ owner, repo, state: 'all', labels: TICKET_LABEL, sort: 'created', direction: 'desc' },
        ...page,
        request,
      }),
    );
    for await (const issue of listed) {
      if (issue.pull_request === undefined && startsWithMarker(issue.body, marker)) return issue;
    }
    return undefined;
  }

  return {
    async openTicket({ incidentId, title, bodyMarkdown, labels }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const marker = incidentMarker(incidentId);
      const found = await tried(`listing the issues of ${repository}`, () => findTicket(marker, request));
      if (found) return { url: found.html_url, number: found.number, created: false };
      const { data: created } = await tried(`creating an issue in ${repository}`, () =>
        issues.create({
          owner,
          repo,
          title: issueTitle(title),
          body: markedBody(marker, bodyMarkdown),
          labels: labelNames(labels),
          request,
        }),
      );
      // GitHub drops labels silently where the token has no push access; without ours it would not be found again.
      const labelled = created.labels.some(
        (label) => (typeof label === 'string' ? label : label.name) === TICKET_LABEL,
      );
      if (!labelled) {
        throw fail(
          'Unauthorized',
          `GitHub: issue #${created.number} was created in ${repository} without its labels: the token needs push access (triage) to label issues`,
        );
      }
      return { url: created.html_url, number: created.number, created: true };
    },

    async commentTicket({ number, commentKey, bodyMarkdown }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const what = `issue #${number} of ${repository}`;
      const marker = commentMarker(commentKey);
      const address = { owner, repo, issue_number: number };
      const { data: issue } = await tried(`reading ${what}`, () => issues.get({ ...address, request }));
      const existing = await tried(`listing the comments of ${what}`, async () => {
        const listed = pages(MAX_COMMENT_PAGES, (page) =>
          issues.listComments({ ...address, ...page, request }),
        );
        for await (const comment of listed) {
          // Ours only: whoever may comment could otherwise keep ours away by writing its marker first.
          if (comment.user?.id === issue.user?.id && startsWithMarker(comment.body, marker)) return comment;
        }
        return undefined;
      });
      if (existing) return { url: existing.html_url };
      const { data: created } = await tried(`commenting on ${what}`, () =>
        issues.createComment({ ...address, body: markedBody(marker, bodyMarkdown), request }),
      );
      return { url: created.html_url };
    },
  };
}

async function tried<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromGitHub(error, `GitHub: ${what}`);
  }
}

/** Ours first, then the runbook's, each once, as GitHub allows them. */
function labelNames(labels: readonly string[]): string[] {
  const names = labels.map((label) =>
    stripControl(label).replace(/,/g, ' ').trim().slice(0, MAX_LABEL_LENGTH).trim(),
  );
  return [...new Set([TICKET_LABEL, ...names.filter((name) => name !== '')])].slice(0, MAX_LABELS);
}
