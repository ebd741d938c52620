import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadRunbooks } from '../../runbooks/load.ts';
import { createTemporalGateway } from './temporal-gateway.ts';
import { GatewayError, type IncidentGateway } from './types.ts';

/** What senders wait for at most; far below the 20 s that a test may take. */
const RPC_DEADLINE_MS = 500;

describe('a Temporal that does not answer', () => {
  let connection: Connection;
  let gateway: IncidentGateway;
  beforeAll(async () => {
    // A port on which nothing listens: opened to learn a free one, and closed again.
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    connection = Connection.lazy({ address: `127.0.0.1:${port}` });
    gateway = createTemporalGateway(new Client({ connection }), {
      taskQueue: 'q',
      rpcDeadlineMs: RPC_DEADLINE_MS,
    });
  });
  afterAll(() => connection.close());

  it('is unavailable for every call, within the deadline and never an answer that looks like one', async () => {
    const {
      runbooks: [runbook],
    } = await loadRunbooks();
    if (runbook === undefined) throw new Error('the library is empty');
    const alerts = {
      groupKey: 'k',
      dedupKey: 'd',
      receivedAtMs: 0,
      truncatedAlerts: 0,
      externalUrl: '',
      alerts: [],
    };
    const workflowId = 'incident-000000000000';
    const calls: Promise<unknown>[] = [
      gateway.signalWithStart({
        workflowId,
        start: { runbook, correlation: {}, mode: 'observe', target: { ok: false, reason: 'none' } },
        alerts,
      }),
      gateway.signal({ workflowId, alerts }),
      gateway.describe(workflowId),
      gateway.update({ workflowId, name: 'acknowledge', updateId: 'u', argument: {} }),
      gateway.listRunning({ limit: 1 }),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result.status).toBe('rejected');
      const reason = (result as PromiseRejectedResult).reason;
      expect(reason).toBeInstanceOf(GatewayError);
      expect(reason).toMatchObject({ problem: 'unavailable' });
    }
  });

  it('is named by the readiness check', async () => {
    const { ok, problems } = await gateway.checkReady();
    expect(ok).toBe(false);
    expect(problems).toEqual(['Temporal does not answer: could not read the search attributes']);
  });
});
