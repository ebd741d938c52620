import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { createWatchdogActivities } from '../../activities/paging/dead-mans-switch.ts';
import { createPagingActivities } from '../../activities/paging/index.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import { startPagerDutySink } from '../../demo/vendors/pagerduty-sink.ts';
import { listenForJson } from '../../demo/vendors/webhook-sink.ts';
import { createPagesGateway } from '../../webhooks/gateway/pages-gateway.ts';
import { alertOf, deliveryOf } from '../../webhooks/test-support/deliveries.ts';
import { ALERTMANAGER_TOKEN, createTestEdge } from '../../webhooks/test-support/edge.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { configureWatchdog } from '../../worker/watchdog.ts';
import { WATCHDOG_WORKFLOW_ID } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { withTimeSkipping } from './time-skipping.ts';

const ROUTING_KEY = 'abcdef0123456789abcdef0123456789';
const SETTINGS = { alertname: 'Watchdog', withinMs: 600_000, roles: ['ops'], feedEveryMs: 60_000 };

let bundle: string;
beforeAll(async () => {
  bundle = await workflowBundle();
});

describe('the watchdog, from the webhook to the pager', () => {
  it('pages by itself when the alert stays away, also where its process is another one by then', () =>
    withTimeSkipping(async (env) => {
      const pagerDuty = await startPagerDutySink();
      const heartbeats = await listenForJson({
        maxBodyBytes: 1_024,
        handle: () => ({ status: 200, body: 'OK' }),
        failure: () => 'no',
      });
      const pages = createPagesGateway(env.client, { taskQueue: 'firebreak', watchdog: SETTINGS });
      const edge = await createTestEdge({
        records: { listIncidents: async () => [] } as unknown as RecordsStore,
        pages,
        watchdogAlertname: 'Watchdog',
      });
      const watchdogArrives = async () => {
        const answer = await edge.app.inject({
          method: 'POST',
          url: '/webhooks/alertmanager',
          headers: { authorization: `Bearer ${ALERTMANAGER_TOKEN}`, 'content-type': 'application/json' },
          payload: deliveryOf([alertOf({ labels: { alertname: 'Watchdog', severity: 'none' } })]),
        });
        expect(answer.statusCode).toBe(200);
      };
      const worker = () =>
        Worker.create({
          connection: env.nativeConnection,
          taskQueue: 'firebreak',
          workflowBundle: { codePath: bundle },
          // Nothing is remembered from task to task; nor does the server keep a task for a process that is gone.
          maxCachedWorkflows: 0,
          activities: {
            ...createPagingActivities({
              roles: { ops: [{ type: 'pagerduty', routingKey: ROUTING_KEY, url: pagerDuty.url }] },
            }),
            ...createWatchdogActivities({ url: `${heartbeats.url}/ping/uuid` }),
          },
        });
      try {
        const first = await worker();
        await first.runUntil(async () => {
          await configureWatchdog(env.client, 'firebreak', SETTINGS);
          await watchdogArrives();
          await env.sleep('3m');
        });
        expect(heartbeats.requests()).toBeGreaterThanOrEqual(3);
        expect(pagerDuty.pages()).toEqual([]);
        // The process is replaced by another one, which knows nothing: the silence is counted on.
        const second = await worker();
        await second.runUntil(async () => {
          await configureWatchdog(env.client, 'firebreak', SETTINGS);
          await env.sleep('6m');
          expect(pagerDuty.pages()).toEqual([]);
          await env.sleep('2m');
          expect(pagerDuty.pages()).toMatchObject([{ severity: 'error', resolved: false }]);
          expect(pagerDuty.pages()[0]?.summary).toContain('Watchdog has not arrived for 10 minutes');
          // The switch is not fed while alerts do not arrive: it alarms too.
          const fed = heartbeats.requests();
          expect(fed).toBeLessThanOrEqual(11);
          await env.sleep('10m');
          expect(heartbeats.requests()).toBe(fed);
          await pages.tellWatchdogPages(pagerDuty.pages()[0]?.dedupKey ?? '', 'acknowledged');
          await env.sleep('1m');
          expect(pagerDuty.pages()).toMatchObject([{ acknowledged: true }]);
        });
        expect(edge.gateway.started).toEqual([]);
      } finally {
        await edge.app.close();
        await Promise.all([pagerDuty.close(), heartbeats.close()]);
      }
    }));

  it('starts with the first alert where it was not running', () =>
    withTimeSkipping(async (env) => {
      const pages = createPagesGateway(env.client, { taskQueue: 'firebreak', watchdog: SETTINGS });
      expect(await pages.describeWatchdog()).toBeUndefined();
      await pages.watchdogSeen(await env.currentTimeMs());
      const worker = await Worker.create({
        connection: env.nativeConnection,
        taskQueue: 'firebreak',
        workflowBundle: { codePath: bundle },
        activities: createWatchdogActivities(undefined),
      });
      await worker.runUntil(async () => {
        const view = await env.client.workflow
          .getHandle(WATCHDOG_WORKFLOW_ID)
          .query(messages.describeWatchdogQuery);
        expect(view.everSeen).toBe(true);
      });
    }));
});
