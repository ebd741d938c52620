import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { AlertsReceived } from '../../domain/alert.ts';
import { GatewayError, type IncidentStart } from '../gateway/types.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, TOKENS } from '../test-support/edge.ts';
import { INCIDENT_ID, viewOf } from '../test-support/incident.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';

const TARGET = { namespace: 'models', kind: 'Deployment', name: 'llm-api' } as const;
const KEY = 'local/models/Deployment/llm-api';
const BODY = { target: TARGET, runbook: 'ai-harm-response' };

let records: RecordsStore;
let closeRecords: () => Promise<void>;
let app: FastifyInstance;
let gateway: RecordingGateway;

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(() => closeRecords());
beforeEach(async () => {
  ({ app, gateway } = await createTestEdge({ records, sendDeadlineMs: 300 }));
  const { signalWithStart } = gateway;
  // The incident answers as soon as it runs.
  gateway.signalWithStart = async (input: {
    workflowId: string;
    start: IncidentStart;
    alerts: AlertsReceived;
  }) => {
    await signalWithStart.call(gateway, input);
    gateway.views.set(input.workflowId, viewOf({ workflowId: input.workflowId }));
  };
});
afterEach(() => app.close());

function post(who: keyof typeof TOKENS, path: string, body: unknown) {
  return app.inject({
    method: 'POST',
    url: `/api/v1/drills${path}`,
    headers: { authorization: `Bearer ${TOKENS[who]}`, 'content-type': 'application/json' },
    payload: JSON.stringify(body),
  });
}
const lastAttempt = async () => (await records.attempts(KEY)).at(-1);

describe('the plan of a drill', () => {
  it('says of each step whether it is real, and begins nothing', async () => {
    const response = await post('mara', '/plan', BODY);
    expect(response.statusCode).toBe(200);
    const { steps } = response.json();
    const real = (id: string) => steps.find((step: { id: string }) => step.id === id).real;
    expect([real('page'), real('divert'), real('ticket'), real('rollback')]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(steps.find((step: { id: string }) => step.id === 'rollback').asks).toContain('ml-oncall');
    const diverting = (await post('ben', '/plan', { ...BODY, divert: true })).json();
    expect(diverting.steps.find((step: { id: string }) => step.id === 'divert').real).toBe(true);
    expect(gateway.started).toEqual([]);
  });
});

describe('a drill', () => {
  it('is an alert with the label, an incident of its own, and in the record of attempts', async () => {
    const response = await post('mara', '', BODY);
    expect(response.json()).toMatchObject({ incidentId: INCIDENT_ID });
    await post('mara', '', BODY);
    expect(gateway.started).toHaveLength(2);
    const [first, second] = gateway.started;
    expect(first?.workflowId).not.toBe(second?.workflowId);
    expect(first?.start.drill).toEqual({ by: 'mara', divert: false, forMs: 900_000 });
    expect(first?.alerts.alerts[0]?.labels).toMatchObject({ alertname: 'FirebreakDrill' });
    expect(first?.alerts.alerts[0]?.labels.firebreak_drill).toMatch(/^drill-[0-9a-f]{8}$/);
    expect(first?.start.target).toMatchObject({ ok: true, target: { cluster: 'local', ...TARGET } });
    expect(await lastAttempt()).toMatchObject({ person: 'mara', decision: 'drill', verdict: 'accepted' });
  });

  it('that diverts takes a commander', async () => {
    const refused = await post('mara', '', { ...BODY, divert: true });
    expect(refused.statusCode).toBe(403);
    expect(await lastAttempt()).toMatchObject({ person: 'mara', verdict: 'denied' });
    expect((await post('ben', '', { ...BODY, divert: true })).statusCode).toBe(200);
    expect(gateway.started.map(({ start }) => start.drill?.divert)).toEqual([true]);
  });

  it.each([
    ['who only may view', 'vic', BODY, 403],
    ['a runbook that is not loaded', 'mara', { ...BODY, runbook: 'nothing' }, 400],
    [
      'a target that is not allowed',
      'mara',
      { ...BODY, target: { ...TARGET, namespace: 'kube-system' } },
      400,
    ],
    ['a drill for days', 'mara', { ...BODY, forMs: 86_400_000 }, 400],
    ['fields that are not known', 'mara', { ...BODY, act: true }, 400],
  ] as const)('refuses %s', async (_what, who, body, status) => {
    expect((await post(who, '', body)).statusCode).toBe(status);
    expect(gateway.started).toEqual([]);
  });

  it('says that it did not begin where Temporal does not answer', async () => {
    gateway.failure = new GatewayError('unavailable', 'Temporal does not answer');
    const response = await post('mara', '', BODY);
    expect(response.statusCode).toBe(503);
    expect(response.json().error.message).toContain('did not begin');
  });
});
