import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import { observed } from '../../test/fixtures/observed-incidents.ts';
import { verifyDecision } from '../decisions/sign.ts';
import { GatewayError } from '../gateway/types.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, TOKENS } from '../test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';

/** Few enough characters that two test incidents share them. */
const OTHER_ID = 'inc-3f9a00000000-0a1b2c3d';
const NOW = Date.UTC(2026, 2, 1, 10, 2);

let records: RecordsStore;
let closeRecords: () => Promise<void>;
let app: FastifyInstance;
let gateway: RecordingGateway;
let publicKeyPem: string;
let log: string[];

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());

beforeEach(async () => {
  const edge = await createTestEdge({ records, now: () => NOW, sendDeadlineMs: 1_000 });
  ({ app, gateway, publicKeyPem, log } = edge);
  gateway.views.set(viewOf().workflowId, viewOf());
});
afterEach(() => app.close());

type Who = keyof typeof TOKENS;
function request(who: Who | undefined, method: 'GET' | 'POST', path: string, body?: unknown, headers = {}) {
  return app.inject({
    method,
    url: `/api/v1${path}`,
    headers: {
      ...(who ? { authorization: `Bearer ${TOKENS[who]}` } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
  });
}
const post = (who: Who, action: string, body?: unknown, id = INCIDENT_ID, headers = {}) =>
  request(who, 'POST', `/incidents/${id}/${action}`, body, headers);
const get = (path: string, headers = {}) => request('vic', 'GET', path, undefined, headers);
async function attemptsSince(count: number, id = INCIDENT_ID) {
  return (await records.attempts(id))
    .slice(count)
    .map(({ id: _id, atMs: _atMs, incident: _incident, ...rest }) => rest);
}

describe('reading incidents', () => {
  it('needs a token of a person', async () => {
    for (const headers of [
      {},
      { authorization: 'Bearer wrong-token-0123456789' },
      { authorization: 'Basic eDp5' },
    ]) {
      const response = await app.inject({ url: '/api/v1/incidents', headers });
      expect(response.statusCode).toBe(401);
      expect(response.json().error.code).toBe('unauthenticated');
    }
  });

  it('says who one is', async () => {
    expect((await get('/me')).json()).toEqual({ id: 'vic', name: 'Vic', groups: ['stakeholders'] });
  });

  it('shows a running incident as its workflow sees it, by any unique start of its id', async () => {
    for (const id of [INCIDENT_ID, 'inc-3f9a1c', '3f9a', 'INC-3F9A1C2B7D01-0a']) {
      const response = await get(`/incidents/${id}`);
      expect(response.json()).toMatchObject({
        source: 'live',
        incident: { incidentId: INCIDENT_ID, state: 'contained' },
      });
    }
  });

  it('asks for more of an id that is not unique', async () => {
    const other = viewOf({ incidentId: OTHER_ID });
    gateway.views.set(other.workflowId, other);
    const response = await get('/incidents/3f9a');
    expect(response.statusCode).toBe(409);
    expect(response.json().error).toMatchObject({ code: 'ambiguous_id' });
    expect(response.json().error.hint).toContain(OTHER_ID);
    expect((await get('/incidents/3f9a0')).json().incident.incidentId).toBe(OTHER_ID);
  });

  it('shows the record of an incident that has ended, also when its workflow id runs again', async () => {
    const ended = viewOf({ incidentId: 'inc-3f9a1c2b7d01-99999999', state: 'closed', outcome: 'recovered' });
    await records.openIncident({ incidentId: ended.incidentId, workflowId: ended.workflowId, view: ended });
    await records.append(ended.timeline, ended);
    const response = await get(`/incidents/${ended.incidentId}`);
    expect(response.json()).toMatchObject({ source: 'records', incident: { outcome: 'recovered' } });
    expect(response.json()).not.toHaveProperty('note');
  });

  it('shows the last record while Temporal is down, and says so', async () => {
    const view = viewOf({ incidentId: 'inc-dddddddddddd-00000001' });
    await records.openIncident({ incidentId: view.incidentId, workflowId: view.workflowId, view });
    gateway.failure = new GatewayError('unavailable', 'connect ECONNREFUSED');
    const response = await get(`/incidents/${view.incidentId}`);
    expect(response.json()).toMatchObject({
      source: 'records',
      note: expect.stringContaining('ECONNREFUSED'),
    });
    expect((await get('/incidents/inc-eeeeeeeeeeee-00000001')).statusCode).toBe(503);
    const list = await get('/incidents');
    expect(list.statusCode).toBe(200);
    expect(list.json().notes).toHaveLength(1);
    expect(list.json().incidents.length).toBeGreaterThan(0);
  });

  it('tells a missing incident from text that is no id', async () => {
    for (const id of ['inc-eeeeeeeeeeee-00000001', 'zz', "x'--", '%2e%2e%2fetc']) {
      const response = await get(`/incidents/${id}`);
      expect(response.statusCode).toBe(404);
      expect(response.json().error.code).toBe('not_found');
    }
  });

  it('lists running incidents that the records do not have yet beside those they have', async () => {
    const recorded = viewOf({ incidentId: 'inc-aaaaaaaaaaaa-00000001', state: 'closed' });
    await records.openIncident({
      incidentId: recorded.incidentId,
      workflowId: recorded.workflowId,
      view: recorded,
    });
    const ids = (await get('/incidents'))
      .json()
      .incidents.map(({ incidentId }: { incidentId: string }) => incidentId);
    expect(ids).toContain(INCIDENT_ID);
    expect(ids).toContain(recorded.incidentId);
    const closed = (await get('/incidents?state=closed')).json().incidents;
    expect(closed.map(({ incidentId }: { incidentId: string }) => incidentId)).not.toContain(INCIDENT_ID);
    expect((await get('/incidents?state=odd')).statusCode).toBe(400);
  });

  it('gives the timeline in order, and the postmortem as Markdown or JSON', async () => {
    expect(
      (await get(`/incidents/${INCIDENT_ID}/timeline`))
        .json()
        .timeline.map(({ seq }: { seq: number }) => seq),
    ).toEqual([0, 1]);
    expect((await get(`/incidents/${INCIDENT_ID}/postmortem`)).statusCode).toBe(404);
    const view = viewOf({ incidentId: 'inc-bbbbbbbbbbbb-00000001' });
    await records.openIncident({ incidentId: view.incidentId, workflowId: view.workflowId, view });
    await records.writePostmortem({
      incidentId: view.incidentId,
      markdown: '# It',
      draft: true,
      atMs: NOW,
      actionItems: [],
    });
    const markdown = await get(`/incidents/${view.incidentId}/postmortem`);
    expect(markdown.headers['content-type']).toBe('text/markdown; charset=utf-8');
    expect(markdown.body).toBe('# It');
    const json = await get(`/incidents/${view.incidentId}/postmortem`, { accept: 'application/json' });
    expect(json.json()).toMatchObject({ markdown: '# It', draft: true, actionItems: [] });
  });
});

describe('the observe report', () => {
  const dayMs = 86_400_000;
  const openAt = async (last: string, triggered: number, change = {}) => {
    const view = observed({
      incidentId: `inc-0b5e7fe00000-${last.padStart(8, '0')}`,
      milestones: { triggered, resolved: triggered + 1 },
      ...change,
    });
    await records.append(
      view.timeline.map((one, index) => ({ ...one, seq: index + 1, atMs: triggered + 12_000 })),
      { ...view, timeline: [] },
    );
    return view.incidentId;
  };
  it('has the observed incidents of the time asked for, a week unless told otherwise', async () => {
    const recent = await openAt('1', NOW - 2 * dayMs);
    const older = await openAt('2', NOW - 10 * dayMs);
    await openAt('3', NOW - 2 * dayMs, { mode: 'approve' });
    const week = (await get('/reports/observe')).json();
    expect(week).toMatchObject({ sinceMs: NOW - 7 * dayMs, untilMs: NOW, truncated: false });
    expect(week.incidents).toMatchObject([{ incidentId: recent, containAfterMs: 12_000 }]);
    expect(week.totals).toMatchObject({ incidents: 1, toContainment: { medianMs: 12_000, count: 1 } });
    for (const since of ['30d', new Date(NOW - 11 * dayMs).toISOString().slice(0, 10)]) {
      const { incidents } = (await get(`/reports/observe?since=${since}`)).json();
      expect(incidents.map(({ incidentId }: { incidentId: string }) => incidentId)).toEqual([recent, older]);
    }
  });

  it('refuses what is no time, and those who may not view', async () => {
    for (const since of ['soon', '0d', '2026-03-09', '9999d', '']) {
      const response = await get(`/reports/observe?since=${since}`);
      expect(response.statusCode).toBe(400);
      expect(response.json().error.problems[0]).toContain('since: expected a duration such as 7d');
    }
    expect((await request(undefined, 'GET', '/reports/observe')).statusCode).toBe(401);
  });

  it('says when the records do not answer', async () => {
    await app.close();
    const broken = Object.assign(Object.create(records), {
      incidentsSince: async () => {
        throw new Error('disk full');
      },
    }) as RecordsStore;
    ({ app } = await createTestEdge({ records: broken, now: () => NOW }));
    expect((await get('/reports/observe')).json().error.code).toBe('records_unavailable');
  });
});

describe('deciding', () => {
  it('signs an approval of exactly the plan that waits, records it, and sends it once', async () => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    const response = await post('mara', 'approve', {
      step: 'rollback',
      planHash: PLAN_HASH,
      reason: 'v2 is harmful',
    });
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({
      message: 'approve recorded',
      incidentId: INCIDENT_ID,
      step: 'rollback',
      planHash: PLAN_HASH,
      duplicate: false,
    });
    const [update] = gateway.updates;
    const { actor, signed } = (update?.argument ?? {}) as { actor: unknown; signed: SignedDecision };
    expect(actor).toEqual({ person: 'mara', via: 'api' });
    expect(signed.decision).toMatchObject({
      decision: 'approve',
      incidentId: INCIDENT_ID,
      planHash: PLAN_HASH,
      person: 'mara',
      groups: ['ml-oncall'],
      reason: 'v2 is harmful',
      issuedAtMs: NOW,
    });
    expect(verifyDecision(signed, { 'edge-1': publicKeyPem }, NOW)).toEqual({ ok: true });
    expect(await attemptsSince(before)).toEqual([
      {
        step: 'rollback',
        planHash: PLAN_HASH,
        person: 'mara',
        decision: 'approve',
        verdict: 'accepted',
        reason: 'member of ml-oncall; said: v2 is harmful',
        via: 'api',
      },
    ]);
  });

  it('uses one update id for one decision of one person on one plan', async () => {
    await Promise.all(
      [1, 2, 3].map(() =>
        post('mara', 'approve', { planHash: PLAN_HASH }, INCIDENT_ID, { 'x-firebreak-client': 'cli' }),
      ),
    );
    await post('ben', 'approve', { planHash: PLAN_HASH });
    const ids = gateway.updates.map(({ updateId }) => updateId);
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(2);
    expect((gateway.updates[0]?.argument as { actor?: { via: string } } | undefined)?.actor?.via).toBe('cli');
  });

  it('answers a decision that was made before as a duplicate, and sends nothing', async () => {
    const id = 'inc-cccccccccccc-00000001';
    const view = viewOf({ incidentId: id });
    gateway.views.set(view.workflowId, view);
    await post('mara', 'approve', { planHash: PLAN_HASH }, id);
    // Once while a second person is waited for, once when nothing waits any more.
    for (const pendingApprovals of [[approvalOf({ count: 2, approvedBy: ['mara'] })], []]) {
      gateway.views.set(view.workflowId, { ...view, pendingApprovals });
      const response = await post('mara', 'approve', { planHash: PLAN_HASH }, id);
      expect(response.json()).toMatchObject({ duplicate: true, step: 'rollback' });
    }
    expect(gateway.updates).toHaveLength(1);
    expect((await attemptsSince(0, id)).map(({ verdict }) => verdict)).toEqual([
      'accepted',
      'duplicate',
      'duplicate',
    ]);
    // Nobody else has decided, and this person not otherwise.
    expect((await post('ben', 'approve', { planHash: PLAN_HASH }, id)).json().error.code).toBe(
      'nothing_waiting',
    );
    expect((await post('mara', 'reject', { planHash: PLAN_HASH }, id)).json().error.code).toBe(
      'nothing_waiting',
    );
  });

  const refused: [string, Who, object, number, string, string][] = [
    ['by someone not in the group', 'vic', { planHash: PLAN_HASH }, 403, 'forbidden', 'denied'],
    ['of another plan', 'mara', { planHash: 'b'.repeat(64) }, 409, 'plan_changed', 'invalid'],
    [
      'of a step that does not wait',
      'mara',
      { step: 'divert', planHash: PLAN_HASH },
      409,
      'nothing_waiting',
      'invalid',
    ],
  ];
  it.each(refused)('refuses and records an approval %s', async (_name, who, body, status, code, verdict) => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    const response = await post(who, 'approve', body);
    expect(response.statusCode).toBe(status);
    expect(response.json().error.code).toBe(code);
    expect(gateway.updates).toEqual([]);
    expect(await attemptsSince(before)).toMatchObject([{ person: who, decision: 'approve', verdict }]);
  });

  it.each([
    [{}],
    [{ planHash: PLAN_HASH.slice(0, 12) }],
    [{ planHash: PLAN_HASH, force: true }],
    [{ planHash: PLAN_HASH, step: '../x' }],
  ])('wants the whole hash of the plan and nothing it does not know: %j', async (body) => {
    expect((await post('mara', 'approve', body)).json().error.code).toBe('invalid_request');
    expect(gateway.updates).toEqual([]);
  });

  describe('alone, by break-glass', () => {
    const id = 'inc-bbbbbbbbbbbb-00000001';
    const reason = 'nobody else answers, harm goes on';
    const body = { planHash: PLAN_HASH, breakGlass: true, reason };
    const waiting = (change: Parameters<typeof approvalOf>[0] = {}) => {
      const pendingApprovals = [approvalOf({ count: 2, groups: ['ml-oncall'], breakGlass: true, ...change })];
      const view = viewOf({ incidentId: id, pendingApprovals });
      gateway.views.set(view.workflowId, view);
    };

    it('signs it for five minutes, for who may, also outside the groups that are asked', async () => {
      waiting();
      const before = (await records.attempts(id)).length;
      expect((await post('ben', 'approve', body, id)).statusCode).toBe(200);
      const [update] = gateway.updates;
      expect(update?.updateId).toMatch(/^break-glass-/);
      const { signed } = (update?.argument ?? {}) as { signed: SignedDecision };
      expect(signed.decision).toMatchObject({
        decision: 'approve',
        breakGlass: true,
        person: 'ben',
        reason,
        expiresAtMs: NOW + 5 * 60_000,
      });
      expect(verifyDecision(signed, { 'edge-1': publicKeyPem }, NOW)).toEqual({ ok: true });
      const { breakGlass: _taken, ...ordinary } = signed.decision;
      expect(verifyDecision({ ...signed, decision: ordinary }, { 'edge-1': publicKeyPem }, NOW).ok).toBe(
        false,
      );
      expect(await attemptsSince(before, id)).toMatchObject([
        {
          person: 'ben',
          decision: 'break-glass',
          verdict: 'accepted',
          reason: `member of commander (breakGlass); said: ${reason}`,
        },
      ]);
    });

    it('is open to who has approved as one of several, and is told as a duplicate the second time', async () => {
      waiting({ approvedBy: ['ben'] });
      expect((await post('ben', 'approve', body, id)).json()).toMatchObject({ duplicate: false });
      const view = viewOf({ incidentId: id, pendingApprovals: [] });
      gateway.views.set(view.workflowId, view);
      expect((await post('ben', 'approve', body, id)).json()).toMatchObject({ duplicate: true });
      expect(gateway.updates).toHaveLength(1);
    });

    it.each<[string, Who, object, Parameters<typeof approvalOf>[0], number, string, string]>([
      ['by somebody without the right', 'mara', {}, {}, 403, 'forbidden', 'denied'],
      ['where the runbook does not allow it', 'ben', {}, { breakGlass: false }, 403, 'forbidden', 'denied'],
      ['without a reason', 'ben', { reason: undefined }, {}, 400, 'invalid_request', 'invalid'],
      ['with a word for a reason', 'ben', { reason: 'urgent' }, {}, 400, 'invalid_request', 'invalid'],
      ['of another plan', 'ben', { planHash: 'b'.repeat(64) }, {}, 409, 'plan_changed', 'invalid'],
    ])('is refused and recorded %s', async (_what, who, change, pending, status, code, verdict) => {
      waiting(pending);
      const before = (await records.attempts(id)).length;
      const response = await post(who, 'approve', { ...body, ...change }, id);
      expect([response.statusCode, response.json().error.code]).toEqual([status, code]);
      expect(gateway.updates).toEqual([]);
      expect(await attemptsSince(before, id)).toMatchObject([
        { person: who, decision: 'break-glass', verdict },
      ]);
    });

    it('is for approving', async () => {
      waiting({ groups: ['commander'] });
      const response = await post('ben', 'reject', body, id);
      expect(response.json().error).toMatchObject({ code: 'invalid_request' });
      expect(gateway.updates).toEqual([]);
    });
  });

  it('tells why the incident refused it, and records that too', async () => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    gateway.answer = () => {
      throw new GatewayError('refused', 'the approval has expired', { failureType: 'PreconditionFailed' });
    };
    const response = await post('mara', 'approve', { planHash: PLAN_HASH });
    expect(response.statusCode).toBe(409);
    expect(response.json().error).toMatchObject({ code: 'refused', message: 'the approval has expired' });
    expect((await attemptsSince(before)).map(({ verdict }) => verdict)).toEqual(['accepted', 'invalid']);
    // What was refused is no decision: trying again is no duplicate.
    gateway.answer = () => ({ message: 'approved' });
    expect((await post('mara', 'approve', { planHash: PLAN_HASH })).json()).toMatchObject({
      duplicate: false,
    });
  });

  it('keeps trying with the same id over a transport error', async () => {
    let tries = 0;
    const update = gateway.update.bind(gateway);
    const ids: string[] = [];
    gateway.update = async (sent) => {
      ids.push(sent.updateId);
      tries += 1;
      if (tries < 3) throw new GatewayError('unavailable', 'Deadline exceeded');
      return update(sent);
    };
    expect((await post('mara', 'approve', { planHash: PLAN_HASH })).statusCode).toBe(200);
    expect(new Set(ids).size).toBe(1);
    expect(ids).toHaveLength(3);
  });

  it.each([
    ['an approval', 'approve', { planHash: PLAN_HASH }],
    ['a note', 'note', { text: 'still here' }],
  ])('keeps asking about the incident while Temporal restarts, for %s', async (_, action, body) => {
    const describe = gateway.describe.bind(gateway);
    let tries = 0;
    gateway.describe = async (workflowId) => {
      tries += 1;
      if (tries < 3) throw new GatewayError('unavailable', 'connect ECONNREFUSED');
      return describe(workflowId);
    };
    expect((await post('mara', action, body)).statusCode).toBe(200);
    expect(gateway.updates).toHaveLength(1);
  });

  it('says that nothing was sent when Temporal stays silent', async () => {
    const { workflowId } = viewOf();
    await records.openIncident({ incidentId: INCIDENT_ID, workflowId, view: viewOf() });
    gateway.failure = new GatewayError('unavailable', 'connect ECONNREFUSED');
    const response = await post('mara', 'note', { text: 'still here' });
    expect(response.statusCode).toBe(503);
    expect(response.json().error).toMatchObject({
      code: 'temporal_unavailable',
      message: 'Temporal does not answer, so nothing was sent.',
    });
  });

  it('says that the outcome is not known when it stays so', async () => {
    gateway.update = async () => {
      throw new GatewayError('unavailable', 'Deadline exceeded');
    };
    const response = await post('mara', 'approve', { planHash: PLAN_HASH });
    expect(response.statusCode).toBe(503);
    expect(response.json().error.code).toBe('outcome_unknown');
    expect(response.headers['retry-after']).toBeDefined();
  });

  it('sends nothing that it could not record', async () => {
    await app.close();
    const broken = Object.assign(Object.create(records), {
      recordAttempt: async () => {
        throw new Error('disk full');
      },
    }) as RecordsStore;
    ({ app, gateway, log } = await createTestEdge({ records: broken }));
    gateway.views.set(viewOf().workflowId, viewOf());
    const response = await post('mara', 'approve', { planHash: PLAN_HASH });
    expect(response.statusCode).toBe(503);
    expect(response.json().error.code).toBe('records_unavailable');
    expect(response.body).not.toContain('disk full');
    expect(log.join('')).toContain('disk full');
    expect(gateway.updates).toEqual([]);
  });

  it('records a decision on an incident that does not exist, and one on an incident that is over', async () => {
    const unknown = 'inc-eeeeeeeeeeee-00000002';
    expect((await post('mara', 'approve', { planHash: PLAN_HASH }, unknown)).statusCode).toBe(404);
    expect((await attemptsSince(0, unknown)).map(({ verdict }) => verdict)).toEqual(['invalid']);
    const over = viewOf({ incidentId: 'inc-ffffffffffff-00000001', state: 'closed' });
    await records.openIncident({ incidentId: over.incidentId, workflowId: over.workflowId, view: over });
    const response = await post('mara', 'approve', { planHash: PLAN_HASH }, over.incidentId);
    expect(response.json().error.code).toBe('incident_ended');
  });
});

describe('acting', () => {
  const actions: [string, Who, object | undefined, string, object][] = [
    ['acknowledge', 'mara', undefined, 'acknowledge', {}],
    ['note', 'mara', { text: ' seen\u0000 ' }, 'addNote', { text: 'seen\uFFFD' }],
    [
      'severity',
      'mara',
      { severity: 'SEV2', reason: 'small' },
      'setSeverity',
      { severity: 'SEV2', reason: 'small' },
    ],
    ['commander', 'mara', { commander: 'ben' }, 'assignCommander', { commander: 'ben' }],
    [
      'retry-step',
      'mara',
      { step: 'ticket', reason: 'back up' },
      'retryStep',
      { step: 'ticket', reason: 'back up' },
    ],
    ['skip-step', 'mara', { step: 'sample', reason: 'no' }, 'skipStep', { step: 'sample', reason: 'no' }],
    ['abort', 'ben', { reason: 'drill' }, 'abort', { reason: 'drill' }],
    ['resolve', 'ben', { reason: 'done' }, 'resolve', { reason: 'done' }],
    ['false-positive', 'ben', { reason: 'classifier' }, 'markFalsePositive', { reason: 'classifier' }],
    [
      'override-breaker',
      'ben',
      { force: 'open', reason: 'hold', forMs: 600_000 },
      'overrideBreaker',
      { force: 'open', reason: 'hold', forMs: 600_000 },
    ],
  ];
  it.each(actions)('%s is sent as its update, for who may', async (action, who, body, update, argument) => {
    const before = (await records.attempts(INCIDENT_ID)).length;
    const response = await post(who, action, body);
    expect(response.json()).toEqual({ message: `${update} recorded`, incidentId: INCIDENT_ID });
    expect(gateway.updates).toMatchObject([
      {
        workflowId: 'incident-3f9a1c2b7d01',
        name: update,
        argument: { actor: { person: who, via: 'api' }, ...argument },
      },
    ]);
    expect(await attemptsSince(before)).toMatchObject([
      { person: who, decision: action, verdict: 'accepted' },
    ]);
    // And refused, recorded, not sent for who may only look.
    expect((await post('vic', action, body)).statusCode).toBe(403);
    expect(gateway.updates).toHaveLength(1);
    expect((await attemptsSince(before)).at(-1)).toMatchObject({ person: 'vic', verdict: 'denied' });
  });

  it('does a request with the same Idempotency-Key once, for one person', async () => {
    const key = { 'idempotency-key': '0123456789abcdef' };
    await post('mara', 'note', { text: 'once' }, INCIDENT_ID, key);
    await post('mara', 'note', { text: 'once' }, INCIDENT_ID, key);
    await post('ben', 'note', { text: 'other' }, INCIDENT_ID, key);
    expect(new Set(gateway.updates.map(({ updateId }) => updateId)).size).toBe(2);
    expect(
      (await post('mara', 'note', { text: 'x' }, INCIDENT_ID, { 'idempotency-key': 'x y' })).statusCode,
    ).toBe(400);
  });

  it.each(['jhon', 'gone'])(
    'does not make %s the commander, whom the access file does not have active',
    async (commander) => {
      const before = (await records.attempts(INCIDENT_ID)).length;
      const response = await post('mara', 'commander', { commander });
      expect(response.statusCode).toBe(400);
      expect(response.json().error).toMatchObject({
        code: 'invalid_request',
        message: 'The access file has nobody active with that id.',
        hint: expect.stringContaining('mara, ben, vic'),
      });
      expect(gateway.updates).toEqual([]);
      expect(await attemptsSince(before)).toMatchObject([
        { person: 'mara', decision: 'commander', verdict: 'invalid' },
      ]);
    },
  );

  it('names what is wrong with a body', async () => {
    const response = await post('ben', 'override-breaker', { force: 'ajar', reason: '', forMs: 5 });
    expect(response.json().error.problems).toEqual([
      'force: Invalid option: expected one of "open"|"closed"|"hold"|"none"',
      'reason: must not be empty',
      'forMs: at least one minute',
    ]);
    expect((await post('mara', 'note', 'x'.repeat(70_000))).statusCode).toBe(413);
    expect((await post('mara', 'shutdown', {})).json().error.code).toBe('no_such_route');
  });
});

describe('the plot', () => {
  const harmHistory = {
    stepMs: 60_000,
    startMs: Date.UTC(2026, 2, 1, 9, 58),
    harmful: [0, 8, 0],
    classified: [100, 100, 0],
  };

  it('is an SVG that may style itself and nothing else', async () => {
    gateway.views.set(viewOf().workflowId, viewOf({ harmHistory, title: '<script>alert(1)</script>' }));
    const response = await get(`/incidents/${INCIDENT_ID}/harm.svg`);
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'image/svg+xml; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    });
    expect(response.body).toMatch(/^<svg .*<\/svg>$/s);
    expect(response.body).not.toContain('<script');
  });

  it('is not there before anything was read, and for nobody without a token', async () => {
    const response = await get(`/incidents/${INCIDENT_ID}/harm.svg`);
    expect(response.statusCode).toBe(404);
    expect(response.json().error).toMatchObject({
      code: 'not_found',
      message: 'There is no plot of this incident yet.',
    });
    expect((await request(undefined, 'GET', `/incidents/${INCIDENT_ID}/harm.svg`)).statusCode).toBe(401);
  });
});

describe('answers', () => {
  it('carry headers that keep browsers from making anything of them', async () => {
    const response = await get(`/incidents/${INCIDENT_ID}`);
    expect(response.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store',
    });
  });

  it('to a fault of ours hold no stack and no cause, but the id under which the log has both', async () => {
    gateway.describe = async () => {
      throw Object.assign(new Error('secret detail'), { statusCode: 500 });
    };
    gateway.listRunning = undefined as never;
    const response = await get('/incidents');
    expect(response.statusCode).toBe(500);
    expect(response.json().error.code).toBe('internal');
    expect(response.body).not.toMatch(/TypeError|at .*\.ts/);
    const id = /Request id: (\S+)/.exec(response.json().error.message)?.[1] ?? '';
    expect(log.some((line) => line.includes(id) && line.includes('TypeError'))).toBe(true);
  });
});

describe('health', () => {
  it('is ready with Temporal, records and runbooks, and names what is missing', async () => {
    expect((await app.inject('/healthz')).json()).toEqual({ ok: true });
    expect((await app.inject('/readyz')).json()).toMatchObject({ ready: true });
    gateway.failure = new GatewayError('unavailable', 'connect ECONNREFUSED');
    const response = await app.inject('/readyz');
    expect(response.statusCode).toBe(503);
    expect(response.json().checks).toContainEqual({
      name: 'temporal',
      ok: false,
      problems: ['Temporal: connect ECONNREFUSED'],
    });
  });

  it('has metrics for Prometheus', async () => {
    await post('vic', 'abort', { reason: 'x' });
    const response = await app.inject('/metrics');
    expect(response.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(response.body).toContain('firebreak_actions_total{action="abort",verdict="denied",via="api"} 1');
    expect(response.body).toContain(
      'firebreak_http_requests_total{route="/api/v1/incidents/:id/abort",method="POST",status="4xx"} 1',
    );
  });
});
