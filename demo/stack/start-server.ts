import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { pollUntil } from './poll.ts';
import type { SupervisedProcess, Supervisor } from './supervisor.ts';

/** Somebody else may take a port between our look and the server's bind. More often than this it is something else. */
const PORT_ATTEMPTS = 4;
const LOG_TAIL_BYTES = 64 * 1024;
const LOG_TAIL_LINES = 8;
const BIND_FAILED = /address already in use/i;

export const LOOPBACK = '127.0.0.1';

export interface ServerStart {
  name: string;
  executable: string;
  /** How many ports the server listens on. */
  portCount: number;
  /** Gives the arguments for the ports; may write configuration that names them. */
  args: (ports: number[]) => Promise<string[]> | string[];
  /** Gives undefined or throws until the server answers. */
  ready: (ports: number[]) => Promise<true | undefined>;
  timeoutMs: number;
  /** Ports that must be used, where the server is started again: no other ones are tried. */
  fixedPorts?: number[];
}

export interface StartedServer {
  process: SupervisedProcess;
  ports: number[];
}

/**
 * Starts a server on ports of loopback that are free, and waits until it is ready. Tries other ports where one was
 * taken in between. Throws with the end of the server's log where it ends or does not get ready in time.
 */
export async function startServer(supervisor: Supervisor, server: ServerStart): Promise<StartedServer> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = server.fixedPorts ?? (await freePorts(server.portCount));
    const process = await supervisor.run(server.name, server.executable, await server.args(ports));
    try {
      await untilReady(server, process, ports);
      return { process, ports };
    } catch (error) {
      await process.stop('SIGKILL');
      const tail = await logTail(process);
      const portWasTaken = BIND_FAILED.test(tail) && server.fixedPorts === undefined;
      if (portWasTaken && attempt < PORT_ATTEMPTS) continue;
      throw new Error(`${(error as Error).message}. The end of ${process.logFile}:\n${lastLines(tail)}`);
    }
  }
}

async function untilReady(server: ServerStart, process: SupervisedProcess, ports: number[]): Promise<void> {
  const giveUp = new AbortController();
  const ended = process.exited.then(({ code, signal }) => {
    giveUp.abort();
    throw new Error(`${server.name} ended with ${signal ?? code} before it was ready`);
  });
  const ready = pollUntil(`${server.name} getting ready`, server.timeoutMs, () =>
    giveUp.signal.aborted ? Promise.resolve(true) : server.ready(ports),
  );
  ended.catch(() => {});
  await Promise.race([ready, ended]);
  // Another server of the same kind may have answered on a port that ours could not bind.
  if (!process.isRunning()) await ended;
}

/** Ports on loopback that nobody listens on right now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    // All are held until the last is known, so that they differ.
    return await Promise.all(
      servers.map(
        (server) =>
          new Promise<number>((resolve, reject) => {
            server.once('error', reject);
            server.listen(0, LOOPBACK, () => {
              const address = server.address();
              if (address && typeof address === 'object') resolve(address.port);
              else reject(new Error('no port from the system'));
            });
          }),
      ),
    );
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

async function logTail({ logFile, logOffset }: SupervisedProcess): Promise<string> {
  const file = await open(logFile);
  try {
    const { size } = await file.stat();
    const from = Math.max(logOffset, size - LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(Math.max(size - from, 0)),
      0,
      size - from,
      from,
    );
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function lastLines(text: string): string {
  const lines = text
    .replace(/[^\x20-\x7e\n]/g, '')
    .trim()
    .split('\n')
    .slice(-LOG_TAIL_LINES);
  return lines.map((line) => `    ${line}`).join('\n');
}
