import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import type { TemporalDescription } from './stack-description.ts';
import type { ServerStart } from './start-server.ts';
import { LOOPBACK, startServer } from './start-server.ts';
import type { SupervisedProcess, Supervisor } from './supervisor.ts';

/** Measured: 2 to 5 s. */
const START_TIMEOUT_MS = 60_000;
const REQUEST_TIMEOUT_MS = 5_000;
const NAMESPACE = 'default';

export type SearchAttributeType = 'Text' | 'Keyword' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

export interface TemporalOptions {
  supervisor: Supervisor;
  executable: string;
  dir: string;
  /** Registered at start; those that are there already stay. */
  searchAttributes?: { name: string; type: SearchAttributeType }[];
  /** Dynamic configuration by key; values become JSON. */
  dynamicConfig?: Record<string, unknown>;
  /** URL of a codec server for the web UI. */
  uiCodecEndpoint?: string;
}

export interface RunningTemporal extends TemporalDescription {
  readonly description: TemporalDescription;
  readonly process: SupervisedProcess;
  /** Ends the server; its database stays. SIGKILL for a crash. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same ports with the same database, and waits until it is ready. */
  start(): Promise<void>;
}

/** Starts Temporal's development server with its state in a file, and waits until namespace and attributes are there. */
export async function startTemporal(options: TemporalOptions): Promise<RunningTemporal> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const dbFile = join(options.dir, 'temporal.db');
  const server = serverStart(options, dbFile);
  let running = await startServer(options.supervisor, server);
  const [frontend, ui] = running.ports;
  const description: TemporalDescription = {
    address: `${LOOPBACK}:${frontend}`,
    namespace: NAMESPACE,
    uiUrl: `http://${LOOPBACK}:${ui}`,
    dbFile,
  };
  return {
    ...description,
    description,
    get process() {
      return running.process;
    },
    stop: async (signal) => {
      await running.process.stop(signal);
    },
    start: async () => {
      if (running.process.isRunning()) return;
      running = await startServer(options.supervisor, { ...server, fixedPorts: running.ports });
    },
  };
}

function serverStart(options: TemporalOptions, dbFile: string): ServerStart {
  const attributes = options.searchAttributes ?? [];
  return {
    name: 'temporal',
    executable: options.executable,
    portCount: 4,
    args: ([frontend, ui, http, metrics]) => [
      'server',
      'start-dev',
      `--ip=${LOOPBACK}`,
      `--port=${frontend}`,
      `--ui-port=${ui}`,
      `--http-port=${http}`,
      `--metrics-port=${metrics}`,
      `--db-filename=${dbFile}`,
      '--ui-disable-news-fetch',
      '--log-level=warn',
      ...(options.uiCodecEndpoint ? [`--ui-codec-endpoint=${options.uiCodecEndpoint}`] : []),
      ...attributes.flatMap(({ name, type }) => ['--search-attribute', `${name}=${type}`]),
      ...Object.entries(options.dynamicConfig ?? {}).flatMap(([key, value]) => [
        '--dynamic-config-value',
        `${key}=${JSON.stringify(value)}`,
      ]),
    ],
    ready: async ([frontend, ui]) => {
      const names = attributes.map(({ name }) => name);
      if (!(await frontendIsReady(`${LOOPBACK}:${frontend}`, names))) return undefined;
      const page = await fetch(`http://${LOOPBACK}:${ui}`, {
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      await page.body?.cancel();
      return page.ok || undefined;
    },
    timeoutMs: START_TIMEOUT_MS,
  };
}

/** Ready means that a workflow with the search attributes would be accepted, not only that the port answers. */
async function frontendIsReady(address: string, attributes: string[]): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: REQUEST_TIMEOUT_MS });
  try {
    const deadline = Date.now() + REQUEST_TIMEOUT_MS;
    return await connection.withDeadline(deadline, async () => {
      await connection.workflowService.describeNamespace({ namespace: NAMESPACE });
      const known = await connection.operatorService.listSearchAttributes({ namespace: NAMESPACE });
      return attributes.every((name) => name in (known.customAttributes ?? {}));
    });
  } finally {
    await connection.close();
  }
}
