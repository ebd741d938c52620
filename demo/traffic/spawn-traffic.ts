import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TrafficChange, TrafficOptions } from './options.ts';
import type { RunningTraffic, TrafficAddress } from './start-traffic.ts';

/** Measured: 0.6 s. The rest is for a machine that starts everything at once. */
const START_TIMEOUT_MS = 30_000;
const STOP_GRACE_MS = 3_000;
const CONTROL_TIMEOUT_MS = 5_000;

/**
 * Like startTraffic, in a process of its own, so that a busy caller does not make the traffic uneven. It ends with the
 * caller, however that ends.
 * @param dir for its configuration and log: `traffic-<namespace>.json` and `.log`.
 */
export async function spawnTraffic(
  options: TrafficOptions,
  dir: string,
): Promise<RunningTraffic & { pid: number }> {
  await mkdir(dir, { recursive: true });
  const base = join(dir, `traffic-${options.namespace}`);
  await writeFile(`${base}.json`, JSON.stringify(options, null, 2));
  // The compiled package has .js files; a checkout runs the .ts files.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const program = fileURLToPath(new URL(`./main.${extension}`, import.meta.url));
  const log = openSync(`${base}.log`, 'a');
  const child = spawn(process.execPath, [program, '--config', `${base}.json`, '--exit-with-stdin'], {
    stdio: ['pipe', 'pipe', log],
  });
  closeSync(log);
  // A child that has ended breaks the pipe; its end is told by `exit`.
  child.stdin?.on('error', () => {});
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  };
  try {
    const address = await readAddress(child, `${base}.log`);
    return {
      ...address,
      pid: child.pid ?? 0,
      control: (change) => sendControl(address.controlUrl, change),
      stop,
    };
  } catch (error) {
    if (child.pid !== undefined) await stop();
    throw error;
  }
}

function readAddress(child: ChildProcess, logFile: string): Promise<TrafficAddress> {
  const { promise, resolve, reject } = Promise.withResolvers<TrafficAddress>();
  const failed = (how: string): void => reject(new Error(`the traffic process ${how}: see ${logFile}`));
  const timer = setTimeout(
    () => failed(`is not ready after ${START_TIMEOUT_MS / 1_000} s`),
    START_TIMEOUT_MS,
  );
  child.once('error', (error) => failed(`could not be started (${error.message})`));
  child.once('exit', (code, signal) => failed(`ended with ${code ?? signal} before it was ready`));
  if (child.stdout !== null) {
    createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line) as TrafficAddress));
  }
  return promise.finally(() => clearTimeout(timer));
}

async function sendControl(url: string, change: TrafficChange): Promise<void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(change),
    signal: AbortSignal.timeout(CONTROL_TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`the traffic process refused the change: ${await answer.text()}`);
}
