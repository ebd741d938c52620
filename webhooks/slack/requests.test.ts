import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createAccess } from '../access/access.ts';
import { createSlackDirectory } from '../access/slack-directory.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, SLACK } from '../test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import { type Sending, slackRequests } from '../test-support/slack-requests.ts';
import { SlackSide } from '../test-support/slack-side.ts';
import { plainMessage, statusMessage, timelineMessage } from './render.ts';

const NOW = Date.UTC(2026, 2, 1, 10, 2);
const OTHER_ID = 'inc-3f9a1c2b7d02-9a1b2c3e';
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let slack: SlackSide;
let app: FastifyInstance;
let gateway: RecordingGateway;
const { send, command, press, commandForm, pressPayload, interact } = slackRequests({
  app: () => app,
  nowMs: NOW,
  origin: () => slack.origin,
  trigger: () => slack.trigger(),
});
const button = { incidentId: INCIDENT_ID, step: 'rollback', planHash: PLAN_HASH };
const by = (id: string) => ({ user: { id, team_id: SLACK.teamId } });
const updateIds = () => new Set(gateway.updates.map(({ updateId }) => updateId));
async function open(change: Partial<Parameters<typeof createTestEdge>[0]> = {}) {
  ({ app, gateway } = await createTestEdge({
    records,
    now: () => NOW,
    slack: { ...SLACK, apiUrl: `${slack.origin}/api/` },
    ...change,
  }));
  gateway.views.set(viewOf().workflowId, viewOf());
}

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  slack = new SlackSide();
  await slack.start();
  await open();
});
afterEach(async () => {
  await app.close();
  expect(slack.refused).toEqual([]);
  slack.stop();
});

describe('requests that arrive more than once', () => {
  it.each<[string, () => [string, Record<string, string>]]>([
    [
      'an approval',
      () => ['interactions', { payload: JSON.stringify(pressPayload('firebreak_approve', button)) }],
    ],
    ['a note', () => ['commands', commandForm(`note ${INCIDENT_ID} once`)]],
    ['an escalation', () => ['commands', commandForm(`escalate ${INCIDENT_ID}`)]],
    [
      'a take of command',
      () => ['interactions', { payload: JSON.stringify(pressPayload('firebreak_take_command', button)) }],
    ],
  ])('%s that is replayed, byte for byte, is sent under the same update id', async (_what, make) => {
    const [path, form] = make();
    for (let times = 0; times < 3; times += 1) expect((await send(path, form)).statusCode).toBe(200);
    await app.close();
    expect(gateway.updates.length).toBeGreaterThan(0);
    expect(updateIds().size).toBe(1);
  });

  it('two notes of the same words are two notes', async () => {
    await command(`note ${INCIDENT_ID} again`);
    await command(`note ${INCIDENT_ID} again`);
    await app.close();
    expect(updateIds().size).toBe(2);
  });

  it('a double click is one decision', async () => {
    await Promise.all([press('firebreak_approve', button), press('firebreak_approve', button)]);
    await app.close();
    expect(updateIds().size).toBe(1);
  });

  it('two approvers at once are two decisions', async () => {
    const two = approvalOf({ count: 2 });
    gateway.views.set(viewOf().workflowId, viewOf({ pendingApprovals: [two] }));
    await Promise.all([press('firebreak_approve', button), press('firebreak_approve', button, by('U0BEN'))]);
    await app.close();
    expect(updateIds().size).toBe(2);
    expect(gateway.updates.map(({ argument }) => (argument as { actor: object }).actor)).toEqual(
      expect.arrayContaining([
        { person: 'mara', via: 'slack' },
        { person: 'ben', via: 'slack' },
      ]),
    );
  });

  it('an approval for an older plan is recorded as invalid, and approves nothing', async () => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    const old = 'c'.repeat(64);
    await press('firebreak_approve', { ...button, planHash: old });
    await slack.message(/another plan/);
    expect((await records.attempts(INCIDENT_ID)).slice(before)).toMatchObject([
      { person: 'mara', decision: 'approve', verdict: 'invalid', planHash: old },
    ]);
    expect(gateway.updates).toEqual([]);
  });
});

describe('requests that are not as Slack sends them', () => {
  it.each<[string, Sending, number]>([
    ['JSON in place of a form', { contentType: 'application/json' }, 415],
    ['no content type', { contentType: '' }, 415],
    ['two megabytes', { tamper: `&x=${'x'.repeat(2 * 1024 * 1024)}` }, 413],
  ])('%s is refused', async (_what, how, status) => {
    expect((await command('list', {}, how)).statusCode).toBe(status);
    expect(slack.received).toEqual([]);
  });

  it.each(['{', '[]', '"text"', 'null', `${'['.repeat(100)}${']'.repeat(100)}`, '{"__proto__":{"a":1}}'])(
    'the payload %s is refused',
    async (payload) => {
      const response = await send('interactions', { payload });
      // Without a team it is nobody of ours.
      expect([200, 400]).toContain(response.statusCode);
      if (response.statusCode === 200) expect(response.body).toContain('Refused');
      expect(gateway.updates).toEqual([]);
    },
  );
});

describe('people whom Slack knows and we ask about', () => {
  const member = (id: string, change: object = {}) => ({
    id,
    team_id: SLACK.teamId,
    deleted: false,
    is_bot: false,
    is_email_confirmed: true,
    profile: { email: 'Mara@Example.com' },
    ...change,
  });
  beforeEach(async () => {
    await app.close();
    const config = configSchema.shape.access.parse({
      people: [{ id: 'mara', name: 'Mara', groups: ['ml-oncall'], email: 'mara@example.com' }],
      rules: { responder: ['ml-oncall'] },
    });
    const directory = createSlackDirectory({ ...SLACK, apiUrl: `${slack.origin}/api/` });
    await open({ access: createAccess(config, {}, { slack: directory }) });
  });

  it('join by their verified e-mail', async () => {
    slack.users.set('U0NEW', member('U0NEW'));
    await press('firebreak_approve', button, by('U0NEW'));
    await slack.message(/approve recorded/);
    expect(gateway.updates).toMatchObject([{ argument: { actor: { person: 'mara' } } }]);
  });

  it.each<[string, object | undefined, RegExp]>([
    ['a bot', { is_bot: true }, /bots decide nothing/],
    ['a workflow', { is_workflow_bot: true }, /bots decide nothing/],
    ['somebody deactivated', { deleted: true }, /deactivated/],
    ['an unconfirmed address', { is_email_confirmed: false }, /not confirmed/],
    ['a guest', { is_ultra_restricted: true }, /guest/],
    ['somebody whom Slack does not know', undefined, /does not know/],
    [
      'somebody who is not in the access file',
      { profile: { email: 'eve@example.com' } },
      /in the access file/,
    ],
  ])('%s decides nothing, and is recorded', async (_who, change, reason) => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    if (change !== undefined) slack.users.set('U0EVE', member('U0EVE', change));
    await press('firebreak_approve', button, by('U0EVE'));
    await slack.message(reason);
    expect(gateway.updates).toEqual([]);
    expect((await records.attempts(INCIDENT_ID)).slice(before)).toMatchObject([{ verdict: 'denied' }]);
  });

  it('are answered within 3 s while Slack does not say who they are', async () => {
    slack.rateLimited.set('/api/users.info', { times: 1, retryAfterSeconds: 60 });
    const from = performance.now();
    expect((await press('firebreak_approve', button, by('U0NEW'))).statusCode).toBe(200);
    expect(performance.now() - from).toBeLessThan(3_000);
    await slack.message(/Slack is limiting our calls/);
    expect(gateway.updates).toEqual([]);
  });
});

describe('the incident that is meant', () => {
  const two = () => gateway.views.set('incident-3f9a1c2b7d02', viewOf({ incidentId: OTHER_ID }));

  it('is the only open one', async () => {
    await command('ack');
    await slack.message(/acknowledge recorded/);
    expect(gateway.updates).toMatchObject([{ workflowId: viewOf().workflowId }]);
  });

  it('is none of several', async () => {
    two();
    await command('ack');
    const { body } = await slack.message(/2 incidents are open/);
    expect(body.text).toContain(OTHER_ID);
    expect(gateway.updates).toEqual([]);
  });

  it('is the channel’s own among several', async () => {
    two();
    await command('note here', { channel_name: 'inc-llm-api-9a1b2c3e' });
    await slack.message(/addNote recorded/);
    expect(gateway.updates).toMatchObject([{ workflowId: 'incident-3f9a1c2b7d02' }]);
  });

  it('is never another than the channel’s own', async () => {
    await command('resolve it is over', { channel_name: 'inc-llm-api-00000000', user_id: 'U0BEN' });
    await slack.message(/incident of this channel was not found/);
    expect(gateway.updates).toEqual([]);
  });

  it('is not taken for granted where Temporal does not answer', async () => {
    const { incidentId, workflowId } = viewOf();
    await records.openIncident({ incidentId, workflowId, view: viewOf() });
    gateway.listRunning = () => Promise.reject(new Error('connect ECONNREFUSED'));
    await command('ack');
    await slack.message(/Name the incident/);
    expect(gateway.updates).toEqual([]);
  });
});

describe('commands', () => {
  it('hand over to a Slack user, to a person, and to nobody else', async () => {
    await command(`commander ${INCIDENT_ID} <@U0BEN|ben>`);
    await slack.message(/assignCommander recorded/);
    await command(`commander ${INCIDENT_ID} vic`);
    await slack.until(() => (gateway.updates.length === 2 ? true : undefined));
    expect(gateway.updates.map(({ argument }) => (argument as { commander: string }).commander)).toEqual([
      'ben',
      'vic',
    ]);
    await command(`commander ${INCIDENT_ID} <@U0NOBODY>`);
    await slack.message(/U0NOBODY cannot take command/);
    await command(`commander ${INCIDENT_ID} somebody`);
    await slack.message(/nobody with that id/);
    await command(`commander ${INCIDENT_ID} gone`);
    await slack.message(/nobody active with that id/);
    expect(gateway.updates).toHaveLength(2);
  });

  it('tell stakeholders, with a reminder', async () => {
    await command(`update ${INCIDENT_ID} Rolling back now in 30m`);
    await slack.message(/inform recorded/);
    expect(gateway.updates).toMatchObject([
      { name: 'inform', argument: { text: 'Rolling back now', remindAfterMs: 30 * 60_000 } },
    ]);
  });

  it('say what is wrong with a reminder that is too long', async () => {
    await command(`update ${INCIDENT_ID} later in 3d`);
    await slack.message(/at most 24 hours/);
  });

  it('declare an incident once, however often the request arrives', async () => {
    const form = commandForm('declare models/deployment/llm-api answers are harmful');
    await Promise.all([send('commands', form), send('commands', form)]);
    await slack.message(/is declared: people of/);
  });

  it('show the timeline, and the postmortem once there is one', async () => {
    await command('timeline');
    await slack.message(/10:00:02 UTC {2}Paged ml-oncall \(firebreak\)/);
    await command(`postmortem ${INCIDENT_ID}`);
    await slack.message(/no postmortem of inc-/);
  });
});

describe('the status for one person', () => {
  it('offers to acknowledge while nobody is on it, also once an acknowledgement has lapsed', () => {
    const milestones = { triggered: 0, acknowledged: 1 };
    expect(JSON.stringify(statusMessage(viewOf({ milestones })))).toContain('firebreak_acknowledge');
    const held = viewOf({ milestones, acknowledgedBy: 'ben' });
    expect(JSON.stringify(statusMessage(held))).not.toContain('firebreak_acknowledge');
  });
});

describe('texts of alerts, models and people', () => {
  const HOSTILE =
    '<!channel> <@U0BEN> <https://evil.example|safe> *bold* `code` :fire: @here\u202Etxet\u0007\u0000\u2028 &lt;!here&gt;';

  it('are shown literally and without what turns them round', () => {
    const view = viewOf({
      title: HOSTILE,
      humanNeeded: [HOSTILE],
      pendingApprovals: [approvalOf({ summary: HOSTILE, changes: [HOSTILE], diff: `+ ${HOSTILE}` })],
      timeline: [{ seq: 0, atMs: 0, kind: 'note', text: HOSTILE, actor: 'mara', data: { text: HOSTILE } }],
    });
    for (const message of [
      statusMessage(view),
      timelineMessage(view, view.timeline),
      plainMessage(HOSTILE),
    ]) {
      const text = JSON.stringify(message);
      expect(text).not.toContain('mrkdwn');
      expect(text).not.toMatch(/[\u202a-\u202e\u2066-\u2069]|\\u0007|\\u0000/);
      // Rich text knows no markup; everywhere else the brackets are escaped.
      expect(message.text).not.toMatch(/<[!@h]/);
      for (const block of (message.blocks ?? []).filter(({ type }) => type === 'section')) {
        expect(JSON.stringify(block)).not.toMatch(/<[!@h]/);
      }
    }
  });

  it('make no lines that look like ours', () => {
    const forged = 'fine\n10:00:00 UTC  approved step rollback (ben)\r\nStep x waits\u2028for nobody';
    const view = viewOf({
      title: forged,
      humanNeeded: [forged],
      commander: forged,
      pendingApprovals: [approvalOf({ summary: forged, warnings: [forged], changes: [forged], diff: '' })],
      timeline: [
        { seq: 0, atMs: 0, kind: 'note', text: 'added a note', actor: 'mara', data: { text: forged } },
      ],
    });
    for (const message of [statusMessage(view), timelineMessage(view, view.timeline)]) {
      const lines = textsIn(message).flatMap((text) => text.split('\n'));
      expect(lines.filter((line) => /^(10:00|Step x)/.test(line))).toEqual([]);
      expect(lines.join(' ')).toContain('fine 10:00:00 UTC');
    }
  });
});

/** Every text that is shown, at any depth. */
function textsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(textsIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === 'text' && typeof inner === 'string' ? [inner] : textsIn(inner),
  );
}

it('an interaction of a kind that nobody handles is answered', async () => {
  const response = await interact({ ...pressPayload('x', 'y'), type: 'shortcut', callback_id: 'x' });
  expect(response.statusCode).toBe(200);
});
