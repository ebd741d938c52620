import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { SignalingActivities } from '../activities/contract.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import { type Target, targetKey } from '../domain/target.ts';
import type { WatchSpec } from '../domain/target-command.ts';
import type { FirebreakConfig } from './config/schema.ts';
import { createSignalingActivities } from './signaling.ts';

/** A watch ends this long after nobody asks for it any more: taken out of the configuration, it is gone soon. */
const WATCH_FOR_MS = 30 * 60_000;
/** Three chances before it ends. */
const ASK_EVERY_MS = 10 * 60_000;

type CommandTarget = SignalingActivities['commandTarget'];

/** What each configured breaker asks of its target's actor, and why one cannot be asked. */
export function watchCommands(
  config: Pick<FirebreakConfig, 'clusters'>,
  runbooks: readonly CompiledRunbook[],
  nowMs: number,
): { commands: Parameters<CommandTarget>[0][]; problems: string[] } {
  const commands: Parameters<CommandTarget>[0][] = [];
  const problems: string[] = [];
  for (const [cluster, { breakers, namespaces }] of Object.entries(config.clusters)) {
    for (const breaker of breakers) {
      const { namespace, kind, name, fallback, window, recovery, minExposure } = breaker;
      const target: Target = { cluster, namespace, kind, name };
      const runbook = runbooks.find((loaded) => loaded.name === breaker.runbook);
      if (!Object.hasOwn(namespaces, namespace)) {
        problems.push(`${targetKey(target)}: namespace ${namespace} is not in the configuration`);
        continue;
      }
      if (runbook === undefined) {
        problems.push(`${targetKey(target)}: no runbook named ${breaker.runbook} is loaded`);
        continue;
      }
      const untilMs = nowMs + WATCH_FOR_MS;
      const spec: WatchSpec = {
        fallback,
        runbook: runbook.name,
        limits: { harmRate: breaker.harmRate, errorRate: breaker.errorRate, minExposure },
        windowMs: window,
        recoveryMs: recovery,
        metrics: runbook.metrics,
        untilMs,
      };
      const id = `watch-${targetKey(target)}-${untilMs}`;
      commands.push({
        target,
        command: { id, target, incidentId: 'watch', action: { kind: 'watch', spec } },
      });
    }
  }
  return { commands, problems };
}

/** Asks for every watch now, and again before it ends. @returns a stop. */
export function keepWatches(
  config: FirebreakConfig,
  parts: {
    client: Client;
    runbooks: () => readonly CompiledRunbook[];
    raiseAlert: SignalingActivities['raiseAlert'];
    logger: Logger;
  },
): () => Promise<void> {
  const { client, logger } = parts;
  const { commandTarget } = createSignalingActivities(client, config.temporal.taskQueue, parts.raiseAlert);
  let asking: Promise<void> = Promise.resolve();
  const ask = async () => {
    const { commands, problems } = watchCommands(config, parts.runbooks(), Date.now());
    for (const problem of problems) logger.error({ problem }, 'a breaker is not watched');
    for (const command of commands) {
      try {
        await commandTarget(command);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn({ target: targetKey(command.target), reason }, 'a breaker could not be watched yet');
      }
    }
  };
  const askAgain = () => {
    asking = asking.then(ask);
  };
  askAgain();
  const timer = setInterval(askAgain, ASK_EVERY_MS);
  return async () => {
    clearInterval(timer);
    await asking;
  };
}
