import { createHmac, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import { createAccess } from '../../webhooks/access/access.ts';
import { createPagesGateway } from '../../webhooks/gateway/pages-gateway.ts';
import { createTemporalGateway } from '../../webhooks/gateway/temporal-gateway.ts';
import { createTestEdge } from '../../webhooks/test-support/edge.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { withIncident } from './harness.ts';
import { World } from './world.ts';

const SECRET = 'webhook-secret-for-tests';
const ACCESS = configSchema.shape.access.parse({
  people: [{ id: 'mara', name: 'Mara', email: 'mara@example.com', groups: ['ml-oncall'] }],
  rules: { viewer: ['*'], responder: ['ml-oncall'] },
});

describe('a webhook of PagerDuty, through Temporal', () => {
  it('acknowledges the incident whose page it is about, and lets that lapse', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('paged', ({ milestones }) => milestones.paged !== undefined);
      const { app } = await createTestEdge({
        gateway: createTemporalGateway(incident.env.client, { taskQueue: 'firebreak' }),
        pages: createPagesGateway(incident.env.client, { taskQueue: 'firebreak' }),
        // Visibility is no part of the time-skipping server: the records know the incident.
        records: {
          listIncidents: async () => [await incident.view()],
          recordAttempt: async () => undefined,
        } as unknown as RecordsStore,
        access: createAccess(ACCESS, {}),
        pagerDuty: {
          webhookSecrets: [SECRET],
          users: { emailOf: async () => ({ email: 'mara@example.com' }) },
        },
      });
      const key = world.pages[0]?.dedupKey;
      const post = async (kind: string, agent: unknown) => {
        const payload = JSON.stringify({
          event: {
            id: randomUUID(),
            event_type: `incident.${kind}`,
            occurred_at: '2026-10-02T18:45:22.169Z',
            agent,
            data: { id: 'PGR0VU2', type: 'incident', incident_key: key },
          },
        });
        const signature = createHmac('sha256', SECRET).update(payload).digest('hex');
        const headers = { 'content-type': 'application/json', 'x-pagerduty-signature': `v1=${signature}` };
        const answer = await app.inject({ method: 'POST', url: '/webhooks/pagerduty', headers, payload });
        return [answer.statusCode, answer.json().result];
      };
      try {
        const mara = { id: 'PLH1HKV', type: 'user_reference', summary: 'Mara' };
        expect(await post('acknowledged', mara)).toEqual([202, 'acknowledged']);
        const view = await incident.view();
        expect([view.acknowledgedBy, view.milestones.acknowledged]).toEqual(['mara', expect.any(Number)]);
        // Every vendor is told, so that nobody else is called there.
        await incident.until('told', () => world.pageUpdates.includes('ml-oncall acknowledge'));
        expect(await post('unacknowledged', null)).toEqual([202, 'noted']);
        expect((await incident.view()).acknowledgedBy).toBeUndefined();
      } finally {
        await app.close();
      }
    });
  });
});
