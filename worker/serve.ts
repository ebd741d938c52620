/** One process of Firebreak: the roles asked for, composed from the configuration. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DataConverter } from '@temporalio/common';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pino, { type Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createVault } from '../activities/evidence/vault.ts';
import { openRecords } from '../activities/records/open.ts';
import type { RecordsStore } from '../activities/records/store.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import type { Target } from '../domain/target.ts';
import type { RunbookSource } from '../runbooks/live.ts';
import { createRaiseAlert } from '../webhooks/alertmanager/raise.ts';
import { createDecisionSigner } from '../webhooks/decisions/sign.ts';
import { createPagesGateway, type PagesGateway } from '../webhooks/gateway/pages-gateway.ts';
import { createTargetGateway, type TargetGateway } from '../webhooks/gateway/target-gateway.ts';
import { createTemporalGateway } from '../webhooks/gateway/temporal-gateway.ts';
import { createPagerDutyUsers } from '../webhooks/pagerduty/users.ts';
import { PageAttempts } from '../webhooks/paging-metrics.ts';
import { createWebhooks } from '../webhooks/server.ts';
import { clusterTaskQueue } from '../workflows/ids.ts';
import { type OpenAccess, openAccess } from './access.ts';
import { createClusterActivities, createMainActivities } from './activities.ts';
import { workflowBundle } from './bundle.ts';
import { lazyClient, type TemporalTarget, temporalTarget } from './clients.ts';
import { createDataConverter } from './codec/data-converter.ts';
import type { PayloadKey } from './codec/encryption-codec.ts';
import { loadConfig, resolveSecret } from './config/load.ts';
import type { FirebreakConfig } from './config/schema.ts';
import { keepEmergencies } from './emergencies.ts';
import { evidenceKeysCheck, keepRetention } from './evidence.ts';
import { type Keys, loadOrCreateEvidenceKeys, loadOrCreateKeys } from './keys.ts';
import { openRunbooks } from './runbooks.ts';
import { registerSearchAttributes } from './search-attributes.ts';
import { createSignalingActivities } from './signaling.ts';
import { keepWatchdog, watchdogSettings } from './watchdog.ts';
import { keepWatches } from './watched-breakers.ts';

const ROLES = ['webhooks', 'worker', 'cluster'] as const;
export type Role = (typeof ROLES)[number];

export interface ServeOptions {
  config: string;
  /** Absent: every role. `cluster` polls cluster queues only. */
  roles?: Role[];
  /** Absent: every configured cluster. */
  clusters?: string[];
  insecureNoAuth?: boolean;
  env: Record<string, string | undefined>;
}

export interface Serving {
  /** Base URL of the HTTP server; absent without the webhooks role. */
  url?: string;
  /** Looks now whether the access file and runbook files have changed, and loads them where they can be used. */
  reload(): Promise<void>;
  /** Rejects when a part ends that should not. */
  failed: Promise<never>;
  stop(): Promise<void>;
}

/** Between two attempts to reach a Temporal that is away. */
const RECONNECT_EVERY_MS = 1_000;
/** Activities in flight get this long when the process is asked to stop. */
const SHUTDOWN_GRACE_MS = 10_000;
/** Long waits (rollouts) hold a slot each; more incidents than this at once wait their turn. */
const MAX_CONCURRENT_ACTIVITIES = 200;

/** Starts the roles. @throws Error with everything that is wrong with configuration or runbooks, before anything starts. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const config = loadConfig(options.config);
  refuseUnknownClusters(options, config);
  const roles = new Set<Role>(options.roles ?? ROLES);
  const logger = pino(
    { level: config.log.level, base: { service: 'firebreak' } },
    pino.destination({ dest: 2, sync: false }),
  );
  const secret = (reference: string) => resolveSecret(reference, options.env);
  const takesAlerts = roles.has('webhooks');
  const access = takesAlerts ? openAccess(config, { secret, logger }) : undefined;
  const watch = await openRunbooks(config, {
    takesAlerts,
    configFile: options.config,
    logger,
    ...(access ? { access: access.config } : {}),
  }).catch(async (error: unknown) => {
    await access?.stop();
    throw error;
  });
  const runbooks: RunbookSource = watch;
  // Only what is loaded now: whoever takes a runbook away takes back what it would have approved.
  const knownRunbook = (hash: string) => runbooks.current().runbooks.find((runbook) => runbook.hash === hash);
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const keys = await loadOrCreateKeys(config.dataDir);
  const evidenceKeys = await loadOrCreateEvidenceKeys(config.dataDir);
  const target = temporalTarget(config.temporal, options.env);
  const dataConverter = createDataConverter(config.temporal.encryption ? keys.payload : undefined);
  const client = lazyClient(target, dataConverter);
  const stops: (() => Promise<unknown>)[] = [];
  const failures: Promise<never>[] = [];
  stops.push(() => watch.stop());
  if (access) stops.push(() => access.stop());

  const needsRecords = roles.has('webhooks') || roles.has('worker');
  const records = needsRecords ? await openStore(config, secret) : undefined;
  if (records) stops.push(() => records.close());

  const gateway = createTemporalGateway(client, { taskQueue: config.temporal.taskQueue });
  const raiseAlert = createRaiseAlert({
    gateway,
    runbooks: () => runbooks.current().runbooks,
    clusters: config.clusters,
  });
  const workerState = new WorkerState();
  const pageAttempts = new PageAttempts();
  if (roles.has('worker') || roles.has('cluster')) {
    const clusterNames = options.clusters ?? Object.keys(config.clusters);
    const run = runWorkers({
      config,
      roles,
      clusterNames,
      keys,
      target,
      dataConverter,
      secret,
      records,
      evidenceKeys,
      client,
      logger,
      state: workerState,
      knownRunbook,
      raiseAlert,
      pageAttempts,
    });
    stops.push(() => run.stop());
    failures.push(run.failed);
  }

  if (roles.has('worker')) {
    const current = () => runbooks.current().runbooks;
    stops.push(keepWatchdog(config, { client, logger }));
    if (records) stops.push(keepRetention(records.evidence, { logger }));
    stops.push(keepWatches(config, { client, runbooks: current, raiseAlert, logger }));
  }

  if (roles.has('cluster')) {
    const clusterNames = options.clusters ?? Object.keys(config.clusters);
    const { commandTarget } = createSignalingActivities(client, config.temporal.taskQueue, raiseAlert);
    const adoptBreaker = (of: Target, id: string) =>
      commandTarget({
        target: of,
        command: { id: `adopt-${id}`, target: of, incidentId: 'emergency', action: { kind: 'adopt' } },
      });
    stops.push(keepEmergencies(config, { clusterNames, raiseAlert, adoptBreaker, logger }));
  }

  let url: string | undefined;
  if (access && records) {
    try {
      const app = await startWebhooks(config, options, {
        access,
        keys,
        records,
        evidenceKeys,
        logger,
        secret,
        gateway,
        workerState,
        hasWorker: roles.has('worker'),
        targets: createTargetGateway(client, { taskQueue: config.temporal.taskQueue }),
        pages: createPagesGateway(client, {
          taskQueue: config.temporal.taskQueue,
          watchdog: watchdogSettings(config),
        }),
        pageAttempts,
        runbooks,
      });
      url = app.url;
      stops.push(app.stop);
    } catch (error) {
      for (const stop of stops.reverse()) await stop();
      throw error;
    }
  }
  logger.info(
    { url, roles: [...roles], temporal: target.address, namespace: target.namespace },
    'firebreak is up',
  );

  return {
    url,
    // People first: runbooks are checked against them.
    reload: async () => {
      await access?.reload();
      await watch.reload();
    },
    failed: Promise.race([...failures, new Promise<never>(() => undefined)]),
    async stop() {
      for (const stop of stops.reverse()) await stop();
      await client.connection.close();
      logger.info('firebreak has stopped');
    },
  };
}

/** A worker would take the tasks of a cluster that it cannot reach, and fail each for good. */
function refuseUnknownClusters({ clusters = [], config: file }: ServeOptions, config: FirebreakConfig): void {
  const unknown = clusters.filter((name) => !Object.hasOwn(config.clusters, name));
  if (unknown.length === 0) return;
  const known = Object.keys(config.clusters).join(', ') || 'none';
  throw new Error(
    `${file} has no cluster ${unknown.join(', ')} (it has: ${known}): add it under clusters, or name another`,
  );
}

function openStore(config: FirebreakConfig, secret: (reference: string) => string): Promise<RecordsStore> {
  const { postgresUrl } = config.records;
  return openRecords({
    postgresUrl: postgresUrl === undefined ? undefined : secret(postgresUrl),
    dir: path.join(config.dataDir, 'records'),
  });
}

async function startWebhooks(
  config: FirebreakConfig,
  options: ServeOptions,
  parts: {
    access: OpenAccess;
    keys: Keys;
    records: RecordsStore;
    evidenceKeys: PayloadKey[];
    logger: Logger;
    secret: (reference: string) => string;
    gateway: ReturnType<typeof createTemporalGateway>;
    targets: TargetGateway;
    pages: PagesGateway;
    pageAttempts: PageAttempts;
    workerState: WorkerState;
    hasWorker: boolean;
    runbooks: RunbookSource;
  },
): Promise<{ url: string; stop: () => Promise<void> }> {
  const { secret } = parts;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'firebreak_' });
  const { alertmanager, host, port, publicUrl } = config.server;
  const { slack } = config.chat;
  const vault = createVault(parts.records.evidence, parts.evidenceKeys);
  const app = createWebhooks({
    server: { host, publicUrl },
    alertmanager: {
      bearerTokens: alertmanager.bearerTokens.map(secret),
      basic: alertmanager.basic.map(({ username, password }) => ({ username, password: secret(password) })),
      trustedProxyCertHeader: alertmanager.trustedProxyCertHeader,
    },
    insecureNoAuth: options.insecureNoAuth,
    clusters: config.clusters,
    runbooks: parts.runbooks,
    gateway: parts.gateway,
    targets: parts.targets,
    pages: parts.pages,
    pageAttempts: parts.hasWorker ? parts.pageAttempts : undefined,
    watchdogAlertname: config.paging.watchdog?.alertname,
    pagerDuty: config.paging.pagerduty && {
      webhookSecrets: config.paging.pagerduty.webhookSecrets.map(secret),
      users: pagerDutyUsers(config, secret),
    },
    access: parts.access.access,
    login: config.access.oidc,
    signer: createDecisionSigner(parts.keys.edge),
    records: parts.records,
    vault,
    logger: parts.logger,
    registry,
    slack: slack && {
      botToken: secret(slack.botToken),
      signingSecrets: slack.signingSecrets.map(secret),
      appToken: slack.appToken === undefined ? undefined : secret(slack.appToken),
      teamId: slack.teamId,
      apiUrl: slack.apiUrl,
    },
    checks: [
      parts.access.check,
      evidenceKeysCheck(vault),
      ...(parts.hasWorker ? [{ name: 'worker', check: async () => parts.workerState.problems() }] : []),
    ],
  });
  const url = await app.listen({ host, port });
  return { url, stop: () => app.close() };
}

function pagerDutyUsers(config: FirebreakConfig, secret: (reference: string) => string) {
  const { pagerduty } = config.access;
  return pagerduty && createPagerDutyUsers({ url: pagerduty.url, apiToken: secret(pagerduty.apiToken) });
}

/** Whether the workers of this process poll, and if not, why or what comes first. */
class WorkerState {
  private problem: string | undefined = 'the worker has not begun';

  up(): void {
    this.problem = undefined;
  }

  down(problem: string): void {
    this.problem = problem;
  }

  problems(): string[] {
    return this.problem === undefined ? [] : [this.problem];
  }
}

interface WorkerParts {
  config: FirebreakConfig;
  roles: ReadonlySet<Role>;
  clusterNames: readonly string[];
  keys: Keys;
  target: TemporalTarget;
  dataConverter: DataConverter;
  secret: (reference: string) => string;
  records: RecordsStore | undefined;
  evidenceKeys: PayloadKey[];
  client: ReturnType<typeof lazyClient>;
  logger: Logger;
  state: WorkerState;
  knownRunbook: (hash: string) => CompiledRunbook | undefined;
  raiseAlert: ReturnType<typeof createRaiseAlert>;
  pageAttempts: PageAttempts;
}

/** Connects to Temporal, waiting for one that is away, and runs this process's workers until stopped. */
function runWorkers(parts: WorkerParts): { failed: Promise<never>; stop: () => Promise<void> } {
  installRuntime(parts.logger);
  const stopping = new AbortController();
  let workers: Worker[] = [];
  const { state } = parts;
  const run = (async () => {
    state.down('the workflow bundle is being built');
    const bundle = await workflowBundle(path.join(parts.config.dataDir, 'bundle'));
    while (!stopping.signal.aborted) {
      const connection = await connect(parts, stopping.signal);
      if (!connection) return;
      try {
        state.down('Temporal is being asked for its search attributes');
        await announceSearchAttributes(parts);
        state.down('the worker is being started');
        workers = await createWorkers(parts, connection, bundle);
        state.up();
        if (stopping.signal.aborted) for (const worker of workers) worker.shutdown();
        await Promise.all(workers.map((worker) => worker.run()));
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        state.down(`the worker stopped: ${message}`);
        parts.logger.error({ reason: message }, 'a worker stopped; it is started again');
        for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
        await pause(RECONNECT_EVERY_MS, stopping.signal);
      } finally {
        workers = [];
        await connection.close().catch(() => undefined);
      }
    }
  })();
  return {
    failed: run.then(() => new Promise<never>(() => undefined)),
    async stop() {
      stopping.abort();
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await run;
    },
  };
}

async function connect(parts: WorkerParts, signal: AbortSignal): Promise<NativeConnection | undefined> {
  parts.state.down(`the worker has not connected to Temporal at ${parts.target.address} yet`);
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await NativeConnection.connect({
        address: parts.target.address,
        tls: parts.target.tls as never,
        apiKey: parts.target.apiKey,
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      parts.state.down(`Temporal at ${parts.target.address} does not answer: ${message}`);
      if (attempt === 1)
        parts.logger.warn({ address: parts.target.address }, 'Temporal does not answer yet; trying on');
      await pause(RECONNECT_EVERY_MS, signal);
    }
  }
  return undefined;
}

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  // An abort is no failure: whoever waits looks at the signal next.
  return delay(durationMs, undefined, { signal }).catch(() => undefined);
}

async function announceSearchAttributes(parts: WorkerParts): Promise<void> {
  const { missing, problem } = await registerSearchAttributes(parts.client);
  if (missing.length > 0)
    parts.logger.error({ missing, problem }, 'search attributes are missing: incidents cannot start');
}

async function createWorkers(
  parts: WorkerParts,
  connection: NativeConnection,
  bundle: string,
): Promise<Worker[]> {
  const { config, roles, records, secret } = parts;
  const common = {
    connection,
    namespace: parts.target.namespace,
    dataConverter: parts.dataConverter,
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    maxConcurrentActivityTaskExecutions: MAX_CONCURRENT_ACTIVITIES,
  };
  const workers: Worker[] = [];
  if (roles.has('worker') && records) {
    workers.push(
      await Worker.create({
        ...common,
        taskQueue: config.temporal.taskQueue,
        workflowBundle: { codePath: bundle },
        activities: createMainActivities(config, {
          secret,
          records,
          evidenceKeys: parts.evidenceKeys,
          client: parts.client,
          raiseAlert: parts.raiseAlert,
          onPageAttempt: parts.pageAttempts.count,
        }),
      }),
    );
  }
  if (roles.has('cluster')) {
    for (const name of parts.clusterNames) {
      workers.push(
        await Worker.create({
          ...common,
          taskQueue: clusterTaskQueue(name),
          activities: createClusterActivities(config, [name], {
            secret,
            trustedEdgeKeys: parts.keys.trustedEdges,
            knownRunbook: parts.knownRunbook,
          }),
        }),
      );
    }
  }
  return workers;
}

let runtimeInstalled = false;

/** Temporal's own log lines go through our logger; the runtime is one a process. */
function installRuntime(logger: Logger): void {
  if (runtimeInstalled) return;
  runtimeInstalled = true;
  const log = (level: 'trace' | 'debug' | 'info' | 'warn' | 'error') => (message: string, meta?: object) =>
    logger[level]({ ...meta }, message);
  Runtime.install({
    logger: {
      log: (level, message, meta) => log(level.toLowerCase() as 'info')(message, meta),
      trace: log('trace'),
      debug: log('debug'),
      info: log('info'),
      warn: log('warn'),
      error: log('error'),
    },
    // What the native part says (retries, above all) is printed as text otherwise, past our logger.
    telemetryOptions: { logging: { forward: {} } },
    // Signals are ours to handle: the server stops before the workers.
    shutdownSignals: [],
  });
}
