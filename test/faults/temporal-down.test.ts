/** Temporal away while the alert fires: nothing is accepted, nothing is lost, and one incident comes of it. */
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { resolveParts } from '../../demo/parts/resolve-parts.ts';
import { Api } from '../../demo/run/api.ts';
import type { ScenarioRun } from '../../demo/run/scenario-run.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { Supervisor } from '../../demo/stack/supervisor.ts';
import { type RunningTemporal, startTemporal } from '../../demo/stack/temporal.ts';
import { alertOf, deliveryOf } from '../../webhooks/test-support/deliveries.ts';
import { INCIDENT_WORKFLOW } from '../../workflows/messages.ts';
import { type Installation, install } from '../e2e/installation.ts';

const NAMESPACE = 'temporal-down';
/** More than one attempt: Alertmanager has tried again by then, and gone on trying. */
const REFUSALS = 3;
const WORLD_READY_MS = 90_000;
const REFUSED_MS = 60_000;

let supervisor: Supervisor;
let temporal: RunningTemporal;
let installation: Installation;

beforeAll(async () => {
  const dir = path.join(inject('stack').dir, NAMESPACE);
  const parts = await resolveParts(['temporal']);
  supervisor = new Supervisor(path.join(dir, 'logs'));
  temporal = await startTemporal({ supervisor, executable: parts.temporal, dir });
  installation = await install({
    name: NAMESPACE,
    namespaces: { [NAMESPACE]: 'approve' },
    temporal: temporal.description,
  });
});
afterAll(async () => {
  await installation?.close();
  await supervisor?.stop();
});

describe('Temporal stopped while the alert fires', () => {
  it('is answered 503, and brings one incident by Alertmanager trying again', async () => {
    const { firebreak, vendors } = installation;
    const maria = new Api(firebreak.url, firebreak.tokens.maria);
    const playing = installation.play('rollback', NAMESPACE);
    const failed = playing.then(() => new Promise<never>(() => undefined));

    const outage = async (): Promise<number> => {
      await pollUntil(
        'the harmful model being shipped',
        WORLD_READY_MS,
        async () => installation.logs.some((line) => line.includes('world shipping')) || undefined,
      );
      await temporal.stop();
      await pollUntil(
        'Alertmanager being refused',
        REFUSED_MS,
        async () => (await deliveries(firebreak.url, 'temporal_unavailable')) >= REFUSALS || undefined,
      );
      expect(await deliveries(firebreak.url, 'accepted')).toBe(0);

      const answer = await deliverByHand();
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await answer.json()).toMatchObject({ error: { code: 'temporal_unavailable' } });

      expect((await fetch(`${firebreak.url}/healthz`)).status).toBe(200);
      expect((await fetch(`${firebreak.url}/readyz`)).status).toBe(503);
      expect(await maria.incidents()).toEqual([]);
      expect(vendors.pagerDuty.requests()).toBe(0);

      const startedAtMs = Date.now();
      await temporal.start();
      return startedAtMs;
    };

    const startedAtMs = await Promise.race([outage(), failed]);
    const { summary, view }: ScenarioRun = await playing;

    expect(summary.differences).toEqual([]);
    // A delivery may have arrived just before, and been accepted within the five seconds that intake tries for.
    expect(view.milestones.triggered).toBeGreaterThanOrEqual(startedAtMs - 5_000);
    expect(await deliveries(firebreak.url, 'accepted')).toBeGreaterThan(0);
    expect((await maria.incidents()).map(({ incidentId }) => incidentId)).toEqual([view.incidentId]);
    expect(await startedIncidents()).toBe(1);
    expect(vendors.pagerDuty.pages()).toHaveLength(2);
    const issues = await vendors.emulators.github.issues();
    expect(issues.filter(({ labels }) => labels.includes('firebreak-ticket'))).toHaveLength(1);
    expect((await fetch(`${firebreak.url}/readyz`)).status).toBe(200);
  });
});

function deliverByHand(): Promise<Response> {
  const { firebreak } = installation;
  return fetch(firebreak.webhookUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${firebreak.webhookToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(deliveryOf([alertOf({}, { namespace: NAMESPACE })])),
  });
}

/** Deliveries by result, as Firebreak counts them. */
async function deliveries(url: string, result: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.match(new RegExp(`^firebreak_deliveries_total\\{result="${result}"\\} (\\d+)$`, 'm'));
  return Number(line?.[1] ?? 0);
}

/** Runs of the incident workflow that the server knows of, ended ones included. */
async function startedIncidents(): Promise<number> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection, namespace: temporal.namespace });
    return (await client.workflow.count(`WorkflowType = '${INCIDENT_WORKFLOW}'`)).count;
  } finally {
    await connection.close();
  }
}
