/**
 * Slack over Socket Mode through a whole process of Firebreak and a real Temporal: from the buttons of the message that it
 * posted itself, and while Temporal is away.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { stringify } from 'yaml';
import { pollUntil } from '../../demo/stack/poll.ts';
import { Supervisor } from '../../demo/stack/supervisor.ts';
import { type RunningTemporal, startTemporal } from '../../demo/stack/temporal.ts';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import { type PagerDutySink, startPagerDutySink } from '../../demo/vendors/pagerduty-sink.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { SLACK } from '../../webhooks/test-support/edge.ts';
import { slackRequests } from '../../webhooks/test-support/slack-requests.ts';
import { APP_TOKEN, SlackSide } from '../../webhooks/test-support/slack-side.ts';
import { type Serving, serve } from '../../worker/serve.ts';
import * as messages from '../../workflows/messages.ts';

const SOON_MS = 60_000;
/** Slack shows an error to the person when an acknowledgement takes longer. */
const SLACK_PATIENCE_MS = 3_000;
const TOKENS = { mara: 'token-of-mara-for-tests', ben: 'token-of-ben-for-tests' };

let dir: string;
let supervisor: Supervisor;
let temporal: RunningTemporal;
let emulators: Emulators;
let pagerDuty: PagerDutySink;
let slack: SlackSide;
let firebreak: Serving;
let incidentId: string;

const { commandForm, pressPayload, submitPayload } = slackRequests({
  app: () => {
    throw new Error('nothing is sent over HTTP here');
  },
  nowMs: 0,
  origin: () => slack.origin,
  trigger: () => slack.trigger(),
});

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'firebreak-slack-'));
  supervisor = new Supervisor(path.join(dir, 'logs'));
  [temporal, emulators, pagerDuty] = await Promise.all([
    startTemporal({
      supervisor,
      executable: inject('tools').temporal,
      dir,
      searchAttributes: Object.values(messages.SEARCH_ATTRIBUTES).map((name) => ({
        name,
        type: 'Keyword' as const,
      })),
    }),
    startEmulators(),
    startPagerDutySink(),
  ]);
  slack = new SlackSide();
  slack.behind = emulators.slack.apiUrl;
  await slack.start();
  const page = { channels: [{ type: 'pagerduty', url: pagerDuty.url, routingKey: 'env:PAGERDUTY' }] };
  const config = {
    server: { port: 0, alertmanager: { bearerTokens: ['env:ALERTMANAGER'] } },
    dataDir: path.join(dir, 'data'),
    temporal: { address: temporal.address, namespace: temporal.namespace },
    paging: { roles: { 'ml-oncall': page, 'security-oncall': page, commander: page } },
    chat: {
      slack: {
        botToken: 'env:SLACK_BOT',
        appToken: 'env:SLACK_APP',
        teamId: SLACK.teamId,
        channel: emulators.slack.channel,
        apiUrl: `${slack.origin}/api/`,
      },
    },
    access: {
      people: [
        { id: 'mara', name: 'Mara', groups: ['ml-oncall'], slackUserId: 'U0MARA', tokens: ['env:MARA'] },
        { id: 'ben', name: 'Ben', groups: ['commander'], slackUserId: 'U0BEN', tokens: ['env:BEN'] },
      ],
      rules: { responder: ['ml-oncall'], commander: ['commander'] },
    },
  };
  const file = path.join(dir, 'firebreak.yaml');
  await writeFile(file, stringify(config));
  firebreak = await serve({
    config: file,
    roles: ['webhooks', 'worker'],
    env: {
      ALERTMANAGER: 'alertmanager-token-for-tests-1',
      PAGERDUTY: 'a'.repeat(32),
      SLACK_BOT: emulators.slack.token,
      SLACK_APP: APP_TOKEN,
      MARA: TOKENS.mara,
      BEN: TOKENS.ben,
    },
  });
  await pollUntil('Firebreak being ready', SOON_MS, async () => (await fetch(`${firebreak.url}/readyz`)).ok);
});
afterAll(async () => {
  await firebreak?.stop();
  slack?.stop();
  await Promise.all([emulators?.close(), pagerDuty?.close()]);
  await temporal?.stop();
  await supervisor?.stop();
  await rm(dir, { recursive: true, force: true });
});

async function api(route: string): Promise<{ incident: IncidentView; incidents: { incidentId: string }[] }> {
  const response = await fetch(`${firebreak.url}/api/v1${route}`, {
    headers: { authorization: `Bearer ${TOKENS.ben}` },
  });
  return (await response.json()) as { incident: IncidentView; incidents: { incidentId: string }[] };
}

function incidentWhen(what: string, holds: (view: IncidentView) => boolean): Promise<IncidentView> {
  return pollUntil(what, SOON_MS, async () => {
    const { incident } = await api(`/incidents/${incidentId}`);
    if (holds(incident)) return incident;
    throw new Error(`people were told: ${JSON.stringify(slack.received.map(({ body }) => body.text))}`);
  });
}

function noted(view: IncidentView) {
  return view.timeline.filter(({ data }) => JSON.stringify(data ?? {}).includes('while it was away'));
}

interface Button {
  action_id: string;
  value: string;
  text: { text: string };
}
/** A button of the incident's message in the channel, as Slack keeps it. */
function shownButton(label: string): Promise<Button> {
  return pollUntil(`the button ${label} in the channel`, SOON_MS, async () => {
    const blocks = (await emulators.slack.messages()).flatMap((message) => message.blocks);
    return (blocks as { type: string; elements?: Button[] }[])
      .filter(({ type }) => type === 'actions')
      .flatMap(({ elements = [] }) => elements)
      .find(({ text, value }) => text.text === label && value.includes(incidentId));
  });
}

async function inTime<T>(work: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  expect(performance.now() - from).toBeLessThan(SLACK_PATIENCE_MS);
  return result;
}

describe('Socket Mode', () => {
  it('says in /readyz that it is connected, and shows an incident that an alert opened', async () => {
    const ready = (await (await fetch(`${firebreak.url}/readyz`)).json()) as {
      checks: { name: string; details?: { connected: boolean } }[];
    };
    expect(ready.checks.find(({ name }) => name === 'slack')?.details?.connected).toBe(true);

    const labels = { alertname: 'AiOddAnswers', rmf_function: 'MEASURE', service: 'chat' };
    const delivery = {
      version: '4',
      groupKey: '{}:{alertname="AiOddAnswers"}',
      truncatedAlerts: 0,
      status: 'firing',
      receiver: 'firebreak',
      groupLabels: { alertname: labels.alertname },
      commonLabels: labels,
      commonAnnotations: {},
      externalURL: 'http://alertmanager.invalid',
      alerts: [
        {
          status: 'firing',
          labels,
          annotations: { summary: '<!channel> odd answers' },
          startsAt: new Date().toISOString(),
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: 'http://prometheus.invalid',
          fingerprint: '0123456789abcdef',
        },
      ],
    };
    const taken = await fetch(`${firebreak.url}/webhooks/alertmanager`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer alertmanager-token-for-tests-1' },
      body: JSON.stringify(delivery),
    });
    expect(taken.ok).toBe(true);
    incidentId = await pollUntil('the incident being open', SOON_MS, async () => {
      const { incidents } = await api('/incidents');
      return incidents[0]?.incidentId;
    });
    expect(await inTime(() => slack.deliver('slash_commands', commandForm('list')))).toMatchObject({
      text: 'Looking...',
    });
    await slack.message(incidentId);
  });

  it('acknowledges by the button of the message that Firebreak posted', async () => {
    const { action_id, value } = await shownButton('Acknowledge');
    await inTime(() => slack.deliver('interactive', pressPayload(action_id, value)));
    const view = await incidentWhen('the acknowledgement', (one) => one.acknowledgedBy !== undefined);
    expect(view.acknowledgedBy).toBe('mara');
  });

  it('takes command, raises the severity and tells stakeholders without an id, since one incident is open', async () => {
    for (const text of [
      'take',
      'severity SEV1 users are harmed',
      'update we are looking in 20m',
      'note <@U0BEN|ben> &amp; I',
    ]) {
      expect(await inTime(() => slack.deliver('slash_commands', commandForm(text)))).toBeDefined();
    }
    const view = await incidentWhen(
      'all of it',
      (one) => one.commander === 'mara' && one.severity === 'SEV1' && (one.updates?.length ?? 0) > 0,
    );
    expect(view.updates?.at(-1)).toMatchObject({ by: 'mara', text: 'we are looking' });
    expect(view.updateDueAtMs).toBeGreaterThan(Date.now());
    await incidentWhen('the note', (one) =>
      one.timeline.some(({ data }) => JSON.stringify(data ?? {}).includes('@ben & I')),
    );
  });

  it('answers in time while Temporal is away, and does it once when it is back', async () => {
    await temporal.stop('SIGKILL');
    const command = commandForm(`note ${incidentId} written while it was away`);
    await inTime(() => slack.deliver('slash_commands', command));
    // Slack, or a proxy, delivers it again: the same click has the same trigger_id.
    await inTime(() => slack.deliver('slash_commands', command));
    await inTime(() => slack.deliver('slash_commands', commandForm('status')));
    await temporal.start();
    const view = await incidentWhen('the note', (one) => noted(one).length > 0);
    expect(noted(view)).toHaveLength(1);
  });

  it('stops the incident by a form, for a commander only', async () => {
    const value = JSON.stringify({ incidentId });
    await slack.deliver('interactive', pressPayload('firebreak_stop', value));
    await slack.message(/takes a commander/);
    const ben = { user: { id: 'U0BEN', team_id: SLACK.teamId } };
    await slack.deliver('interactive', pressPayload('firebreak_stop', value, ben));
    const form = await slack.until(() => slack.views.at(-1));
    await inTime(() => slack.deliver('interactive', submitPayload(form, 'wrong runbook', ben)));
    await incidentWhen('the reason in the timeline', (one) =>
      one.timeline.some(
        (entry) => JSON.stringify(entry.data ?? {}).includes('wrong runbook') && entry.actor === 'ben',
      ),
    );
    expect(slack.refused).toEqual([]);
  });
});
