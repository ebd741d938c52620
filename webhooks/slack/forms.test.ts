import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, SLACK } from '../test-support/edge.ts';
import { INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import { slackRequests } from '../test-support/slack-requests.ts';
import { SlackSide } from '../test-support/slack-side.ts';

const NOW = Date.UTC(2026, 2, 1, 10, 2);
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let slack: SlackSide;
let app: FastifyInstance;
let gateway: RecordingGateway;
const { press, submit } = slackRequests({
  app: () => app,
  nowMs: NOW,
  origin: () => slack.origin,
  trigger: () => slack.trigger(),
});
const about = { incidentId: INCIDENT_ID };
const plan = { ...about, step: 'rollback', planHash: PLAN_HASH };
const ben = { user: { id: 'U0BEN', team_id: SLACK.teamId } };
const attempts = () => records.attempts(INCIDENT_ID);
/** The form that a pressed button opens. */
async function formOf(actionId: string, value: object, change: Record<string, unknown> = {}) {
  const count = slack.views.length;
  await press(actionId, value, change);
  return slack.until(() => slack.views[count]);
}

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  slack = new SlackSide();
  await slack.start();
  ({ app, gateway } = await createTestEdge({
    records,
    now: () => NOW,
    slack: { ...SLACK, apiUrl: `${slack.origin}/api/` },
  }));
  gateway.views.set(viewOf().workflowId, viewOf());
});
afterEach(async () => {
  await app.close();
  slack.stop();
});

describe('buttons that ask for a reason', () => {
  it.each<[string, object, Record<string, unknown>, string, object]>([
    ['firebreak_escalate', about, {}, 'escalate', { reason: 'because' }],
    ['firebreak_false_positive', about, ben, 'markFalsePositive', { reason: 'because' }],
    ['firebreak_stop', about, ben, 'abort', { reason: 'because' }],
    ['firebreak_reject', plan, {}, 'reject', {}],
  ])('%s does nothing before its form is sent', async (actionId, value, who, update, argument) => {
    const view = await formOf(actionId, value, who);
    expect(gateway.updates).toEqual([]);
    const response = await submit(view, ' because ', who);
    // An empty answer closes the form.
    expect([response.statusCode, response.body]).toEqual([200, '']);
    await slack.message(`${update} recorded`);
    expect(gateway.updates).toMatchObject([{ name: update, argument }]);
    expect(slack.refused).toEqual([]);
  });

  it('a rejection is of exactly the plan that was on the button, with its reason', async () => {
    const view = await formOf('firebreak_reject', plan);
    expect(JSON.stringify(view.blocks)).toContain(PLAN_HASH.slice(0, 12));
    await submit(view, 'the weights changed too');
    await slack.message(/reject recorded/);
    const [update] = gateway.updates as { argument: { signed: SignedDecision } }[];
    expect(update?.argument.signed.decision).toMatchObject({
      person: 'mara',
      decision: 'reject',
      step: 'rollback',
      planHash: PLAN_HASH,
      reason: 'the weights changed too',
    });
  });

  it('a rejection of a plan that was replaced meanwhile rejects nothing', async () => {
    const view = await formOf('firebreak_reject', { ...plan, planHash: 'b'.repeat(64) });
    await submit(view, 'because');
    await slack.message(/another plan/);
    expect(gateway.updates).toEqual([]);
  });

  it.each(['', '   ', '\n', null])('the reason %j is asked for again', async (reason) => {
    const view = await formOf('firebreak_stop', about, ben);
    const response = await submit(view, reason, ben);
    expect(response.json()).toEqual({ response_action: 'errors', errors: { reason: 'Give a reason.' } });
    expect(gateway.updates).toEqual([]);
  });

  it('escalation needs none', async () => {
    await submit(await formOf('firebreak_escalate', about), null);
    await slack.message(/escalate recorded/);
    expect(gateway.updates).toMatchObject([{ argument: { actor: { person: 'mara', via: 'slack' } } }]);
  });

  it('sent twice is one update, by whoever sent it', async () => {
    const view = await formOf('firebreak_escalate', about);
    await Promise.all([submit(view, 'because'), submit(view, 'because')]);
    await app.close();
    expect(gateway.updates.length).toBeGreaterThan(0);
    expect(new Set(gateway.updates.map(({ updateId }) => updateId)).size).toBe(1);
  });

  it.each(['firebreak_stop', 'firebreak_false_positive'])(
    '%s opens no form for somebody who does not command, and is recorded',
    async (actionId) => {
      const before = (await attempts()).length;
      await press(actionId, about);
      await slack.message(/takes a commander/);
      expect(slack.views).toEqual([]);
      expect((await attempts()).slice(before)).toMatchObject([{ person: 'mara', verdict: 'denied' }]);
    },
  );

  it('who may is asked again when the form is sent: somebody else’s form gives nobody rights', async () => {
    const before = (await attempts()).length;
    const view = await formOf('firebreak_stop', about, ben);
    await submit(view, 'because');
    await slack.message(/takes a commander/);
    expect(gateway.updates).toEqual([]);
    expect((await attempts()).slice(before)).toMatchObject([
      { person: 'mara', decision: 'abort', verdict: 'denied' },
    ]);
  });

  it.each(['', '{}', '[]', 'null', '{"form":"approve","incidentId":"x"}', `{"form":"stop"}`])(
    'a form about %j does nothing',
    async (metadata) => {
      const response = await submit(
        { callback_id: 'firebreak_form_stop', private_metadata: metadata },
        'why',
        ben,
      );
      expect(response.statusCode).toBe(200);
      await app.close();
      expect(gateway.updates).toEqual([]);
    },
  );

  it('a form that Slack does not open any more says what to type', async () => {
    await press('firebreak_reject', plan, { trigger_id: '1.2.too-late' });
    await slack.message(/firebreak reject ID REASON/);
    expect(slack.refused).toEqual(['/api/views.open: invalid_trigger_id']);
  });

  it('the outcome is told in the channel where the response_url is used up', async () => {
    slack.refuseResponses = true;
    await submit(await formOf('firebreak_escalate', about), 'because');
    const posted = await slack.until(() =>
      slack.received.find(({ path }) => path === '/api/chat.postEphemeral'),
    );
    expect(posted.body).toMatchObject({ channel: 'C0INC', user: 'U0MARA', text: 'escalate recorded' });
  });

  it('a response_url of another host is not followed, whatever the form says', async () => {
    const view = await formOf('firebreak_escalate', about);
    const elsewhere = new SlackSide();
    await elsewhere.start();
    const metadata = { ...JSON.parse(view.private_metadata), responseUrl: `${elsewhere.origin}/respond/1` };
    await submit({ ...view, private_metadata: JSON.stringify(metadata) }, 'because');
    await app.close();
    expect(gateway.updates).toHaveLength(1);
    expect(elsewhere.received).toEqual([]);
    elsewhere.stop();
  });

  it('opens its form in time while Temporal and the records hang', async () => {
    gateway.gate = new Promise(() => undefined);
    const view = await formOf('firebreak_reject', plan);
    expect(view.callback_id).toBe('firebreak_form_reject');
    expect(slack.refused).toEqual([]);
  });

  it('take command makes whoever pressed it the commander', async () => {
    await press('firebreak_take_command', about);
    await slack.message(/assignCommander recorded/);
    expect(gateway.updates).toMatchObject([{ argument: { commander: 'mara', actor: { person: 'mara' } } }]);
  });
});
