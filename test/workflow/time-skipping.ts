import { TestWorkflowEnvironment } from '@temporalio/testing';
import { Runtime } from '@temporalio/worker';
import { inject } from 'vitest';
import { startTurns } from './turns.ts';

/**
 * What the time-skipping server says of a task that it fails for good: a completion that cancels an activity which has ended
 * meanwhile (which turns.ts all but prevents), or a timer that has fired. Real servers drop such a cancellation. This one
 * answers once, schedules the task never again, and the workflow stands still.
 */
const LOST_TASK = /ACTIVITY_UNKNOWN|invalid history builder state/;

let onLost: ((what: string) => void) | undefined;
let runtimeInstalled = false;

/** The runtime is one a process: its log is where a lost task is told. */
function installRuntime(): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  const quiet = () => undefined;
  // What the native part says comes by this one method.
  const watch = (level: string, message: string, meta?: object) => {
    if (level !== 'WARN' && level !== 'ERROR') return;
    const what = LOST_TASK.exec(`${message} ${JSON.stringify(meta ?? {})}`)?.[0];
    if (what !== undefined) onLost?.(what);
  };
  Runtime.install({
    logger: { log: watch, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: console.error },
    telemetryOptions: { logging: { forward: {} } },
  });
}

/** Work that fails as soon as the server has lost a task, in place of waiting for ever: vitest.config.ts begins such a test again. */
export type OrLost = <T>(work: Promise<T>) => Promise<T>;

/**
 * Runs a test against a time-skipping server of its own: what one test leaves running would hold up the skipped time of
 * the next one. A server starts in half a second.
 */
export async function withTimeSkipping<T>(
  run: (env: TestWorkflowEnvironment, orLost: OrLost) => Promise<T>,
): Promise<T> {
  installRuntime();
  let address = '';
  const turns = await startTurns(() => address);
  const env = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: inject('testServer') } },
    plugins: [
      {
        name: 'turns',
        configureNativeConnection(options) {
          address = options.address ?? '';
          return { ...options, address: turns.address };
        },
      },
    ],
  });
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => undefined);
  onLost = (what) => {
    // The test that is left may be calling, and calls again: its calls end with the server, the connection with the process.
    env.connection.close = async () => undefined;
    reject(new Error(`the time-skipping server lost a task (${what})`));
  };
  try {
    return await run(env, (work) => Promise.race([work, lost]));
  } finally {
    onLost = undefined;
    await env.teardown();
    await turns.close();
  }
}
