import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { STACK_PARTS } from '../parts/resolve-parts.ts';
import { startAlertmanager } from './alertmanager.ts';
import type { AttachedStack } from './attach-stack.ts';
import { attachStack } from './attach-stack.ts';
import { claimDirectory } from './claim-directory.ts';
import type { KubeUser } from './kube.ts';
import { startKube } from './kube.ts';
import { startPrometheus } from './prometheus.ts';
import type { StackDescription } from './stack-description.ts';
import { Supervisor } from './supervisor.ts';
import type { RunningTemporal, TemporalOptions } from './temporal.ts';
import { startTemporal } from './temporal.ts';

/** What a server of the stack is doing. */
export interface StackEvent {
  server: StackServer;
  state: 'starting' | 'ready' | 'failed' | 'stopping' | 'stopped';
  detail: string;
}

export type StackServer = 'kube' | 'temporal' | 'prometheus' | 'alertmanager';

/** Paths of executables, as resolveParts(STACK_PARTS) gives them. */
export type StackParts = Record<(typeof STACK_PARTS)[number], string>;

export interface StartStackOptions {
  parts: StackParts;
  /** All files of the stack: data, logs, configuration, keys. */
  dir: string;
  report?: (event: StackEvent) => void;
  /** Go on with the data that `dir` has; otherwise it is removed first. */
  keepData?: boolean;
  /** People and programs who may call the Kubernetes API, besides the administrator. */
  users?: KubeUser[];
  controllers?: string[];
  /** Keep a log of what service accounts ask of the Kubernetes API. */
  audit?: boolean;
  temporal?: Pick<TemporalOptions, 'searchAttributes' | 'dynamicConfig' | 'uiCodecEndpoint'>;
  prometheus?: { scrapeInterval?: string; evaluationInterval?: string; resendDelay?: string };
}

/** A stack that this process started and that ends with it. */
export interface LocalStack extends AttachedStack {
  readonly temporal: RunningTemporal;
  /** Resolves when a server ends that nobody stopped; says which, and where its log is. */
  readonly broken: Promise<string>;
  /** Stops every server and waits until all have ended. May be called twice. */
  stop(): Promise<void>;
}

const DATA_FOLDERS = ['kube', 'temporal', 'prometheus', 'alertmanager', 'logs'];

/**
 * Starts the real servers on loopback: Kubernetes (etcd, API server, controllers), Temporal, Prometheus and
 * Alertmanager, side by side, on free ports. Resolves when each is ready; where one fails, the others are stopped and
 * the first error is thrown. Whatever happens to this process, SIGKILL included, no server outlives it.
 */
export async function startStack(options: StartStackOptions): Promise<LocalStack> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const claim = await claimDirectory(dir);
  if (!options.keepData) {
    for (const folder of DATA_FOLDERS) await rm(join(dir, folder), { recursive: true, force: true });
  }
  const supervisor = new Supervisor(join(dir, 'logs'));
  try {
    await claim.hold(supervisor.pid);
    return await startServers(options, dir, supervisor, claim.release);
  } catch (error) {
    await supervisor.stop();
    await claim.release();
    throw error;
  }
}

async function startServers(
  options: StartStackOptions,
  dir: string,
  supervisor: Supervisor,
  release: () => Promise<void>,
): Promise<LocalStack> {
  const { parts, report } = options;
  const told = <T>(server: StackServer, start: () => Promise<T>) => tell(report, server, start);
  const [kube, temporal, { prometheus, alertmanager }] = await Promise.all([
    told('kube', () =>
      startKube({
        supervisor,
        parts,
        dir: join(dir, 'kube'),
        users: options.users,
        controllers: options.controllers,
        audit: options.audit,
      }),
    ),
    told('temporal', () =>
      startTemporal({
        ...options.temporal,
        supervisor,
        executable: parts.temporal,
        dir: join(dir, 'temporal'),
      }),
    ),
    startMonitoring(options, dir, supervisor, told),
  ]);
  const servers = [...kube.processes, prometheus.process, alertmanager.process];
  const description = (): StackDescription => ({
    dir,
    kube: kube.description,
    temporal: temporal.description,
    prometheus: prometheus.description,
    alertmanager: alertmanager.description,
    processes: [
      // Temporal's process changes when it is started again.
      ...[...servers, temporal.process].map(({ name, pid }) => ({ name, pid })),
      { name: 'supervisor', pid: supervisor.pid ?? 0 },
    ],
  });
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    const stopping = <T>(server: StackServer, end: () => Promise<T>) => tell(report, server, end, 'stop');
    // Who calls others stops before those it calls; the three groups do not know each other.
    await Promise.all([
      stopping('kube', kube.stop),
      stopping('temporal', temporal.stop),
      stopping('prometheus', prometheus.process.stop).then(() =>
        stopping('alertmanager', alertmanager.process.stop),
      ),
    ]);
    await supervisor.stop();
    await release();
  };
  return {
    ...attachStack(description()),
    temporal,
    broken: Promise.race([...servers, temporal.process].map((server) => server.endedByItself)),
    describe: description,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

async function startMonitoring(
  { parts, prometheus: intervals }: StartStackOptions,
  dir: string,
  supervisor: Supervisor,
  told: <T>(server: StackServer, start: () => Promise<T>) => Promise<T>,
) {
  const alertmanager = await told('alertmanager', () =>
    startAlertmanager({ supervisor, parts, dir: join(dir, 'alertmanager') }),
  );
  const prometheus = await told('prometheus', () =>
    startPrometheus({
      ...intervals,
      supervisor,
      parts,
      dir: join(dir, 'prometheus'),
      alertmanager: new URL(alertmanager.description.url).host,
    }),
  );
  return { prometheus, alertmanager };
}

async function tell<T>(
  report: StartStackOptions['report'],
  server: StackServer,
  work: () => Promise<T>,
  what: 'start' | 'stop' = 'start',
): Promise<T> {
  const startedAt = performance.now();
  report?.({ server, state: what === 'start' ? 'starting' : 'stopping', detail: '' });
  try {
    const result = await work();
    const detail = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
    report?.({ server, state: what === 'start' ? 'ready' : 'stopped', detail });
    return result;
  } catch (error) {
    report?.({ server, state: 'failed', detail: (error as Error).message.split('\n')[0] ?? '' });
    throw error;
  }
}
