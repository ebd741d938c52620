import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import { GatewayError } from '../gateway/types.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, SLACK } from '../test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import { type Sending, slackRequests } from '../test-support/slack-requests.ts';
import { SlackSide } from '../test-support/slack-side.ts';

const NOW = Date.UTC(2026, 2, 1, 10, 2);
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let slack: SlackSide;
let app: FastifyInstance;
let gateway: RecordingGateway;
let log: string[];

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  slack = new SlackSide();
  await slack.start();
  ({ app, gateway, log } = await createTestEdge({
    records,
    now: () => NOW,
    sendDeadlineMs: 500,
    slack: { ...SLACK, apiUrl: `${slack.origin}/api/` },
  }));
  gateway.views.set(viewOf().workflowId, viewOf());
});
afterEach(async () => {
  await app.close();
  expect(slack.refused).toEqual([]);
  slack.stop();
});

const { send, command, press } = slackRequests({
  app: () => app,
  nowMs: NOW,
  origin: () => slack.origin,
  trigger: () => slack.trigger(),
});
const button = { incidentId: INCIDENT_ID, step: 'rollback', planHash: PLAN_HASH };
const attempts = async () => (await records.attempts(INCIDENT_ID)).length;

describe('requests that Slack did not sign just now', () => {
  const forged: [string, Sending][] = [
    ['signed with another secret', { secret: 'somebody-else' }],
    ['with a signature that is none', { signature: 'v0=abc' }],
    ['of another version', { signature: `v1=${'a'.repeat(64)}` }],
    ['whose body was changed', { tamper: '&text=approve' }],
    ['replayed after 6 minutes', { atMs: NOW - 6 * 60_000 }],
    ['from 6 minutes ahead', { atMs: NOW + 6 * 60_000 }],
  ];
  it.each(forged)('%s are refused', async (_name, how) => {
    for (const response of [
      await command('list', {}, how),
      await press('firebreak_approve', button, {}, how),
    ]) {
      expect(response.statusCode).toBe(401);
      expect(response.json().error.code).toBe('unauthenticated');
    }
    expect(gateway.updates).toEqual([]);
    expect(slack.received).toEqual([]);
  });

  it('may be 4 minutes old, and signed with the secret that is being rotated out', async () => {
    const how = { atMs: NOW - 4 * 60_000, secret: SLACK.signingSecrets[1] ?? '' };
    expect((await command('help', {}, how)).statusCode).toBe(200);
  });
});

describe('who may', () => {
  it('people of another workspace are told so and nothing else happens', async () => {
    const responses = [
      await command(`ack ${INCIDENT_ID}`, { team_id: 'T0OTHER' }),
      await press('firebreak_approve', button, { team: { id: 'T0OTHER' } }),
      // A guest from another company in a shared channel.
      await press('firebreak_approve', button, { user: { id: 'U0MARA', team_id: 'T0OTHER' } }),
    ];
    for (const response of responses) {
      expect(response.statusCode).toBe(200);
      expect(response.json().text).toContain('this workspace is not the one');
    }
    expect(gateway.updates).toEqual([]);
  });

  describe('without a configured workspace', () => {
    const logged = async (text: string) => {
      while (!log.some((line) => line.includes(text))) await new Promise(setImmediate);
    };
    const fromElsewhere = () => command('help', { team_id: 'T0OTHER' });
    async function start(authTest: SlackSide['authTest']) {
      await app.close();
      slack.authTest = authTest;
      ({ app, gateway, log } = await createTestEdge({
        records,
        now: () => NOW,
        slack: { ...SLACK, teamId: undefined, apiUrl: `${slack.origin}/api/` },
      }));
      await app.ready();
    }

    it('people of another one than the token belongs to are refused', async () => {
      await start({ team_id: SLACK.teamId });
      await logged('only people of the workspace');
      expect((await fromElsewhere()).json().text).toContain('this workspace is not the one');
      expect((await command('help')).json().text).not.toContain('this workspace');
    });

    it('nothing is held up while Slack does not say which it is, and it is asked again', async () => {
      await start(undefined);
      await logged('it is asked again');
      expect((await fromElsewhere()).json().text).not.toContain('this workspace');
      slack.authTest = { team_id: SLACK.teamId };
      await logged('only people of the workspace');
      expect((await fromElsewhere()).json().text).toContain('this workspace is not the one');
    });

    it('an organization of several is told to configure it: its people have different homes', async () => {
      await start({ team_id: SLACK.teamId, enterprise_id: 'E0ORG' });
      await logged('set chat.slack.teamId');
      expect((await fromElsewhere()).json().text).not.toContain('this workspace');
    });
  });

  it('somebody who is nobody in the access file is told how to become somebody, and recorded', async () => {
    const before = await attempts();
    await press('firebreak_approve', button, { user: { id: 'U0STRANGER', team_id: SLACK.teamId } });
    const { body } = await slack.message(/nobody in the access file/);
    expect(body).toMatchObject({ response_type: 'ephemeral', replace_original: false });
    expect(body.text).toContain('U0STRANGER');
    const [attempt] = (await records.attempts(INCIDENT_ID)).slice(before);
    expect(attempt).toMatchObject({
      decision: 'approve',
      verdict: 'denied',
      via: 'slack',
      planHash: PLAN_HASH,
    });
    expect(attempt?.person).toBeUndefined();
    expect(gateway.updates).toEqual([]);
  });

  it('somebody of the access file who may not is refused and recorded', async () => {
    const before = await attempts();
    await command(`resolve ${INCIDENT_ID} done`, { user_id: 'U0VIC' });
    await slack.message(/Not allowed/);
    expect((await records.attempts(INCIDENT_ID)).slice(before)).toMatchObject([
      { person: 'vic', decision: 'resolve', verdict: 'denied' },
    ]);
  });
});

describe('the approve button', () => {
  it('is answered at once, decides on exactly its plan, and only then says so', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.gate = promise;
    const response = await press('firebreak_approve', button);
    expect(response.statusCode).toBe(200);
    await slack.message(/Recording your decision/);
    expect(gateway.updates).toEqual([]);
    gateway.answer = () => ({ message: 'Approved by mara: rolling back' });
    resolve();
    await slack.message(/Approved by mara: rolling back/);
    const { signed, actor } = (gateway.updates[0]?.argument ?? {}) as {
      signed: SignedDecision;
      actor: object;
    };
    expect(actor).toEqual({ person: 'mara', via: 'slack' });
    expect(signed.decision).toMatchObject({
      person: 'mara',
      via: 'slack',
      planHash: PLAN_HASH,
      step: 'rollback',
    });
  });

  it('of a plan that has been replaced approves nothing', async () => {
    await press('firebreak_approve', { ...button, planHash: 'b'.repeat(64) });
    await slack.message(/waits for a decision on another plan/);
    expect(gateway.updates).toEqual([]);
  });

  it.each([['not json'], ['{}'], [`{"incidentId":"${INCIDENT_ID}"}`], ['[]']])(
    'with the value %s approves nothing',
    async (value) => {
      await press('firebreak_approve', value);
      await slack.message(/not one that this version|another plan/);
      expect(gateway.updates).toEqual([]);
    },
  );

  it('pressed twice at once is one update', async () => {
    await Promise.all([press('firebreak_approve', button), press('firebreak_approve', button)]);
    await app.close();
    expect(new Set(gateway.updates.map(({ updateId }) => updateId)).size).toBe(1);
  });

  it('is waited for when the server stops', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.gate = promise;
    await press('firebreak_approve', button);
    const closing = app.close();
    resolve();
    await closing;
    expect(gateway.updates).toHaveLength(1);
  });

  it('tells by a message when its response_url is gone', async () => {
    slack.refuseResponses = true;
    await press('firebreak_acknowledge', { incidentId: INCIDENT_ID });
    for (;;) {
      const posted = slack.received.find(({ path }) => path === '/api/chat.postEphemeral');
      if (posted) {
        expect(posted.body).toMatchObject({ channel: 'C0INC', user: 'U0MARA', text: 'acknowledge recorded' });
        break;
      }
      await new Promise(setImmediate);
    }
  });

  it('never makes us speak to a host that is not Slack', async () => {
    const elsewhere = new SlackSide();
    await elsewhere.start();
    await press('firebreak_approve', button, { response_url: `${elsewhere.origin}/respond/3` });
    await app.close();
    expect(gateway.updates).toHaveLength(1);
    expect(elsewhere.received).toEqual([]);
    expect(slack.received.map(({ path }) => path)).toContain('/api/chat.postEphemeral');
    elsewhere.stop();
  });

  it('other buttons (links) are answered and do nothing', async () => {
    const response = await press('open_link', 'x');
    expect(response.statusCode).toBe(200);
    expect(response.body).toBe('');
  });
});

describe('the slash command', () => {
  it.each(['', 'help', 'dance', 'severity SEV9 why', `reject ${INCIDENT_ID}`])(
    '%j gives help in the answer itself',
    async (text) => {
      const response = await command(text);
      expect(response.json()).toMatchObject({ response_type: 'ephemeral' });
      expect(response.json().text).toContain('/firebreak approve [ID]');
      expect(slack.received).toEqual([]);
    },
  );

  it('list and status show text of incidents literally', async () => {
    const view = viewOf({ title: 'Harm <!channel> & <https://evil.example|ok> *bold*\u0007' });
    gateway.views.set(view.workflowId, view);
    expect((await command('list')).json().text).toBe('Looking...');
    const { body } = await slack.message(INCIDENT_ID);
    expect(body.text).toContain('Harm &lt;!channel&gt; &amp; &lt;https://evil.example|ok&gt; *bold*');
    expect(JSON.stringify(body.blocks)).not.toContain('mrkdwn');
    await command(`status 3f9a`);
    const status = await slack.message(/is contained/);
    expect(JSON.stringify(status.body.blocks)).toContain('firebreak_approve');
  });

  it.each([
    [`ack ${INCIDENT_ID}`, 'acknowledge', {}],
    [`note ${INCIDENT_ID} looks  bad & <b>`, 'addNote', { text: 'looks bad & <b>' }],
    [`reject 3f9a wrong revision`, 'reject', {}],
    [`approve ${INCIDENT_ID} rollback ${PLAN_HASH.slice(0, 12)}`, 'approve', {}],
    [`approve ${INCIDENT_ID} ${PLAN_HASH}`, 'approve', {}],
  ])('%s', async (text, update, argument) => {
    expect((await command(text)).json().text).toBe('Recording...');
    await slack.message(`${update} recorded`);
    expect(gateway.updates).toMatchObject([{ name: update, argument }]);
  });

  it('approve without a plan shows the plan with buttons for exactly it', async () => {
    await command(`approve ${INCIDENT_ID}`);
    const { body } = await slack.message(/Read the plan/);
    const blocks = JSON.stringify(body.blocks);
    expect(blocks).toContain('ConfigMaps are not restored');
    expect(blocks).toContain('- image: model:v2');
    expect(blocks).toContain(JSON.stringify(JSON.stringify(button)).slice(1, -1));
    expect(gateway.updates).toEqual([]);
  });

  it('approve with the start of another plan approves nothing', async () => {
    await command(`approve ${INCIDENT_ID} ${'b'.repeat(12)}`);
    await slack.message(/another plan/);
    expect(gateway.updates).toEqual([]);
  });

  it('says what to do when several steps wait', async () => {
    const view = viewOf({ pendingApprovals: [approvalOf(), approvalOf({ step: 'restore' })] });
    gateway.views.set(view.workflowId, view);
    await command(`approve ${INCIDENT_ID}`);
    await slack.message(/Several steps wait for a decision: rollback, restore/);
  });

  it('says so when Temporal is down, and when we fail ourselves', async () => {
    gateway.failure = new GatewayError('unavailable', 'Could not read the incident: connect ECONNREFUSED');
    await command(`ack inc-eeeeeeeeeeee-00000009`);
    await slack.message(/Could not read the incident/);
    gateway.failure = undefined;
    gateway.describe = () => {
      throw new TypeError('boom with a secret');
    };
    gateway.listRunning = undefined as never;
    await command('list');
    await slack.message(/failed inside Firebreak/);
    expect(JSON.stringify(slack.received)).not.toContain('boom');
    expect(log.join('')).toContain('TypeError');
  });

  it('answers the check of our certificate', async () => {
    expect((await send('commands', { ssl_check: '1', token: 'x' })).statusCode).toBe(200);
  });

  it('makes no call to Slack to find out who we are', async () => {
    await command('list');
    await slack.message(INCIDENT_ID);
    expect(slack.received.map(({ path }) => path.slice(0, 9))).toEqual(['/respond/']);
  });
});
