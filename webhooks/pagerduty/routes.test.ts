import { createHmac, randomUUID } from 'node:crypto';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createAccess } from '../access/access.ts';
import type { PagesGateway } from '../gateway/pages-gateway.ts';
import { GatewayError } from '../gateway/types.ts';
import { createTestEdge } from '../test-support/edge.ts';
import { viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import type { UserEmail } from './users.ts';

const SECRETS = ['webhook-secret-new', 'webhook-secret-old'];
const KEY = 'd3640fbd41094207a1c11e58e46b1662';
const AGENT = { id: 'PLH1HKV', type: 'user_reference', summary: 'Tenex Engineer' };

/** As in https://developer.pagerduty.com/docs/webhooks-overview. */
function eventOf(type: string, change: Record<string, unknown> = {}, key: string | null = KEY) {
  return {
    event: {
      id: randomUUID(),
      event_type: type,
      resource_type: 'incident',
      occurred_at: '2026-10-02T18:45:22.169Z',
      agent: { html_url: 'https://acme.pagerduty.com/users/PLH1HKV', self: null, ...AGENT },
      client: { name: 'PagerDuty' },
      data: { id: 'PGR0VU2', type: 'incident', status: 'triggered', incident_key: key, title: 'Harm' },
      ...change,
    },
  };
}

function sign(body: string, secret: string): string {
  return `v1=${createHmac('sha256', secret).update(body, 'utf8').digest('hex')}`;
}

let app: FastifyInstance;
let gateway: RecordingGateway;
let attempts: Parameters<RecordsStore['recordAttempt']>[0][];
let view: IncidentView;
let email: (id: string) => Promise<UserEmail>;
let watchdogPages: string[];
let metrics: () => Promise<string>;

const ACCESS = configSchema.shape.access.parse({
  people: [
    { id: 'mara', name: 'Mara', email: 'mara@example.com', groups: ['ml-oncall'] },
    { id: 'vic', name: 'Vic', email: 'vic@example.com', groups: ['stakeholders'] },
  ],
  rules: { viewer: ['*'], responder: ['ml-oncall'] },
});

beforeEach(async () => {
  attempts = [];
  watchdogPages = [];
  view = { ...viewOf(), dedupKey: KEY };
  email = async () => ({ email: 'Mara@EXAMPLE.com' });
  const records = {
    listIncidents: async () => [],
    recordAttempt: async (attempt: (typeof attempts)[number]) => void attempts.push(attempt),
    ping: async () => undefined,
  } as unknown as RecordsStore;
  const pages: PagesGateway = {
    watchdogSeen: async () => undefined,
    isWatchdogKey: (key) => key.startsWith('firebreak-watchdog-'),
    tellWatchdogPages: async (key, what) => {
      watchdogPages.push(`${what} ${key}`);
      return 'signalled';
    },
    describeWatchdog: async () => undefined,
  };
  const made = await createTestEdge({
    records,
    pages,
    access: createAccess(ACCESS, {}),
    pagerDuty: { webhookSecrets: SECRETS, users: { emailOf: (id) => email(id) } },
    sendDeadlineMs: 100,
  });
  app = made.app;
  gateway = made.gateway;
  gateway.views.set(view.workflowId, view);
  metrics = () => made.registry.metrics();
});
afterEach(() => app.close());

function post(
  event: unknown,
  headers: Record<string, string> | ((body: string) => Record<string, string>) = (body) => ({
    'x-pagerduty-signature': sign(body, SECRETS[0] ?? ''),
  }),
): Promise<LightMyRequestResponse> {
  const body = typeof event === 'string' ? event : JSON.stringify(event);
  const more = typeof headers === 'function' ? headers(body) : headers;
  return app.inject({
    method: 'POST',
    url: '/webhooks/pagerduty',
    headers: { 'content-type': 'application/json', ...more },
    payload: body,
  });
}

describe('the signature', () => {
  it('may be by any secret, among several signatures', async () => {
    const event = eventOf('pagey.ping', { data: { type: 'ping' } });
    const answer = await post(event, (body) => ({
      'x-pagerduty-signature': `v1=${'0'.repeat(64)},${sign(body, 'webhook-secret-old')}`,
    }));
    expect([answer.statusCode, answer.json()]).toEqual([202, { result: 'ping' }]);
  });

  it.each<[string, (body: string) => Record<string, string>]>([
    ['none', () => ({})],
    ['another secret’s', (body) => ({ 'x-pagerduty-signature': sign(body, 'another-secret') })],
    ['of another body', (body) => ({ 'x-pagerduty-signature': sign(`${body} `, SECRETS[0] ?? '') })],
    [
      'of another version',
      (body) => ({ 'x-pagerduty-signature': sign(body, SECRETS[0] ?? '').replace('v1', 'v2') }),
    ],
    [
      'beyond the tenth',
      (body) => ({
        'x-pagerduty-signature': `${`v1=${'0'.repeat(64)},`.repeat(10)}${sign(body, SECRETS[0] ?? '')}`,
      }),
    ],
  ])('is refused: %s', async (_name, headers) => {
    const answer = await post(eventOf('incident.acknowledged'), headers);
    expect(answer.statusCode).toBe(401);
    expect(gateway.updates).toEqual([]);
    expect(attempts).toEqual([]);
  });

  it('is of the bytes, also where they are not ASCII', async () => {
    const agent = { ...AGENT, summary: 'Zoë 語' };
    email = async () => ({ problem: 'unknown' });
    expect((await post(eventOf('incident.acknowledged', { agent }))).statusCode).toBe(202);
    expect(gateway.updates[0]?.argument).toMatchObject({ event: { by: 'PagerDuty: Zoë 語' } });
  });
});

describe('acknowledged in PagerDuty', () => {
  it('is acknowledged here, by the person with the same e-mail', async () => {
    const event = eventOf('incident.acknowledged');
    expect((await post(event)).json()).toEqual({ result: 'acknowledged' });
    expect(gateway.updates).toEqual([
      {
        workflowId: view.workflowId,
        name: 'acknowledge',
        updateId: `pagerduty-${event.event.id}`,
        argument: {
          actor: { person: 'mara', via: 'pager' },
          page: { key: KEY, atMs: Date.parse('2026-10-02T18:45:22.169Z') },
        },
      },
    ]);
    expect(attempts).toMatchObject([
      {
        incident: view.incidentId,
        person: 'mara',
        decision: 'acknowledge',
        verdict: 'accepted',
        via: 'pager',
      },
    ]);
  });

  it.each(['-1.page.1-again-3', '-2', '-commander-1'])(
    'also by a key of a later call: %s',
    async (suffix) => {
      await post(eventOf('incident.acknowledged', {}, `${KEY}${suffix}`));
      expect(gateway.updates).toMatchObject([{ name: 'acknowledge' }]);
    },
  );

  it('once, however often it is delivered', async () => {
    const event = eventOf('incident.acknowledged');
    expect((await post(event)).json()).toEqual({ result: 'acknowledged' });
    expect((await post(event)).json()).toEqual({ result: 'duplicate' });
    expect(gateway.updates).toHaveLength(1);
    expect(attempts).toHaveLength(1);
  });

  it.each<[string, UserEmail, string]>([
    ['nobody of the access file', { email: 'eve@example.com' }, 'e-mail'],
    ['who may only view', { email: 'vic@example.com' }, 'responder'],
    ['whose e-mail is not to be had', { problem: 'PagerDuty answered 403' }, 'answered 403'],
  ])('by somebody %s only stops the escalation', async (_name, found, reason) => {
    email = async () => found;
    expect((await post(eventOf('incident.acknowledged'))).json()).toEqual({ result: 'noted' });
    expect(gateway.updates).toMatchObject([
      {
        name: 'pagerEvent',
        argument: {
          event: {
            kind: 'acknowledged',
            by: 'PagerDuty: Tenex Engineer',
            key: KEY,
            notJoined: expect.stringContaining(reason),
          },
        },
      },
    ]);
    expect(attempts).toMatchObject([
      { verdict: 'denied', via: 'pager', reason: expect.stringContaining(reason) },
    ]);
  });

  it('by somebody who cannot be asked for yet stops the escalation, and is theirs once they can', async () => {
    const event = eventOf('incident.acknowledged');
    email = async () => ({ problem: 'PagerDuty answered 503', askAgain: true });
    const first = await post(event);
    expect([first.statusCode, first.json().error.code]).toEqual([503, 'identity_unavailable']);
    expect(gateway.updates).toMatchObject([
      {
        name: 'pagerEvent',
        updateId: `pagerduty-${event.event.id}-unknown`,
        argument: { event: { kind: 'acknowledged', joinedLater: true, key: KEY } },
      },
    ]);
    // Nobody was denied anything.
    expect(attempts).toEqual([]);
    expect(await metrics()).not.toContain('verdict="denied"');
    email = async () => ({ email: 'mara@example.com' });
    expect((await post(event)).json()).toEqual({ result: 'acknowledged' });
    expect(gateway.updates.slice(1)).toMatchObject([
      { name: 'acknowledge', updateId: `pagerduty-${event.event.id}` },
    ]);
    expect(attempts).toMatchObject([{ person: 'mara', verdict: 'accepted' }]);
  });

  it('is one attempt, also where another process is told of it again', async () => {
    const event = eventOf('incident.acknowledged');
    // Not taken, so not remembered here: it comes as to another process.
    gateway.answer = () => {
      throw new GatewayError('unavailable', 'Temporal does not answer');
    };
    expect((await post(event)).statusCode).toBe(503);
    gateway.answer = () => ({ message: 'Acknowledged' });
    expect((await post(event)).statusCode).toBe(202);
    expect(attempts).toHaveLength(2);
    // The records take one id once.
    expect(new Set(attempts.map(({ id }) => id))).toEqual(
      new Set([`pagerduty-${event.event.id}-${view.incidentId}-accepted`]),
    );
  });

  it('by an integration is our own event coming back', async () => {
    const agent = { id: 'PINT', type: 'events_api_v2_inbound_integration_reference', summary: 'Firebreak' };
    expect((await post(eventOf('incident.acknowledged', { agent }))).json()).toEqual({ result: 'ignored' });
    expect(gateway.updates).toEqual([]);
  });

  it('of a page of the watchdog is told to that', async () => {
    await post(eventOf('incident.acknowledged', {}, 'firebreak-watchdog-1790000000000'));
    expect(watchdogPages).toEqual(['acknowledged firebreak-watchdog-1790000000000']);
  });
});

describe('other events', () => {
  it.each([
    ['incident.unacknowledged', null, 'unacknowledged'],
    ['incident.escalated', null, 'escalated'],
    ['incident.reassigned', AGENT, 'reassigned'],
    ['incident.resolved', AGENT, 'resolved'],
  ])('%s is noted', async (type, agent, kind) => {
    expect((await post(eventOf(type, { agent }))).json()).toEqual({ result: 'noted' });
    expect(gateway.updates).toMatchObject([
      { name: 'pagerEvent', argument: { event: { kind, pager: 'pagerduty', atMs: 1_790_966_722_169 } } },
    ]);
    expect(attempts).toEqual([]);
  });

  it.each([
    ['of another kind', eventOf('incident.priority_updated'), 'ignored'],
    ['about a page that is not ours', eventOf('incident.acknowledged', {}, 'another'), 'unknown-page'],
    ['without a key', eventOf('incident.acknowledged', {}, null), 'ignored'],
  ])('%s are answered 2xx: three drops disable a subscription', async (_name, event, result) => {
    const answer = await post(event);
    expect([answer.statusCode, answer.json()]).toEqual([202, { result }]);
    expect(gateway.updates).toEqual([]);
    expect(await metrics()).toContain(`firebreak_pagerduty_events_total{result="${result}"} 1`);
  });

  it('that cannot be read are refused for good', async () => {
    expect((await post('{"event":{}}')).statusCode).toBe(400);
    expect((await post('{')).statusCode).toBe(400);
    const large = eventOf('pagey.ping', { data: { html_url: 'x'.repeat(300_000) } });
    expect((await post(large)).statusCode).toBe(413);
  });
});

describe('while Temporal is away', () => {
  it('is to be sent again, and then taken', async () => {
    const event = eventOf('incident.acknowledged');
    gateway.failure = new GatewayError('unavailable', 'Temporal does not answer');
    expect((await post(event)).statusCode).toBe(503);
    gateway.failure = undefined;
    expect((await post(event)).json()).toEqual({ result: 'acknowledged' });
    expect(gateway.updates).toHaveLength(1);
  });

  it('an incident that has ended is no reason to send it again', async () => {
    gateway.answer = () => {
      throw new GatewayError('not-running', 'No such incident is running.');
    };
    const answer = await post(eventOf('incident.acknowledged'));
    expect([answer.statusCode, answer.json()]).toEqual([202, { result: 'ended' }]);
  });
});
