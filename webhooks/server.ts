import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { Registry } from 'prom-client';
import type { Vault } from '../activities/evidence/vault.ts';
import type { RecordsStore } from '../activities/records/store.ts';
import type { RunbookSource } from '../runbooks/live.ts';
import type { Access } from './access/access.ts';
import { type LoginInfo, loginRoutes } from './access/login-routes.ts';
import { type AlertmanagerCredentials, createAuthenticate } from './alertmanager/authenticate.ts';
import type { IntakeCapacity } from './alertmanager/capacity.ts';
import { type AllowedTargets, createRouteAlert } from './alertmanager/route-alert.ts';
import { alertmanagerRoutes } from './alertmanager/routes.ts';
import { apiRoutes } from './api/routes.ts';
import type { DecisionSigner } from './decisions/sign.ts';
import { EdgeError, edgeErrorOf } from './errors.ts';
import type { PagesGateway } from './gateway/pages-gateway.ts';
import type { TargetGateway } from './gateway/target-gateway.ts';
import type { IncidentGateway } from './gateway/types.ts';
import { healthRoutes, type ReadinessCheck } from './health.ts';
import { createAttemptRecorder } from './incidents/attempts.ts';
import { createIncidentReader } from './incidents/reader.ts';
import { createEdgeMetrics, measureRunbooks } from './metrics.ts';
import { pagerDutyRoutes } from './pagerduty/routes.ts';
import type { PagerDutyUsers } from './pagerduty/users.ts';
import { measurePages, type PageAttempts } from './paging-metrics.ts';
import { runbooksCheck } from './runbooks-check.ts';
import { addSecurityHeaders } from './security-headers.ts';
import { createSlackEdge, type SlackEdgeConfig } from './slack/edge.ts';

/** A sender that takes longer for one request is stuck, or means to hold the connection. 16 MiB at 300 kB/s fit. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Longer than the flush interval of an Alertmanager group, so that its connection is used again. */
const KEEP_ALIVE_MS = 75_000;

/** Everything is injected: this module reads no configuration and opens no connection. */
export interface WebhooksDeps {
  server: { host: string; publicUrl?: string | undefined };
  /** Secrets in clear, as the configuration's references resolved. */
  alertmanager: AlertmanagerCredentials;
  /** `--insecure-no-auth`: only on a loopback host. */
  insecureNoAuth?: boolean;
  clusters: AllowedTargets;
  /** Asked once for each delivery. */
  runbooks: RunbookSource;
  gateway: IncidentGateway;
  targets: TargetGateway;
  access: Access;
  /** Where people sign in with a browser; absent: nowhere. */
  login?: LoginInfo | undefined;
  signer: DecisionSigner;
  records: Pick<
    RecordsStore,
    | 'getIncident'
    | 'listIncidents'
    | 'timeline'
    | 'postmortem'
    | 'attempts'
    | 'actionItems'
    | 'incidentsSince'
    | 'recordAttempt'
    | 'ping'
  > &
    Partial<Pick<RecordsStore, 'evidence'>>;
  /** Opens kept texts of samples; absent: they cannot be revealed here. */
  vault?: Vault;
  logger: FastifyBaseLogger;
  registry: Registry;
  /** Absent: no Slack routes. */
  slack?: SlackEdgeConfig | undefined;
  /** Absent: no watchdog, and its metrics are not there. */
  pages?: PagesGateway | undefined;
  /** Name of the alert that always fires. */
  watchdogAlertname?: string | undefined;
  /** Attempts of pages in workers of the same process. */
  pageAttempts?: PageAttempts | undefined;
  /** Absent: no route for PagerDuty's webhooks. */
  pagerDuty?: { webhookSecrets: readonly string[]; users?: PagerDutyUsers | undefined } | undefined;
  /** Further checks of /readyz, for instance of workers in the same process. */
  checks?: readonly ReadinessCheck[];
  capacity?: IntakeCapacity;
  now?: () => number;
  /** How long an accepted decision is tried for; 30 s. */
  sendDeadlineMs?: number;
}

/**
 * The inbound HTTP server: Alertmanager's webhook, the incident API, Slack, health and metrics. Not listening yet.
 * @throws Error when Alertmanager could not be authenticated by anything (see `createAuthenticate`).
 */
export function createWebhooks(deps: WebhooksDeps): FastifyInstance {
  const { gateway, access, signer, records, registry } = deps;
  const now = deps.now ?? Date.now;
  const metrics = createEdgeMetrics(registry);
  measureRunbooks(registry, deps.runbooks);
  const authenticate = createAuthenticate(deps.alertmanager, {
    host: deps.server.host,
    insecureNoAuth: deps.insecureNoAuth ?? false,
  });

  const app = Fastify({
    loggerInstance: deps.logger,
    // One line a request is written below: Fastify's own would carry the raw URL.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 64, ignoreTrailingSlash: true },
    // Idle keep-alive connections do not hold up a stop; requests in flight are finished.
    forceCloseConnections: 'idle',
  });

  addSecurityHeaders(app, { https: deps.server.publicUrl?.startsWith('https:') ?? false });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.requests.inc({
      route,
      method: request.method,
      status: `${Math.floor(reply.statusCode / 100)}xx`,
    });
    request.log.debug(
      { route, method: request.method, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    );
  });
  app.setNotFoundHandler((_request, reply) => {
    const error = new EdgeError('no_such_route', 'There is nothing at this path.');
    return reply.code(error.status).send(error.toProblem());
  });
  app.setErrorHandler((failure, request, reply) => {
    const known = edgeErrorOf(failure);
    if (known === undefined) request.log.error({ err: failure }, 'request failed');
    else if (known.status >= 500) {
      const cause = known.cause instanceof Error ? known.cause.message : undefined;
      request.log.error({ code: known.code, reason: known.message, cause }, 'request could not be answered');
    }
    const error = known ?? new EdgeError('internal', `This request failed. Request id: ${request.id}`);
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
    return reply.code(error.status).send(error.toProblem());
  });

  const reader = createIncidentReader({ gateway, records });
  const recordAttempt = createAttemptRecorder({ records, metrics, now });
  const sendDeadlineMs = deps.sendDeadlineMs;
  const act = { gateway, reader, access, recordAttempt, sendDeadlineMs };
  const decide = { gateway, reader, access, signer, records, recordAttempt, now, sendDeadlineMs };

  const checks = [...coreChecks(deps), ...(deps.checks ?? [])];
  app.register(healthRoutes, { registry, checks });
  app.register(alertmanagerRoutes, {
    authenticate,
    gateway,
    currentRoutes: () => createRouteAlert(deps.runbooks.current().runbooks, deps.clusters),
    metrics,
    logger: deps.logger,
    now,
    ...(deps.capacity ? { capacity: deps.capacity } : {}),
    watchdog: watchdogOf(deps),
  });
  measurePages(registry, { records, pages: deps.pages, attempts: deps.pageAttempts, now });
  if (deps.pagerDuty !== undefined) {
    app.register(pagerDutyRoutes, {
      secrets: deps.pagerDuty.webhookSecrets,
      users: deps.pagerDuty.users,
      access,
      gateway,
      pages: deps.pages,
      reader,
      recordAttempt,
      logger: deps.logger,
      registry,
    });
  }
  const rollbacks = {
    targets: deps.targets,
    reader,
    access,
    runbooks: deps.runbooks,
    clusters: deps.clusters,
    recordAttempt,
    now,
    sendDeadlineMs,
  };
  const drills = { gateway, access, runbooks: deps.runbooks, clusters: deps.clusters, recordAttempt, now };
  const { vault } = deps;
  const { evidence } = records;
  const samples = vault && evidence && { access, reader, records: { evidence }, vault, recordAttempt, now };
  app.register(apiRoutes, {
    prefix: '/api/v1',
    access,
    reader,
    records,
    act,
    decide,
    rollbacks,
    drills,
    now,
    ...(samples && { samples }),
  });
  app.register(loginRoutes, { prefix: '/api/v1', login: deps.login });
  if (deps.slack !== undefined) {
    const slack = createSlackEdge({
      config: deps.slack,
      access,
      reader,
      records,
      act,
      decide,
      rollbacks,
      recordAttempt,
      logger: deps.logger,
      now,
    });
    app.register(slack.routes);
    checks.push(...slack.checks);
    app.addHook('onReady', () => slack.start());
    app.addHook('onClose', () => slack.stop());
  }
  return app as unknown as FastifyInstance;
}

function watchdogOf({ pages, watchdogAlertname }: WebhooksDeps) {
  if (pages === undefined || watchdogAlertname === undefined) return undefined;
  return { alertname: watchdogAlertname, seen: (atMs: number) => pages.watchdogSeen(atMs) };
}

function coreChecks({ gateway, records, runbooks }: WebhooksDeps): ReadinessCheck[] {
  return [
    { name: 'temporal', check: async () => (await gateway.checkReady()).problems },
    {
      name: 'records',
      check: async () => {
        await records.ping();
        return [];
      },
    },
    { name: 'runbooks', check: async () => runbooksCheck(runbooks) },
  ];
}
