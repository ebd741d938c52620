import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { Declaration } from '../../workflows/incident/state.ts';
import { GatewayError } from '../gateway/types.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, TOKENS } from '../test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import type { RecordingTargets } from '../test-support/recording-targets.ts';

const NOW = Date.UTC(2026, 2, 4, 10);
const TARGET = { namespace: 'models', kind: 'Deployment', name: 'llm-api' } as const;
const WHOLE = { cluster: 'local', ...TARGET };
const KEY = 'local/models/Deployment/llm-api';

let records: RecordsStore;
let closeRecords: () => Promise<void>;
let app: FastifyInstance;
let targets: RecordingTargets;
let gateway: RecordingGateway;

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  ({ app, targets, gateway } = await createTestEdge({ records, now: () => NOW, sendDeadlineMs: 300 }));
});
afterEach(() => app.close());

type Who = keyof typeof TOKENS;
function post(who: Who, path: string, body: unknown, headers: Record<string, string> = {}) {
  return app.inject({
    method: 'POST',
    url: `/api/v1${path}`,
    headers: { authorization: `Bearer ${TOKENS[who]}`, 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(body),
  });
}
async function lastAttempt(incident = KEY) {
  const {
    id: _id,
    atMs: _atMs,
    incident: _incident,
    ...rest
  } = (await records.attempts(incident)).at(-1) ?? {};
  return rest;
}

describe('POST /rollbacks/plan', () => {
  it('gives anybody who may view the plan, what is known of it, and who would be asked', async () => {
    const ledger = {
      'hash-2': { verdict: 'verified-good' as const, atMs: 1, incidentId: 'inc-1', reason: 'proved' },
    };
    const breaker = {
      state: 'open' as const,
      sinceMs: 1,
      reason: 'harm',
      share: 0,
      fallback: 'llm-fallback',
    };
    const frozen = { person: 'ben', reason: 'copying', untilMs: NOW + 1_000 };
    targets.actors.set('llm-api', { breaker, holders: ['inc-1'], ledger, frozen, watching: false });
    gateway.views.set(viewOf().workflowId, viewOf());
    const response = await post('vic', '/rollbacks/plan', { target: TARGET, to: 'previous' });
    expect(response.statusCode).toBe(200);
    expect(targets.inquiries).toMatchObject([
      {
        target: WHOLE,
        to: 'previous',
        ledger,
        gitops: 'refuse',
        approval: { from: ['ml-oncall', 'commander'], count: 1 },
      },
    ]);
    expect(Object.keys(targets.inquiries[0]?.served.metrics ?? {})).toContain('harmful');
    expect(response.json()).toMatchObject({
      answer: { plan: { hash: PLAN_HASH } },
      runbook: { name: 'manual-rollback', version: 1 },
      approval: { from: ['ml-oncall', 'commander'], count: 1, breakGlass: true, timeoutMs: 1_800_000 },
      actor: { holders: ['inc-1'], frozen: { person: 'ben' } },
      openIncidents: [{ incidentId: INCIDENT_ID, state: 'contained', runbook: 'ai-harm-response' }],
    });
    expect(targets.declared).toEqual([]);
  });

  it('goes where the runbook says when nobody names a revision', async () => {
    await post('vic', '/rollbacks/plan', { target: TARGET });
    expect(targets.inquiries[0]).toMatchObject({ to: 'last-known-good', ledger: {} });
  });

  it.each([
    ['a cluster that is not configured', { ...TARGET, cluster: 'moon' }],
    ['a namespace that is not configured', { ...TARGET, namespace: 'kube-system' }],
    ['a kind that cannot be rolled back', { ...TARGET, kind: 'Pod' }],
    ['a name that is no name', { ...TARGET, name: '../secrets/x' }],
    ['a name with control characters', { ...TARGET, name: 'llm\u001b[2J' }],
    ['a namespace that reaches for the prototype', { ...TARGET, namespace: 'constructor' }],
    ['a cluster that reaches for the prototype', { ...TARGET, cluster: 'constructor' }],
  ])('refuses %s without asking any cluster or repeating the value', async (_what, target) => {
    const response = await post('mara', '/rollbacks/plan', { target });
    expect(response.statusCode).toBe(400);
    expect(response.json().error.code).toBe('invalid_request');
    expect(response.body).not.toMatch(/secrets|\\u001b/);
    expect(targets.inquiries).toEqual([]);
  });

  it.each([
    ['NotFound', 404, 'not_found'],
    ['Refused', 409, 'refused'],
    ['Unavailable', 503, 'cluster_unavailable'],
  ])('answers %s of the cluster with %i', async (failureType, status, code) => {
    targets.failure = new GatewayError('refused', 'the cluster says no', { failureType });
    const response = await post('vic', '/rollbacks/plan', { target: TARGET });
    expect(response.statusCode).toBe(status);
    expect(response.json().error).toMatchObject({ code, message: 'the cluster says no' });
  });
});

describe('POST /rollbacks', () => {
  const declare = (who: Who, change: object = {}, headers = {}) =>
    post(who, '/rollbacks', { target: TARGET, reason: 'v3 refuses everything', ...change }, headers);

  it('declares an incident whose plan goes where the person said, and records who and why', async () => {
    const response = await declare('mara', { to: { revision: 2 }, planHash: PLAN_HASH });
    expect(response.json()).toMatchObject({ incidentId: INCIDENT_ID, duplicate: false, mode: 'approve' });
    const { start, workflowId } = targets.declared[0] ?? {};
    expect(workflowId).toMatch(/^incident-[0-9a-f]{12}$/);
    expect(start).toMatchObject({
      correlation: { cluster: 'local', namespace: 'models', kind: 'Deployment', name: 'llm-api' },
      target: { ok: true, target: WHOLE },
      mode: 'approve',
      declared: {
        person: 'mara',
        via: 'api',
        reason: 'v3 refuses everything',
        atMs: NOW,
        asked: 'Rollback to revision 2',
        planHash: PLAN_HASH,
      },
    });
    expect(start?.runbook.steps.find(({ uses }) => uses === 'rollback')?.with.to).toEqual({ revision: 2 });
    expect(await lastAttempt()).toEqual({
      person: 'mara',
      decision: 'declare',
      verdict: 'accepted',
      reason: 'member of ml-oncall (responder); said: v3 refuses everything',
      via: 'api',
    });
  });

  it('says who is asked, and that nobody is where the configured mode is observe', async () => {
    expect((await declare('mara')).json().message).toBe(
      `${INCIDENT_ID} is declared: people of ml-oncall, commander are asked to approve.`,
    );
    await app.close();
    const clusters = { local: { namespaces: { models: { mode: 'observe' as const } } } };
    ({ app, targets, gateway } = await createTestEdge({ records, now: () => NOW, clusters }));
    const observed = (await declare('mara')).json();
    expect(observed).toMatchObject({ incidentId: INCIDENT_ID, mode: 'observe' });
    expect(observed.message).toContain('declared in mode observe: nobody is asked to approve');
    expect(observed.message).not.toContain('people of');
  });

  it('is one incident however often the same request arrives, and another while one is open is refused', async () => {
    const key = { 'idempotency-key': 'the-same-request' };
    await declare('mara', {}, key);
    expect((await declare('mara', {}, key)).json()).toMatchObject({
      incidentId: INCIDENT_ID,
      duplicate: true,
    });
    const again = await declare('mara');
    expect(again.statusCode).toBe(409);
    expect(again.json().error.message).toContain(`${INCIDENT_ID} is open already`);
    // Somebody else's key is another request, whatever it says.
    expect((await declare('ben', {}, key)).statusCode).toBe(409);
    const keys = targets.declared.map((one) => (one.start.declared as Declaration).dedupKey);
    expect(new Set(keys).size).toBe(3);
  });

  it('is no right of somebody who only views, and the attempt is recorded', async () => {
    const response = await declare('vic');
    expect(response.statusCode).toBe(403);
    expect(targets.declared).toEqual([]);
    expect(await lastAttempt()).toMatchObject({ person: 'vic', decision: 'declare', verdict: 'denied' });
  });

  it('needs a reason, and no field that nobody reads', async () => {
    for (const change of [
      { reason: '  ' },
      { reason: undefined },
      { planHash: 'abc' },
      { approvedBy: ['mara'] },
    ]) {
      expect((await declare('mara', change)).statusCode).toBe(400);
    }
    expect(targets.declared).toEqual([]);
    expect(await lastAttempt('rollback')).toMatchObject({ person: 'mara', verdict: 'invalid' });
  });

  it('says that the outcome is not known where Temporal does not answer', async () => {
    targets.failure = new GatewayError('unavailable', 'Temporal does not answer');
    const response = await declare('mara');
    expect(response.statusCode).toBe(503);
    expect(response.json().error.code).toBe('outcome_unknown');
  });
});

describe('the person who declared an incident', () => {
  const approve = (who: Who, more: object = {}) =>
    post(who, `/incidents/${INCIDENT_ID}/approve`, { planHash: PLAN_HASH, ...more });
  const declaredBy = (person: string, count: number, breakGlass = false) =>
    gateway.views.set(
      viewOf().workflowId,
      viewOf({ declaredBy: person, pendingApprovals: [approvalOf({ count, breakGlass })] }),
    );

  it('does not approve alone; another person does', async () => {
    declaredBy('mara', 1);
    const refused = await approve('mara');
    expect(refused.statusCode).toBe(403);
    expect(refused.json().error.message).toBe('mara declared this incident and does not approve alone.');
    expect(gateway.updates).toEqual([]);
    expect((await records.attempts(INCIDENT_ID)).at(-1)).toMatchObject({ person: 'mara', verdict: 'denied' });
    expect((await approve('ben')).statusCode).toBe(200);
    expect(gateway.updates).toMatchObject([{ name: 'approve' }]);
  });

  it('is one of several where several are asked, and may reject', async () => {
    declaredBy('mara', 2);
    expect((await approve('mara')).statusCode).toBe(200);
    declaredBy('mara', 1);
    const rejected = await post('mara', `/incidents/${INCIDENT_ID}/reject`, { planHash: PLAN_HASH });
    expect(rejected.statusCode).toBe(200);
  });

  it('breaks the glass only with that right', async () => {
    declaredBy('ben', 1, true);
    const reason = 'nobody else answers at night';
    expect((await approve('ben')).statusCode).toBe(403);
    expect((await approve('ben', { breakGlass: true, reason })).statusCode).toBe(200);
    declaredBy('mara', 1, true);
    expect((await approve('mara', { breakGlass: true, reason })).statusCode).toBe(403);
  });
});

describe('POST /targets/freeze and /targets/unfreeze', () => {
  const freeze = (who: Who, change: object = {}, headers = {}) =>
    post(
      who,
      '/targets/freeze',
      { target: TARGET, forMs: 7_200_000, reason: 'weights are copied', ...change },
      headers,
    );

  it('sends the target an update, the same one for the same request', async () => {
    const key = { 'idempotency-key': 'freeze-it-once' };
    expect((await freeze('ben', {}, key)).json()).toEqual({ message: 'freeze recorded', target: KEY });
    await freeze('ben', {}, key);
    expect(targets.updates).toMatchObject([
      {
        target: WHOLE,
        name: 'freeze',
        argument: { actor: { person: 'ben', via: 'api' }, reason: 'weights are copied', forMs: 7_200_000 },
      },
      { name: 'freeze' },
    ]);
    expect(targets.updates[0]?.updateId).toBe(targets.updates[1]?.updateId);
    await post('ben', '/targets/unfreeze', { target: TARGET, reason: 'copied' });
    expect(targets.updates[2]).toMatchObject({
      name: 'unfreeze',
      argument: { actor: { person: 'ben', via: 'api' }, reason: 'copied' },
    });
    expect(await lastAttempt()).toMatchObject({ person: 'ben', decision: 'unfreeze', verdict: 'accepted' });
  });

  it('is a commander’s right', async () => {
    for (const who of ['mara', 'vic'] as const) expect((await freeze(who)).statusCode).toBe(403);
    expect(targets.updates).toEqual([]);
    expect(await lastAttempt()).toMatchObject({ person: 'vic', decision: 'freeze', verdict: 'denied' });
  });

  it('has an end within a week', async () => {
    for (const forMs of [0, 59_999, 7 * 86_400_000 + 1, undefined, Number.NaN])
      expect((await freeze('ben', { forMs })).statusCode).toBe(400);
  });

  it('tells what the target refuses', async () => {
    targets.failure = new GatewayError('refused', 'it is frozen already', { failureType: 'Refused' });
    const response = await freeze('ben');
    expect(response.statusCode).toBe(409);
    expect(response.json().error.message).toBe('it is frozen already');
    expect(await lastAttempt()).toMatchObject({ verdict: 'invalid' });
  });
});
