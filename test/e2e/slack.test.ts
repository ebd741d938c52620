/** Slack, through the running server: requests signed as Slack signs them, and the incident's message in its channel. */
import { createHmac, randomBytes } from 'node:crypto';
import { WebClient } from '@slack/web-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PEOPLE, type PersonId } from '../../demo/run/firebreak-process.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { EmulatedMessage } from '../../demo/vendors/emulators.ts';
import { imageOf } from '../../demo/world/models.ts';
import type { RunningNode } from '../../demo/world/node.ts';
import type { PendingApproval } from '../../domain/incident.ts';
import { deploymentAsShipped, harmDelivery } from '../faults/alert-deliveries.ts';
import {
  apiOf,
  askForRollback,
  attemptsOn,
  incidentWhen,
  modelIn,
  openIncident,
  shipRevisions,
  V1,
  V2,
} from '../faults/waiting-incident.ts';
import { type Installation, install } from './installation.ts';

const NAMESPACE = 'slack-approves';
/** Slack shows an error to the person when the answer takes longer. */
const SLACK_PATIENCE_MS = 3_000;
/** Slack's own figure for requests that may be replays is 5 minutes. */
const SIX_MINUTES_MS = 6 * 60_000;
const SOON_MS = 30_000;
const TEAM = 'T000000001';
/** Nobody in the access file. */
const STRANGER = 'U0STRANGER';
const HOSTILE = '<!channel> <@U000000001> <https://evil.invalid|click> *bold* @here https://evil.invalid';

let installation: Installation;
let node: RunningNode;
let incidentId: string;
let pending: PendingApproval;

beforeAll(async () => {
  installation = await install({ name: 'slack', namespaces: { [NAMESPACE]: 'approve' } });
  node = await shipRevisions(installation, NAMESPACE);
  incidentId = await openIncident(
    installation,
    NAMESPACE,
    harmDelivery(NAMESPACE, {
      labels: { alertname: `AiHarmful ${HOSTILE}` },
      annotations: { summary: HOSTILE },
    }),
  );
  ({ pending } = await askForRollback(installation, incidentId));
});
afterAll(async () => {
  await node?.stop();
  await installation?.close();
});

interface Sending {
  secret?: string;
  atMs?: number;
  /** Appended after the body was signed. */
  tamper?: string;
  unsigned?: boolean;
}

interface SlackAnswer {
  status: number;
  text: string;
  tookMs: number;
  /** Who Slack's emulator shows as sender of what Firebreak sends to the request's response_url. */
  mailbox: string;
}

/** Sends a form as Slack does: HMAC-SHA256 over version, time and raw body. */
async function send(
  path: 'commands' | 'interactions',
  form: (responseUrl: string) => Record<string, string>,
  how: Sending = {},
): Promise<SlackAnswer> {
  const mailbox = `B${randomBytes(5).toString('hex').toUpperCase()}`;
  const { origin } = new URL(installation.vendors.emulators.slack.apiUrl);
  const body = new URLSearchParams(form(`${origin}/services/${TEAM}/${mailbox}/response`)).toString();
  const timestamp = String(Math.floor((how.atMs ?? Date.now()) / 1_000));
  const signature = createHmac('sha256', how.secret ?? installation.firebreak.slackSigningSecret)
    .update(`v0:${timestamp}:${body}`)
    .digest('hex');
  const startedAtMs = performance.now();
  const answer = await fetch(`${installation.firebreak.url}/webhooks/slack/${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(how.unsigned
        ? {}
        : { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` }),
    },
    body: body + (how.tamper ?? ''),
  });
  const text = await answer.text();
  return { status: answer.status, text, tookMs: performance.now() - startedAtMs, mailbox };
}

function command(text: string, user: string, how?: Sending): Promise<SlackAnswer> {
  const { channel } = installation.vendors.emulators.slack;
  return send(
    'commands',
    (response_url) => ({
      command: '/firebreak',
      text,
      user_id: user,
      team_id: TEAM,
      channel_id: channel,
      trigger_id: '1.2.3',
      response_url,
    }),
    how,
  );
}

/** Presses a button as it stands in the channel: its own action id and value. */
async function press(label: 'Approve' | 'Reject', user: string, how?: Sending): Promise<SlackAnswer> {
  const button = await pollUntil(`the button ${label} in the channel`, SOON_MS, async () =>
    buttonsOf(await incidentMessage()).find((one) => one.text.text === label),
  );
  return pressButton(button, user, how);
}

function pressButton(button: Button, user: string, how?: Sending): Promise<SlackAnswer> {
  const { channel } = installation.vendors.emulators.slack;
  return send(
    'interactions',
    (response_url) => ({
      payload: JSON.stringify({
        type: 'block_actions',
        team: { id: TEAM },
        user: { id: user, team_id: TEAM },
        channel: { id: channel },
        actions: [{ ...button, type: 'button', block_id: 'b', action_ts: '1.2' }],
        trigger_id: '1.2.3',
        response_url,
      }),
    }),
    how,
  );
}

interface Button {
  action_id: string;
  value: string;
  text: { text: string };
}

function buttonsOf({ blocks }: EmulatedMessage): Button[] {
  return (blocks as { type: string; elements?: unknown[] }[])
    .filter(({ type }) => type === 'actions')
    .flatMap(({ elements }) => (elements ?? []) as Button[]);
}

async function ownMessages(): Promise<{ roots: EmulatedMessage[]; thread: EmulatedMessage[] }> {
  const all = await installation.vendors.emulators.slack.messages();
  const roots = all.filter((one) => one.thread_ts === undefined || one.thread_ts === one.ts);
  const own = roots.filter((one) => JSON.stringify(one.blocks).includes(incidentId));
  return {
    roots: own,
    thread: all.filter((one) => one.ts !== one.thread_ts && own.some((root) => root.ts === one.thread_ts)),
  };
}

async function incidentMessage(): Promise<EmulatedMessage> {
  const { roots } = await ownMessages();
  const [message] = roots;
  if (!message || roots.length > 1) throw new Error(`${roots.length} messages are about ${incidentId}`);
  return message;
}

/** What came to the response_url of a request, until one of the messages is what is wanted. */
async function outcome({ mailbox }: SlackAnswer, wanted: RegExp): Promise<string> {
  const { apiUrl, token } = installation.vendors.emulators.slack;
  const client = new WebClient(token, { slackApiUrl: apiUrl });
  const { channels } = await client.conversations.list();
  const general = channels?.find(({ name }) => name === 'general')?.id ?? '';
  return pollUntil(`an outcome like ${wanted}`, SOON_MS, async () => {
    const { messages = [] } = await client.conversations.history({ channel: general, limit: 200 });
    const texts = messages.filter((one) => one.bot_id === mailbox).map(({ text }) => text ?? '');
    const found = texts.find((text) => wanted.test(text));
    if (found === undefined) throw new Error(`so far: ${JSON.stringify(texts)}`);
    return found;
  });
}

function slackUser(person: PersonId): string {
  return PEOPLE[person].slackUserId;
}

function expectInTime({ status, tookMs }: SlackAnswer): void {
  expect(status).toBe(200);
  expect(tookMs).toBeLessThan(SLACK_PATIENCE_MS);
}

describe('the slash command', () => {
  it('lists open incidents and shows one with its plan', async () => {
    const list = await command('list', slackUser('eve'));
    expectInTime(list);
    expect(await outcome(list, /inc-/)).toContain(incidentId);
    const status = await command(`status ${incidentId.slice(0, 12)}`, slackUser('maria'));
    expectInTime(status);
    const text = await outcome(status, /is needs-human|is triggered|is contained/);
    expect(text).toContain(incidentId);
    expect(text).toContain('rollback awaiting-approval');
    expect(text).not.toMatch(/<[!@]|<https?:/);
  });

  it('answers a command that there is not with help, and a stranger with who to ask', async () => {
    const help = await command('destroy everything', slackUser('maria'));
    expectInTime(help);
    expect(help.text).toContain('/firebreak list');
    const stranger = await command(`approve ${incidentId} ${pending.planHash}`, STRANGER);
    expectInTime(stranger);
    expect(await outcome(stranger, /Refused/)).toContain('nobody in the access file');
    expect((await attemptsOn(installation, incidentId)).at(-1)).toMatchObject({
      decision: 'approve',
      verdict: 'denied',
      via: 'slack',
    });
  });
});

describe('a request that Slack has not signed just now', () => {
  it.each<[string, () => Sending]>([
    ['signed with another secret', () => ({ secret: randomBytes(24).toString('hex') })],
    ['changed after it was signed', () => ({ tamper: '&user_id=U000000001' })],
    ['signed six minutes ago', () => ({ atMs: Date.now() - SIX_MINUTES_MS })],
    ['signed for in six minutes', () => ({ atMs: Date.now() + SIX_MINUTES_MS })],
    ['not signed at all', () => ({ unsigned: true })],
  ])('is refused when %s, and does nothing', async (_what, how) => {
    const attemptsBefore = await attemptsOn(installation, incidentId);
    const pressed = await press('Approve', slackUser('maria'), how());
    expect(pressed.status).toBe(401);
    expect(JSON.parse(pressed.text)).toMatchObject({ error: { code: 'unauthenticated' } });
    const typed = await command(`approve ${incidentId} ${pending.planHash}`, slackUser('maria'), how());
    expect(typed.status).toBe(401);
    expect(await attemptsOn(installation, incidentId)).toEqual(attemptsBefore);
    expect((await apiOf(installation, 'kim').incident(incidentId)).pendingApprovals).toMatchObject([
      { approvedBy: [] },
    ]);
  });
});

describe('the buttons of the message in the channel', () => {
  it("refuse and record an approval by people who are not in the plan's groups", async () => {
    const before = await deploymentAsShipped(installation, NAMESPACE);
    for (const person of ['eve', 'sam'] as const) {
      const answer = await press('Approve', slackUser(person));
      expectInTime(answer);
      expect(await outcome(answer, /Not allowed/)).toContain('in none of the groups that decide here');
      expect((await attemptsOn(installation, incidentId)).at(-1)).toMatchObject({
        person,
        decision: 'approve',
        verdict: 'denied',
        via: 'slack',
        planHash: pending.planHash,
      });
    }
    const view = await apiOf(installation, 'kim').incident(incidentId);
    expect(view.pendingApprovals).toMatchObject([{ approvedBy: [] }]);
    expect(await deploymentAsShipped(installation, NAMESPACE)).toEqual(before);
  });

  it('roll back when maria approves, in one message that is updated in place', async () => {
    expect(await imageOf(modelIn(installation, NAMESPACE))).toBe(V2);
    const shownBefore = await incidentMessage();
    const approve = buttonsOf(shownBefore).find((button) => button.text.text === 'Approve');
    if (!approve) throw new Error('the message has no button to approve');

    const answer = await pressButton(approve, slackUser('maria'));
    expectInTime(answer);
    expect(await outcome(answer, /Approved/)).toContain('step rollback goes ahead');
    const view = await incidentWhen(
      installation,
      incidentId,
      'having rolled back',
      (candidate) => candidate.milestones.rolledBack !== undefined,
    );
    expect(view.timeline.find(({ text }) => text === 'approved step rollback')).toMatchObject({
      actor: 'maria',
      data: { via: 'slack', planHash: pending.planHash },
    });
    expect(await imageOf(modelIn(installation, NAMESPACE))).toBe(V1);

    const shownAfter = await pollUntil('the message without the plan', SOON_MS, async () => {
      const message = await incidentMessage();
      return buttonsOf(message).every((button) => button.text.text !== 'Approve') ? message : undefined;
    });
    expect(shownAfter.ts).toBe(shownBefore.ts);
    expect(JSON.stringify(shownAfter.blocks)).toContain('revision 2 to 1');

    // The same button, pressed again from an old copy of the message.
    const again = await pressButton(approve, slackUser('maria'));
    expectInTime(again);
    await outcome(again, /maria has already decided this/);
    expect(
      (await attemptsOn(installation, incidentId))
        .filter(({ person, decision }) => person === 'maria' && decision === 'approve')
        .map(({ verdict, via }) => `${verdict} ${via}`),
    ).toEqual(['accepted slack', 'duplicate slack']);
  });

  it('have the timeline in their thread, in order and once', async () => {
    const view = await apiOf(installation, 'kim').incident(incidentId);
    const wanted = view.timeline.map(({ text }) => plain(text));
    const lines = await pollUntil('the timeline being in the thread', SOON_MS, async () => {
      const { thread } = await ownMessages();
      const shown = thread.flatMap(linesOf);
      return wanted.every((text) => shown.some((line) => line.includes(text))) ? shown : undefined;
    });
    const approvals = lines.filter((line) => line.includes('approved step rollback (maria)'));
    expect(approvals).toHaveLength(1);
    const at = (text: string) => lines.findIndex((line) => line.includes(text));
    expect(at('Approval of rollback asked')).toBeLessThan(at('approved step rollback'));
    expect(at('approved step rollback')).toBeLessThan(at('Rolled back;'));
  });

  it('show text of the alert without any of its markup being live', async () => {
    const { roots, thread } = await ownMessages();
    expect(roots).toHaveLength(1);
    expect(roots[0]?.text).toContain('AiHarmful &lt;!channel&gt;');
    for (const message of [...roots, ...thread]) {
      expect(message.text).not.toMatch(/<[!@#]|<https?:/);
      const json = JSON.stringify(message.blocks);
      expect(json).not.toMatch(/"type":"(mrkdwn|user|usergroup|broadcast|channel)"/);
      // The only link is the ticket's.
      for (const [, url] of json.matchAll(/"url":"([^"]*)"/g)) expect(url).toMatch(/\/acme\/ai-operations\//);
    }
  });
});

function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function linesOf({ blocks }: EmulatedMessage): string[] {
  return (blocks as { text?: { text?: string } }[]).flatMap(({ text }) => (text?.text ?? '').split('\n'));
}
