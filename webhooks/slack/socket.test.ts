import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, SLACK } from '../test-support/edge.ts';
import { INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import { slackRequests } from '../test-support/slack-requests.ts';
import { APP_TOKEN, SlackSide } from '../test-support/slack-side.ts';

let records: RecordsStore;
let closeRecords: () => Promise<void>;
let slack: SlackSide;
let app: FastifyInstance;
let gateway: RecordingGateway;
let log: string[];
const { commandForm, pressPayload, submitPayload, command } = slackRequests({
  app: () => app,
  nowMs: Date.UTC(2026, 2, 1, 10, 2),
  origin: () => slack.origin,
  trigger: () => slack.trigger(),
});
const button = { incidentId: INCIDENT_ID, step: 'rollback', planHash: PLAN_HASH };

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  slack = new SlackSide();
  await slack.start();
});
afterEach(async () => {
  await app.close();
  expect(slack.refused).toEqual([]);
  slack.stop();
});

async function open(change: { appToken?: string } = {}) {
  ({ app, gateway, log } = await createTestEdge({
    records,
    slack: { ...SLACK, signingSecrets: [], appToken: APP_TOKEN, apiUrl: `${slack.origin}/api/`, ...change },
  }));
  gateway.views.set(viewOf().workflowId, viewOf());
  await app.ready();
}
/** What /readyz says of Slack. */
async function health() {
  const { checks } = (await app.inject('/readyz')).json() as {
    checks: { name: string; ok: boolean; degraded?: string[]; details?: { connected: boolean } }[];
  };
  return checks.find(({ name }) => name === 'slack');
}
/** As soon as /readyz says so: the state follows Slack's hello by a turn of the event loop. */
async function connectedAgain() {
  for (;;) {
    if ((await health())?.details?.connected === true) return;
    await new Promise(setImmediate);
  }
}

describe('Socket Mode', () => {
  it('takes commands, buttons and forms as over HTTP, and serves no route for them', async () => {
    await open();
    await connectedAgain();
    expect(await slack.deliver('slash_commands', commandForm('list'))).toMatchObject({ text: 'Looking...' });
    await slack.message(INCIDENT_ID);

    await slack.deliver('interactive', pressPayload('firebreak_approve', button));
    await slack.message(/approve recorded/);
    expect(gateway.updates.map(({ name }) => name)).toEqual(['approve']);

    await slack.deliver('interactive', pressPayload('firebreak_reject', button));
    const view = await slack.until(() => slack.views[0]);
    expect(await slack.deliver('interactive', submitPayload(view, '  '))).toMatchObject({
      response_action: 'errors',
    });
    await slack.deliver('interactive', submitPayload(view, 'wrong revision'));
    await slack.message(/reject recorded/);

    expect((await command('list')).statusCode).toBe(404);
  });

  it('acknowledges within 3 s while Temporal and the records hang', async () => {
    await open();
    await connectedAgain();
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.gate = promise;
    for (const text of [
      'list',
      `ack ${INCIDENT_ID}`,
      'note it hangs',
      'declare models/deployment/llm-api why',
    ]) {
      expect(await slack.deliver('slash_commands', commandForm(text))).toBeDefined();
    }
    await slack.deliver('interactive', pressPayload('firebreak_approve', button));
    expect(gateway.updates).toEqual([]);
    resolve();
  });

  it('refuses people of another workspace', async () => {
    await open();
    await connectedAgain();
    const answer = await slack.deliver('slash_commands', commandForm('list', { team_id: 'T0OTHER' }));
    expect(JSON.stringify(answer)).toContain('this workspace is not the one');
    expect(slack.received.filter(({ path }) => path.startsWith('/respond'))).toEqual([]);
  });

  it.each(['warning', 'refresh_requested'])('opens another connection at once after %s', async (reason) => {
    await open();
    await connectedAgain();
    slack.disconnect(reason);
    await slack.connection(2);
    await connectedAgain();
    await slack.deliver('slash_commands', commandForm('list'));
    await slack.message(INCIDENT_ID);
  });

  it('comes back after a connection that broke, and says so meanwhile', async () => {
    await open();
    await connectedAgain();
    slack.refuseConnections = 'internal_error';
    (await slack.connection(1)).terminate();
    for (;;) {
      const check = await health();
      if (check?.degraded?.[0]?.includes('internal_error')) {
        // Alerts are taken all the same.
        expect(check.ok).toBe(true);
        break;
      }
      await new Promise(setImmediate);
    }
    slack.refused.length = 0;
    slack.refuseConnections = undefined;
    await slack.connection(2);
    await connectedAgain();
  });

  it('waits as long as Slack says before it asks for another address', async () => {
    slack.rateLimited.set('/api/apps.connections.open', { times: 1, retryAfterSeconds: 1 });
    const from = performance.now();
    await open();
    await slack.connection(1);
    expect(performance.now() - from).toBeGreaterThanOrEqual(1_000);
  });

  it('starts without Slack, says which token is wrong, and never shows it', async () => {
    await open({ appToken: 'xoxb-the-wrong-kind' });
    const check = await slack
      .until(() => (slack.refused.length > 0 ? true : undefined))
      .then(async () => {
        for (;;) {
          const found = await health();
          if (found?.degraded?.[0]?.includes('app-level token')) return found;
          await new Promise(setImmediate);
        }
      });
    expect(check.degraded?.[0]).toContain('not_allowed_token_type');
    expect(JSON.stringify(check) + log.join('')).not.toContain('xoxb-the-wrong-kind');
    slack.refused.length = 0;
  });

  it('closes its connection when the server stops, after what was being recorded', async () => {
    await open();
    await connectedAgain();
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.gate = promise;
    await slack.deliver('interactive', pressPayload('firebreak_approve', button));
    const closing = app.close();
    resolve();
    await closing;
    expect(gateway.updates).toHaveLength(1);
    const connection = await slack.connection(1);
    expect([connection.CLOSING, connection.CLOSED]).toContain(connection.readyState);
    expect(slack.connections).toHaveLength(1);
  });
});

describe('chat.slack', () => {
  const base = { botToken: 'env:BOT', channel: 'C0INC', teamId: 'T0TEAM' };
  const parse = (slack: object) => configSchema.shape.chat.safeParse({ slack });

  it('takes a signing secret or an app-level token, and not neither', () => {
    expect(parse({ ...base, signingSecrets: ['env:SIGNING'] }).success).toBe(true);
    expect(parse({ ...base, appToken: 'env:APP' }).success).toBe(true);
    expect(parse(base).error?.issues[0]?.message).toContain('or appToken for Socket Mode');
  });
});
