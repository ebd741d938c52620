import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SupervisorCommand, SupervisorEvent } from './supervisor-messages.ts';

/** A server that has not ended this long after SIGTERM is killed. */
const DEFAULT_GRACE_MS = 8_000;

export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server that runs below the supervisor. */
export interface SupervisedProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Where this process's output starts in the log file, which is appended to. */
  readonly logOffset: number;
  readonly exited: Promise<ProcessExit>;
  isRunning(): boolean;
  /** Resolves only when the process ends without having been asked to: says how. */
  readonly endedByItself: Promise<string>;
  /** Sends the signal, SIGKILL after the grace, and resolves when the process has ended. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<ProcessExit>;
}

interface Entry {
  started: PromiseWithResolvers<number>;
  exited: PromiseWithResolvers<ProcessExit>;
  pid?: number;
  running: boolean;
}

/** Starts servers, each with its output in `<logDir>/<name>.log`, and leaves none behind when this process ends. */
export class Supervisor {
  readonly logDir: string;
  readonly #child: ChildProcess;
  readonly #entries = new Map<number, Entry>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #stopping = false;

  constructor(logDir: string) {
    mkdirSync(logDir, { recursive: true, mode: 0o700 });
    this.logDir = logDir;
    const log = openSync(join(logDir, 'supervisor.log'), 'a', 0o600);
    // The compiled package has .js files; a checkout runs the .ts files.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const program = fileURLToPath(new URL(`./supervisor-process.${extension}`, import.meta.url));
    const stdio = ['ignore', log, log, 'ipc'] as ('ignore' | number | 'ipc')[];
    this.#child = fork(program, [], { detached: true, stdio, execArgv: [] });
    closeSync(log);
    this.#child.on('message', (event: SupervisorEvent) => this.#take(event));
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    this.#child.once('exit', () => {
      this.#supervisorEnded();
      exited.resolve();
    });
    this.#child.once('error', () => {
      this.#supervisorEnded();
      exited.resolve();
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Starts an executable. Throws where it cannot be started at all. */
  async run(name: string, executable: string, args: readonly string[]): Promise<SupervisedProcess> {
    if (this.#stopping || !this.#child.connected) {
      throw new Error(`${name} was not started: the stack is stopping`);
    }
    const id = this.#nextId++;
    const logFile = join(this.logDir, `${name}.log`);
    const logOffset = await stat(logFile).then(
      (file) => file.size,
      () => 0,
    );
    const entry: Entry = {
      started: Promise.withResolvers(),
      exited: Promise.withResolvers(),
      running: true,
    };
    this.#entries.set(id, entry);
    this.#send({ type: 'run', id, name, executable, args: [...args], logFile });
    const pid = await entry.started.promise;
    let asked = false;
    const endedByItself = Promise.withResolvers<string>();
    entry.exited.promise.then(({ code, signal }) => {
      if (!asked && !this.#stopping)
        endedByItself.resolve(`${name} ended by itself with ${signal ?? code}: see ${logFile}`);
    });
    return {
      name,
      pid,
      logFile,
      logOffset,
      exited: entry.exited.promise,
      isRunning: () => entry.running,
      endedByItself: endedByItself.promise,
      stop: (signal = 'SIGTERM', graceMs = DEFAULT_GRACE_MS) => {
        asked = true;
        if (entry.running) this.#send({ type: 'stop', id, signal, graceMs });
        return entry.exited.promise;
      },
    };
  }

  /** Ends whatever still runs and the supervisor itself. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
  }

  #send(command: SupervisorCommand): void {
    this.#child.send(command, () => {
      // A channel that has closed is followed by the exit event, which settles every entry.
    });
  }

  #take(event: SupervisorEvent): void {
    const entry = this.#entries.get(event.id);
    if (!entry) return;
    if (event.type === 'started') {
      entry.pid = event.pid;
      entry.started.resolve(event.pid);
    } else if (event.type === 'failed') {
      entry.running = false;
      entry.started.reject(new Error(event.message));
    } else {
      entry.running = false;
      entry.exited.resolve({ code: event.code, signal: event.signal });
    }
  }

  /** Were the supervisor killed, its children would go on: end them by the process ids it told us. */
  #supervisorEnded(): void {
    for (const entry of this.#entries.values()) {
      entry.started.promise.catch(() => {});
      entry.started.reject(new Error('the supervisor process ended'));
      if (entry.running && entry.pid !== undefined && !this.#stopping) killQuietly(entry.pid);
      entry.running = false;
      entry.exited.resolve({ code: null, signal: 'SIGKILL' });
    }
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It had ended already.
  }
}
