/** Every picture of docs/pictures: what the renderers really make of the views, put on a page. */
import { createHash } from 'node:crypto';
import pc from 'picocolors';
import { renderEntries } from '../../activities/slack/entries.ts';
import { renderIncident } from '../../activities/slack/render.ts';
import { renderIncident as renderForTerminal } from '../../cli/render/incident.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { HELP } from '../../webhooks/slack/commands.ts';
import { formView } from '../../webhooks/slack/forms.ts';
import { plainMessage, type SlackMessage, statusMessage } from '../../webhooks/slack/render.ts';
import { FORM_WIDTH, SLACK_WIDTH, slackForm, slackMessages } from './block-kit.ts';
import { cliPictures } from './cli.ts';
import { doctorPicture } from './doctor.ts';
import type { Picture } from './element.ts';
import { pagePictures } from './pages.ts';
import { TERMINAL_WIDTH, terminal } from './terminal.ts';
import { ticketPictures } from './tickets.ts';
import { CLOSED, NEEDS_HUMAN, WAITING } from './views.ts';

/** Id of a channel as Slack gives them; shown as its name. */
const ROOM = 'C0INCIDENT';

function slack(name: string, alt: string, at: string, view: IncidentView, room?: string): Picture {
  const message = renderIncident(view, { room });
  return { name, alt, width: SLACK_WIDTH, element: slackMessages([{ at, message }]) };
}

export async function pictures(): Promise<Picture[]> {
  const thread = renderEntries(WAITING.timeline, { incidentId: WAITING.incidentId, postedSeq: -1 });
  return [
    slack(
      'slack-waiting',
      'A Slack message of a contained incident: next action, facts, harm rate, and the plan above Approve and Reject',
      '3:04 AM',
      WAITING,
      ROOM,
    ),
    slack(
      'slack-needs-human',
      'A Slack message of an incident in which a step failed and nobody has acknowledged yet',
      '3:01 AM',
      NEEDS_HUMAN,
    ),
    slack(
      'slack-closed',
      'A Slack message of a closed incident with its verdict, without buttons',
      '3:53 AM',
      CLOSED,
    ),
    {
      name: 'slack-thread',
      alt: 'The timeline of an incident in the thread of its Slack message',
      width: SLACK_WIDTH,
      element: slackMessages([{ at: '3:01 AM', message: thread.message }]),
    },
    {
      name: 'cli-incident',
      alt: 'firebreak incident show in a terminal',
      width: TERMINAL_WIDTH,
      element: terminal(
        `firebreak incident show ${WAITING.incidentId}`,
        renderForTerminal({ incident: WAITING, source: 'live' }, pc.createColors(true), {
          unicode: true,
        }),
      ),
    },
    answer(
      'slack-status',
      'The answer to /firebreak status in Slack: state, target, steps, and the plan with its buttons',
      statusMessage(WAITING),
    ),
    answer('slack-help', 'The answer to /firebreak help in Slack: every command', plainMessage(HELP)),
    rejectForm(),
    ...(await pagePictures()),
    ...(await ticketPictures()),
    ...(await cliPictures()),
    await doctorPicture(),
  ];
}

/** What only the person sees who typed a command. */
function answer(name: string, alt: string, { text, blocks = [] }: SlackMessage): Picture {
  const message = { text, blocks } as unknown as Parameters<typeof slackMessages>[0][number]['message'];
  const element = slackMessages([{ at: '3:05 AM', message, onlyYou: true }]);
  return { name, alt, width: SLACK_WIDTH, element };
}

function rejectForm(): Picture {
  const { incidentId, pendingApprovals } = WAITING;
  const [pending] = pendingApprovals;
  const view = formView('reject', { incidentId, step: pending?.step, planHash: pending?.planHash }, {});
  if (view === undefined) throw new Error('the form does not fit');
  return {
    name: 'slack-reject',
    alt: 'The form in Slack that asks why a plan is rejected',
    width: FORM_WIDTH,
    element: slackForm(view),
  };
}

/** Changes with whatever the picture shows, and with how it is drawn. */
export function sourceHash({ element, width }: Picture): string {
  return createHash('sha256').update(JSON.stringify({ element, width })).digest('hex');
}
