/** One incident's ticket in GitHub and in Jira: what the adapters really wrote there, read back from stand-ins of both. */
import { createGitHubTickets } from '../../activities/github/index.ts';
import { type AdfNode, toAdf } from '../../activities/jira/adf.ts';
import { createJiraTickets } from '../../activities/jira/index.ts';
import { createTicketActivities } from '../../activities/tickets/index.ts';
import type { TicketSystem } from '../../activities/tickets/system.ts';
import { startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { renderTicket, renderVerification } from '../../domain/ticket.ts';
import { ticketStatus } from '../../domain/ticket-status.ts';
import { startFakeJira } from '../../test/vendors/jira/server.ts';
import { card } from './document.ts';
import { column, type Element, type Picture, row, text } from './element.ts';
import { ALERTED, CLOSED, WAITING } from './views.ts';

const TICKETS_WIDTH = 860;
const PUBLIC_URL = 'https://firebreak.example.com';
const OPENED_AT_MS = Date.UTC(2026, 2, 1, 2, 58, 6);

interface Shown {
  title: string;
  labels: readonly string[];
  body: readonly AdfNode[];
  comments: readonly (readonly AdfNode[])[];
}

/** Opened while it was new, brought up to date, with the comment about the verdict. */
async function writeTicket(system: TicketSystem): Promise<void> {
  const tickets = createTicketActivities({
    system,
    onResolved: 'leave',
    assigneeOf: () => undefined,
    publicUrl: PUBLIC_URL,
    records: { postmortem: async () => undefined },
  });
  const { incidentId } = ALERTED;
  const { title, body } = renderTicket(ALERTED, ['registry.example.com/llm-api:2026-03-01'], OPENED_AT_MS);
  const { key } = await tickets.openTicket({
    incidentId,
    title,
    status: ticketStatus(ALERTED),
    bodyMarkdown: body,
    labels: ['ai-incident'],
  });
  await tickets.updateTicket({ key, incidentId, status: ticketStatus(WAITING) });
  await tickets.commentTicket({
    key,
    incidentId,
    commentKey: 'verification',
    bodyMarkdown: renderVerification(CLOSED),
    plot: plotted(CLOSED),
  });
}

function plotted(view: IncidentView) {
  const { incidentId, title, target, harmHistory, verification, milestones, timeline } = view;
  return { incidentId, title, target, harmHistory, verification, milestones, timeline };
}

async function onGitHub(): Promise<Shown> {
  const { github, close } = await startEmulators();
  try {
    await writeTicket(createGitHubTickets(github));
    const [issue] = await github.issues();
    if (issue === undefined) throw new Error('no issue was opened');
    return { ...issue, body: shownMarkdown(issue.body), comments: issue.comments.map(shownMarkdown) };
  } finally {
    await close();
  }
}

/** GitHub shows no HTML comments, which is where the markers are. */
function shownMarkdown(markdown: string): AdfNode[] {
  return toAdf(markdown.replaceAll(/<!--.*?-->\n?/gs, ''));
}

async function inJira(): Promise<Shown> {
  const jira = await startFakeJira({ indexesAtOnce: true });
  try {
    await writeTicket(
      createJiraTickets({ ...jira, issueType: 'Task', actionItemType: 'Task', linkType: 'Relates' }),
    );
    const [issue] = jira.issues;
    if (issue === undefined) throw new Error('no issue was created');
    return {
      title: `${issue.key}  ${issue.summary}`,
      labels: issue.labels,
      body: (issue.description?.content ?? []) as AdfNode[],
      comments: issue.comments.map(({ body }) => body.content as AdfNode[]),
    };
  } finally {
    await jira.close();
  }
}

function ticket({ title, labels, body, comments }: Shown): Element {
  return column(
    {
      width: TICKETS_WIDTH,
      padding: 20,
      gap: 14,
      backgroundColor: '#ffffff',
      color: '#1f2328',
      fontFamily: 'Lato, DejaVu Sans Mono',
      fontSize: 14,
      lineHeight: 1.45,
    },
    [
      text(title, { fontSize: 20, fontWeight: 700 }),
      row(
        { gap: 6, flexWrap: 'wrap' },
        labels.map((label) =>
          text(label, {
            fontSize: 12,
            padding: '1px 9px',
            borderRadius: 10,
            backgroundColor: '#eaeef2',
            border: '1px solid #d0d7de',
          }),
        ),
      ),
      card('firebreak opened this ticket', body),
      ...comments.map((comment) => card('firebreak commented', comment)),
    ],
  );
}

export async function ticketPictures(): Promise<Picture[]> {
  return [
    {
      name: 'ticket-github',
      alt: 'An issue on GitHub: title with the severity, labels, the section that is kept up to date, facts, and a comment with the verdict',
      width: TICKETS_WIDTH,
      element: ticket(await onGitHub()),
    },
    {
      name: 'ticket-jira',
      alt: 'The same ticket in Jira, with the section that is kept up to date in a panel',
      width: TICKETS_WIDTH,
      element: ticket(await inJira()),
    },
  ];
}
