import { ApplicationFailure } from '@temporalio/common';
import {
  ACTION_ITEM_LABEL,
  incidentLabel,
  isStatusLabel,
  itemLabel,
  OUR_LABEL,
  statusLabels,
  TICKET_LABEL,
  withSeverity,
} from '../tickets/labels.ts';
import { ACTIVITY_DEADLINE_MS, type TicketFile, type TicketSystem } from '../tickets/system.ts';
import { type AdfDocument, type AdfNode, documentOf, paragraph, textNode, toAdf } from './adf.ts';
import { attachFiles } from './attachments.ts';
import * as api from './client.ts';
import { commentFooter, findComment } from './comments.ts';
import { chooseTransition } from './done.ts';
import { fromJira, refusedFields } from './errors.ts';
import { fitted } from './fit.ts';
import { createIssue, findIssue } from './issues.ts';
import { SECTION_ROOM } from './limits.ts';
import { replacePanel, statusPanel } from './status-panel.ts';
import { issuePath, labelsOf, summaryOf } from './text.ts';

export interface JiraTicketsOptions extends api.JiraOptions {
  /** Key of the project: OPS. */
  project: string;
  /** Name of the issue type of incidents, and of action items. */
  issueType: string;
  actionItemType: string;
  /** Name of the type of links between them. */
  linkType: string;
  /** Name of the transition, or of its status, by which tickets are closed; absent: the first to the category done. */
  doneTransition?: string | undefined;
}

/**
 * Tickets as issues of Jira Cloud. Issues have no idempotency key: each is looked for by its labels before it is created. The
 * search follows with a delay, so an attempt after a lost answer waits for it (limits.ts).
 */
export function createJiraTickets(options: JiraTicketsOptions): TicketSystem {
  const client = api.createJiraClient(options);
  const begin = () => client.within(AbortSignal.timeout(ACTIVITY_DEADLINE_MS));
  const site = options.url.replace(/\/+$/, '');
  const browse = (key: string) => `${site}/browse/${encodeURIComponent(key)}`;

  const read = (jira: api.JiraClient, key: string, fields: string) =>
    jira.call(api.issueFields, {
      method: 'GET',
      path: issuePath(key),
      params: { fields },
      what: `read issue ${key}`,
      thing: `issue ${key}`,
    });

  return {
    name: 'Jira',

    async open({ incidentId, title, status, markdown, labels }) {
      const jira = begin();
      const ours = [incidentLabel(incidentId), TICKET_LABEL];
      const found = await findIssue(jira, ours);
      if (found !== undefined) return { key: found, url: browse(found), created: false };
      const key = await createIssue(jira, options.project, {
        issuetype: { name: options.issueType },
        summary: summaryOf(title) || incidentId,
        description: fitted(
          [statusPanel(status.markdown), ...toAdf(markdown)],
          [cutNote()],
          [],
          SECTION_ROOM,
        ),
        labels: labelsOf([OUR_LABEL, ...ours, ...statusLabels(status), ...labels]),
      });
      return { key, url: browse(key), created: true };
    },

    async comment({ key, incidentId, commentKey, markdown, rest, files }) {
      const jira = begin();
      const footer = commentFooter(commentKey, incidentId);
      const address = (id: string) => `${browse(key)}?focusedCommentId=${encodeURIComponent(id)}`;
      const found = await findComment(jira, key, footer);
      if (found !== undefined) return { url: address(found) };
      const attached = await attachFiles(jira, key, files);
      const tail = [...attachedNote(attached), footer];
      const { id } = await jira.call(api.createdComment, {
        method: 'POST',
        path: `${issuePath(key)}/comment`,
        data: { body: fitted(toAdf(markdown), [cutNote(), ...toAdf(rest)], tail) },
        what: `comment on ${key}`,
        thing: `issue ${key}`,
      });
      return { url: address(id) };
    },

    async update({ key, status }) {
      const jira = begin();
      const { fields } = await read(jira, key, 'summary,description,labels');
      const summary = withSeverity(fields.summary ?? '', status);
      const content = replacePanel((fields.description?.content ?? []) as AdfNode[], status.markdown);
      const wanted = statusLabels(status);
      const labels = [
        ...fields.labels
          .filter((label) => isStatusLabel(label) && !wanted.includes(label))
          .map((remove) => ({ remove })),
        ...wanted.filter((label) => !fields.labels.includes(label)).map((add) => ({ add })),
      ];
      const changed = {
        ...(summary === (fields.summary ?? '') ? {} : { summary }),
        ...(content === undefined ? {} : { description: documentOf(content) }),
      };
      if (labels.length === 0 && Object.keys(changed).length === 0) return { changed: false };
      return { changed: await put(jira, key, changed, labels) };
    },

    async close({ key, done }) {
      const jira = begin();
      const thing = `issue ${key}`;
      const { fields } = await read(jira, key, 'status');
      if (fields.status?.statusCategory.key === 'done') return false;
      const path = `${issuePath(key)}/transitions`;
      const { transitions } = await jira.call(api.transitions, {
        method: 'GET',
        path,
        params: { expand: 'transitions.fields' },
        what: `list transitions of ${key}`,
        thing,
      });
      await jira.call(api.nothing, {
        method: 'POST',
        path,
        data: chooseTransition(transitions, { name: options.doneTransition, done, thing }),
        what: `close issue ${key}`,
        thing,
      });
      return true;
    },

    async file({ key: parent, incidentId, itemId, title, markdown, labels, due, assignee }) {
      const jira = begin();
      const own = itemLabel(itemId);
      const found = await findIssue(jira, [own]);
      const of = paragraph([
        ...textNode('Of '),
        ...textNode(parent, [{ type: 'link', attrs: { href: browse(parent) } }]),
        ...textNode('.'),
      ]);
      const key =
        found ??
        (await createIssue(
          jira,
          options.project,
          {
            issuetype: { name: options.actionItemType },
            summary: summaryOf(title) || itemId,
            description: fitted([of, ...toAdf(markdown)], [cutNote()]),
            labels: labelsOf([OUR_LABEL, incidentLabel(incidentId), own, ACTION_ITEM_LABEL, ...labels]),
          },
          {
            duedate: due,
            ...(assignee === undefined ? {} : { assignee: { accountId: assignee } }),
          },
        ));
      await link(jira, parent, key);
      return { key, url: browse(key), created: found === undefined };
    },
  };

  /**
   * Where the description is refused, the rest is written without it: people made it as long as Jira allows, or took the field
   * off the screen. What of a document counts for Jira is not documented (limits.ts), so it is Jira that says.
   * @returns whether anything was written.
   */
  async function put(
    jira: api.JiraClient,
    key: string,
    { description, ...fields }: { summary?: string; description?: AdfDocument },
    labels: readonly ({ add: string } | { remove: string })[],
  ): Promise<boolean> {
    const call = (changed: Record<string, unknown>): api.JiraCall => ({
      method: 'PUT',
      path: issuePath(key),
      data: { fields: changed, ...(labels.length === 0 ? {} : { update: { labels } }) },
      what: `update issue ${key}`,
      thing: `issue ${key}`,
    });
    if (description !== undefined) {
      try {
        await jira.attempt(api.nothing, call({ ...fields, description }));
        return true;
      } catch (error) {
        if (!refusedFields(error).includes('description'))
          throw fromJira(error, `Jira update issue ${key}`, `issue ${key}`);
      }
    }
    if (labels.length === 0 && Object.keys(fields).length === 0) return false;
    await jira.call(api.nothing, call(fields));
    return true;
  }

  /** Once. Where links are switched off, not allowed or named otherwise, the text of the item has the link. */
  async function link(jira: api.JiraClient, parent: string, key: string): Promise<void> {
    const { fields } = await read(jira, key, 'issuelinks');
    const linked = fields.issuelinks.some(
      ({ inwardIssue, outwardIssue }) => (inwardIssue ?? outwardIssue)?.key === parent,
    );
    if (linked) return;
    try {
      await jira.call(api.nothing, {
        method: 'POST',
        path: '/issueLink',
        data: {
          type: { name: options.linkType },
          inwardIssue: { key: parent },
          outwardIssue: { key },
        },
        what: `link ${key} to ${parent}`,
        thing: `link type ${options.linkType}`,
      });
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || !error.nonRetryable) throw error;
    }
  }
}

function cutNote(): AdfNode {
  return paragraph(textNode("(Cut: longer than Jira allows. The whole text is in the incident's record.)"));
}

function attachedNote(files: readonly TicketFile[]): AdfNode[] {
  if (files.length === 0) return [];
  return [paragraph(textNode(`Attached: ${files.map(({ name }) => name).join(', ')}`))];
}
