import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { PagesGateway } from '../gateway/pages-gateway.ts';
import { GatewayError } from '../gateway/types.ts';
import { alertOf, deliveryOf } from '../test-support/deliveries.ts';
import { ALERTMANAGER_TOKEN, createTestEdge, noRecords } from '../test-support/edge.ts';

let app: FastifyInstance;
afterEach(() => app?.close());

async function edge() {
  const seen: number[] = [];
  const state = { away: false };
  const pages = {
    watchdogSeen: async (atMs: number) => {
      if (state.away) throw new GatewayError('unavailable', 'Temporal does not answer');
      seen.push(atMs);
    },
  } as PagesGateway;
  const made = await createTestEdge({
    records: noRecords,
    pages,
    watchdogAlertname: 'Watchdog',
    now: () => 42,
  });
  app = made.app;
  const post = (body: unknown) =>
    app.inject({
      method: 'POST',
      url: '/webhooks/alertmanager',
      headers: { authorization: `Bearer ${ALERTMANAGER_TOKEN}`, 'content-type': 'application/json' },
      payload: JSON.stringify(body),
    });
  return { ...made, seen, state, post };
}

const watchdog = (status: 'firing' | 'resolved' = 'firing') =>
  alertOf({ status, labels: { alertname: 'Watchdog', rmf_function: 'MANAGE' } });

describe('the always-firing alert', () => {
  it('is told to the watchdog and opens no incident, whatever its labels match', async () => {
    const { post, seen, gateway } = await edge();
    const answer = await post(deliveryOf([watchdog()]));
    expect([answer.statusCode, answer.json()]).toEqual([200, { accepted: 0, unmatched: 0, incidents: [] }]);
    expect(seen).toEqual([42]);
    expect(gateway.started).toEqual([]);
  });

  it('does not keep alerts of the same delivery from their incident', async () => {
    const { post, seen, gateway } = await edge();
    await post(deliveryOf([watchdog(), alertOf()]));
    expect(seen).toEqual([42]);
    expect(gateway.started).toHaveLength(1);
    expect(gateway.started[0]?.alerts.alerts).toHaveLength(1);
  });

  it('has not arrived when it is resolved', async () => {
    const { post, seen } = await edge();
    await post(deliveryOf([watchdog('resolved')]));
    expect(seen).toEqual([]);
  });

  it('is to be sent again while Temporal is away, after the alerts about harm were taken', async () => {
    const { post, state, gateway } = await edge();
    state.away = true;
    expect((await post(deliveryOf([watchdog(), alertOf()]))).statusCode).toBe(503);
    expect(gateway.started).toHaveLength(1);
  });
});
