/**
 * The process between us and the servers. It is their parent, and ends them when its IPC channel closes: the kernel
 * closes the channel however we end, SIGKILL included, so that no server is left behind. It runs in a session of its
 * own: Ctrl-C on the terminal reaches us, and we stop the servers in order.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { SupervisorCommand, SupervisorEvent } from './supervisor-messages.ts';

/** For servers whose owner died: they have nobody left to serve. */
const ORPHAN_GRACE_MS = 3_000;
/** Variables that the servers or kubectl would read as configuration. */
const FOREIGN_CONFIGURATION = /^(ETCD_|TEMPORAL_|KUBECONFIG$|KUBERNETES_)/;

const children = new Map<number, ChildProcess>();
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !FOREIGN_CONFIGURATION.test(name)),
);
let ending = false;

process.on('message', (command: SupervisorCommand) => {
  if (command.type === 'run') run(command);
  else stop(command.id, command.signal, command.graceMs);
});
process.on('disconnect', end);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);

function send(event: SupervisorEvent): void {
  // The channel may close at any time; 'disconnect' then does what is to be done.
  if (process.connected) process.send?.(event, () => {});
}

function run({ id, executable, args, logFile }: SupervisorCommand & { type: 'run' }): void {
  if (ending) return;
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(executable, args, { stdio: ['ignore', log, log], env: environment });
  closeSync(log);
  child.on('error', (error) => send({ type: 'failed', id, message: error.message }));
  child.on('exit', (code, signal) => {
    children.delete(id);
    send({ type: 'exited', id, code, signal });
    if (ending && children.size === 0) process.exit(0);
  });
  if (child.pid === undefined) return;
  children.set(id, child);
  send({ type: 'started', id, pid: child.pid });
}

function stop(id: number, signal: NodeJS.Signals, graceMs: number): void {
  const child = children.get(id);
  if (!child) return;
  child.kill(signal);
  // Not by pid: a ChildProcess that has exited is not signalled, so no other process is ever hit.
  setTimeout(() => child.kill('SIGKILL'), graceMs).unref();
}

function end(): void {
  if (ending) return;
  ending = true;
  if (children.size === 0) process.exit(0);
  for (const id of children.keys()) stop(id, 'SIGTERM', ORPHAN_GRACE_MS);
}
