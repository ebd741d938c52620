import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from 'pino';
import type { WatchdogSettings } from '../domain/paging.ts';
import { WATCHDOG_WORKFLOW_ID } from '../workflows/ids.ts';
import { WATCHDOG_WORKFLOW, watchdogConfiguredSignal } from '../workflows/messages.ts';
import type { WatchdogInput } from '../workflows/paging/watchdog.ts';
import type { FirebreakConfig } from './config/schema.ts';

/** Until Temporal has taken it: it may come up after this process. */
const TRY_AGAIN_MS = 5_000;
/** Asked for again: should somebody have ended the workflow by hand, it is back within this time. */
const ASK_EVERY_MS = 10 * 60_000;

export function watchdogSettings(config: Pick<FirebreakConfig, 'paging'>): WatchdogSettings | undefined {
  const { watchdog } = config.paging;
  if (watchdog === undefined) return undefined;
  return {
    alertname: watchdog.alertname,
    withinMs: watchdog.within,
    roles: [...watchdog.roles],
    ...(watchdog.policy !== undefined && { policy: watchdog.policy }),
    ...(watchdog.deadMansSwitch && { feedEveryMs: watchdog.deadMansSwitch.every }),
  };
}

/** Starts the watchdog of alerts with what the configuration says, or ends one that it no longer has. */
export async function configureWatchdog(
  client: Client,
  taskQueue: string,
  settings: WatchdogSettings | undefined,
): Promise<void> {
  if (settings === undefined) {
    try {
      await client.workflow.getHandle(WATCHDOG_WORKFLOW_ID).signal(watchdogConfiguredSignal, {});
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
    return;
  }
  await client.workflow.signalWithStart(WATCHDOG_WORKFLOW, {
    workflowId: WATCHDOG_WORKFLOW_ID,
    taskQueue,
    args: [{ settings } satisfies WatchdogInput],
    signal: watchdogConfiguredSignal,
    signalArgs: [{ settings }],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
}

/** Sees to it that the watchdog runs as configured. @returns a stop. */
export function keepWatchdog(
  config: FirebreakConfig,
  parts: { client: Client; logger: Logger },
): () => Promise<void> {
  const settings = watchdogSettings(config);
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let asking: Promise<void> = Promise.resolve();
  const ask = async () => {
    let nextMs = ASK_EVERY_MS;
    try {
      await configureWatchdog(parts.client, config.temporal.taskQueue, settings);
      if (settings === undefined) return;
    } catch (error) {
      nextMs = TRY_AGAIN_MS;
      parts.logger.warn(
        { reason: (error as Error).message },
        'the watchdog of alerts could not be started yet',
      );
    }
    if (stopped) return;
    timer = setTimeout(() => {
      asking = ask();
    }, nextMs);
  };
  asking = ask();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await asking;
    clearTimeout(timer);
  };
}
