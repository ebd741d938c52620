import type { Client } from '@temporalio/client';
import type { WatchdogSettings, WatchdogView } from '../../domain/paging.ts';
import { pagingWorkflowId, WATCHDOG_KEY_PREFIX, WATCHDOG_WORKFLOW_ID } from '../../workflows/ids.ts';
import {
  describeWatchdogQuery,
  pagesAcknowledgedSignal,
  pagesUnacknowledgedSignal,
  WATCHDOG_WORKFLOW,
  watchdogSeenSignal,
} from '../../workflows/messages.ts';
import type { WatchdogInput } from '../../workflows/paging/watchdog.ts';
import { toGatewayError } from './temporal-gateway.ts';
import { GatewayError } from './types.ts';

/** PagerDuty waits 5 s for an answer, Alertmanager 10 s. */
const RPC_DEADLINE_MS = 3_500;

/** What the edges tell the watchdog of alerts, and those of its pages that belong to no incident. Throws GatewayError only. */
export interface PagesGateway {
  /** The always-firing alert has arrived. Resolves when that is durable; starts the watchdog where it does not run. */
  watchdogSeen(atMs: number): Promise<void>;
  /** Whether a key of a page is one of the watchdog's. */
  isWatchdogKey(key: string): boolean;
  /** Somebody acknowledged a page of the watchdog, or that has lapsed. */
  tellWatchdogPages(
    key: string,
    what: 'acknowledged' | 'unacknowledged',
  ): Promise<'signalled' | 'not-running'>;
  /** Undefined where none runs. */
  describeWatchdog(): Promise<WatchdogView | undefined>;
}

export function createPagesGateway(
  client: Client,
  options: { taskQueue: string; watchdog?: WatchdogSettings | undefined; rpcDeadlineMs?: number },
): PagesGateway {
  const rpcDeadlineMs = options.rpcDeadlineMs ?? RPC_DEADLINE_MS;
  async function call<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await client.connection.withDeadline(Date.now() + rpcDeadlineMs, run);
    } catch (error) {
      throw toGatewayError(what, error);
    }
  }
  async function unlessGone<T>(run: () => Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof GatewayError && error.problem === 'not-running') return undefined;
      throw error;
    }
  }

  return {
    async watchdogSeen(atMs) {
      const settings = options.watchdog;
      if (settings === undefined) return;
      await call('tell the watchdog', () =>
        client.workflow.signalWithStart(WATCHDOG_WORKFLOW, {
          workflowId: WATCHDOG_WORKFLOW_ID,
          taskQueue: options.taskQueue,
          args: [{ settings } satisfies WatchdogInput],
          signal: watchdogSeenSignal,
          signalArgs: [{ atMs }],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      );
    },

    isWatchdogKey: (key) => key.startsWith(WATCHDOG_KEY_PREFIX),

    async tellWatchdogPages(key, what) {
      const id = /^firebreak-watchdog-\d+/.exec(key)?.[0] ?? key;
      const handle = client.workflow.getHandle(pagingWorkflowId(id));
      const told = await unlessGone(() =>
        call('tell the pages of the watchdog', async () => {
          if (what === 'acknowledged') await handle.signal(pagesAcknowledgedSignal, { by: 'pagerduty' });
          else await handle.signal(pagesUnacknowledgedSignal);
          return 'signalled' as const;
        }),
      );
      return told ?? 'not-running';
    },

    describeWatchdog: () =>
      unlessGone(() =>
        call('read the watchdog', () =>
          client.workflow.getHandle(WATCHDOG_WORKFLOW_ID).query(describeWatchdogQuery),
        ),
      ),
  };
}
