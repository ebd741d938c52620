import { fail } from '../failure.ts';
import {
  ACTION_ITEM_LABEL,
  incidentLabel,
  isStatusLabel,
  OUR_LABEL,
  statusLabels,
  TICKET_LABEL,
  withSeverity,
} from '../tickets/labels.ts';
import { ACTIVITY_DEADLINE_MS, type Ticket, type TicketSystem } from '../tickets/system.ts';
import { connectGitHub } from './connect.ts';
import { fromGitHub, isRefusedContent } from './errors.ts';
import { findComment, findIssue, labelNames, ownAccount, type RepositoryCall } from './issues.ts';
import { changeLabels } from './label-changes.ts';
import { SECTION_ROOM } from './limits.ts';
import {
  commentMarker,
  incidentMarker,
  itemMarker,
  replaceStatus,
  statusSection,
  withMarker,
} from './markers.ts';
import { linkSubIssue } from './sub-issues.ts';
import { labelsOf, titleOf } from './text.ts';

export interface GitHubTicketsOptions {
  /** Fine-grained token or installation token with "Issues: read and write". */
  token: string;
  owner: string;
  repo: string;
  /** Base URL of the REST API: https://api.github.com, or https://HOST/api/v3 of GitHub Enterprise Server. */
  apiUrl: string;
}

/** Of a body that had to be cut: alerts by the thousand. */
const REST_OF_BODY = "The whole text is in the incident's record.";

/**
 * Tickets as GitHub issues. Issues have no idempotency key, so each is looked for by a marker in its body before it is
 * written: exactly once against retries one after another, at least once if two attempts run at the same moment. GitHub has no
 * API for attachments: files are left to the links in the text.
 */
export function createGitHubTickets(options: GitHubTicketsOptions): TicketSystem {
  const octokit = connectGitHub({ ...options, setting: 'tickets.github' });
  const { issues } = octokit.rest;
  const { owner, repo } = options;
  const name = `${owner}/${repo}`;
  const calls = (): RepositoryCall => ({
    owner,
    repo,
    request: { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) },
  });
  const repository = `repository ${name}`;
  const isOurs = ownAccount(octokit);

  async function find(at: RepositoryCall, incidentId: string, marker: string) {
    return tried(`GitHub list issues of ${name}`, repository, () =>
      findIssue(octokit, at, incidentId, marker, (author) => isOurs(author, at)),
    );
  }

  async function create(
    at: RepositoryCall,
    issue: { title: string; body: string; labels: string[]; assignee?: string | undefined },
  ): Promise<{ ticket: Ticket; id: number }> {
    const { assignee, ...rest } = issue;
    const data = await tried(`GitHub create issue in ${name}`, repository, async () => {
      try {
        const assignees = assignee === undefined ? {} : { assignees: [assignee] };
        return (await issues.create({ ...at, ...rest, ...assignees })).data;
      } catch (error) {
        // Somebody who cannot be assigned there is named in the text all the same.
        if (assignee === undefined || !isRefusedContent(error)) throw error;
        return (await issues.create({ ...at, ...rest })).data;
      }
    });
    return { ticket: { key: String(data.number), url: data.html_url }, id: data.id };
  }

  async function read(at: RepositoryCall, key: string) {
    const { data } = await tried(`GitHub read issue ${name}#${key}`, `issue ${name}#${key}`, () =>
      issues.get({ ...at, issue_number: numberOf(key) }),
    );
    return data;
  }

  return {
    name: 'GitHub',

    async open({ incidentId, title, status, markdown, labels }) {
      const at = calls();
      const marker = incidentMarker(incidentId);
      const found = await find(at, incidentId, marker);
      if (found !== undefined) return { key: String(found.number), url: found.html_url, created: false };
      const { ticket } = await create(at, {
        title: titleOf(title) || incidentId,
        body: withMarker(
          marker,
          `${statusSection(status.markdown)}\n\n${markdown}`,
          REST_OF_BODY,
          SECTION_ROOM,
        ),
        labels: labelsOf([
          OUR_LABEL,
          incidentLabel(incidentId),
          TICKET_LABEL,
          ...statusLabels(status),
          ...labels,
        ]),
      });
      return { ...ticket, created: true };
    },

    async comment({ key, commentKey, markdown, rest }) {
      const at = { ...calls(), issue_number: numberOf(key) };
      const marker = commentMarker(commentKey);
      const thing = `issue ${name}#${key}`;
      const found = await tried(`GitHub list comments of ${name}#${key}`, thing, () =>
        findComment(octokit, at, marker),
      );
      if (found !== undefined) return { url: found.html_url };
      const { data } = await tried(`GitHub comment on ${name}#${key}`, thing, () =>
        issues.createComment({ ...at, body: withMarker(marker, markdown, rest) }),
      );
      return { url: data.html_url };
    },

    async update({ key, status }) {
      const at = { ...calls(), issue_number: numberOf(key) };
      const issue = await read(at, key);
      const title = withSeverity(issue.title, status);
      const body = replaceStatus(issue.body ?? '', status.markdown);
      const changes = {
        ...(title === issue.title ? {} : { title }),
        ...(body === undefined || body === issue.body ? {} : { body }),
      };
      const standing = labelNames(issue.labels);
      const wanted = labelsOf(statusLabels(status));
      const thing = `issue ${name}#${key}`;
      // GitHub changes bodies only as a whole, and knows no condition: nothing comes between reading it and writing it.
      if (Object.keys(changes).length > 0) {
        await tried(`GitHub update issue ${name}#${key}`, thing, () => issues.update({ ...at, ...changes }));
      }
      const relabelled = await tried(`GitHub label issue ${name}#${key}`, thing, () =>
        changeLabels(octokit, at, {
          add: wanted.filter((label) => !includesLabel(standing, label)),
          remove: standing.filter((label) => isStatusLabel(label) && !includesLabel(wanted, label)),
        }),
      );
      return { changed: relabelled || Object.keys(changes).length > 0 };
    },

    async close({ key, done }) {
      const at = calls();
      if ((await read(at, key)).state === 'closed') return false;
      await tried(`GitHub close issue ${name}#${key}`, `issue ${name}#${key}`, () =>
        issues.update({
          ...at,
          issue_number: numberOf(key),
          state: 'closed',
          state_reason: done ? 'completed' : 'not_planned',
        }),
      );
      return true;
    },

    async file({ key, incidentId, itemId, title, markdown, labels, assignee }) {
      const at = calls();
      const marker = itemMarker(itemId);
      const found = await find(at, incidentId, marker);
      const { ticket, id } =
        found === undefined
          ? await create(at, {
              title: titleOf(title) || itemId,
              // The reference puts a line into the incident's issue as well, where there are no sub-issues.
              body: withMarker(marker, `Of ${name}#${numberOf(key)}.\n\n${markdown}`, REST_OF_BODY),
              labels: labelsOf([OUR_LABEL, incidentLabel(incidentId), ACTION_ITEM_LABEL, ...labels]),
              assignee,
            })
          : { ticket: { key: String(found.number), url: found.html_url }, id: found.id };
      await tried(`GitHub link issue ${name}#${ticket.key}`, `issue ${name}#${key}`, () =>
        linkSubIssue(octokit, { ...at, issue_number: numberOf(key) }, id),
      );
      return { ...ticket, created: found === undefined };
    },
  };
}

/** @throws InvalidInput for a key that is none of GitHub's: the ticket system was changed meanwhile. */
function numberOf(key: string): number {
  if (/^[1-9]\d{0,15}$/.test(key)) return Number(key);
  throw fail(
    'InvalidInput',
    'the key of the ticket is no number of a GitHub issue: was another ticket system configured when it was opened?',
  );
}

/** GitHub compares labels without case. */
function includesLabel(labels: readonly string[], label: string): boolean {
  return labels.some((one) => one.toLowerCase() === label.toLowerCase());
}

async function tried<T>(what: string, thing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fromGitHub(error, what, thing);
  }
}
