import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Alert } from '../../domain/alert.ts';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import { EdgeError, edgeErrorOf } from '../errors.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import { GatewayError } from '../gateway/types.ts';
import type { EdgeMetrics } from '../metrics.ts';
import { replyEarly } from '../reply-early.ts';
import type { Authenticate } from './authenticate.ts';
import { IntakeCapacity } from './capacity.ts';
import { type DeliveryResult, deliver } from './deliver.ts';
import type { RouteAlert } from './group.ts';
import { parseDelivery } from './schema.ts';

/** A group of 2,000 alerts is about 2 MB. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Alertmanager tries 5xx again at once with growing pauses of its own; this is for everybody else. */
const RETRY_AFTER_SECONDS = 1;
/** Names of alerts that match no runbook, in one log line. */
const LOGGED_NAMES = 5;
const LOGGED_NAME_LENGTH = 128;

export interface IntakeDeps {
  authenticate: Authenticate;
  gateway: IncidentGateway;
  /** The routes of the moment, from one set of runbooks: taken once for each delivery. */
  currentRoutes: () => RouteAlert;
  metrics: EdgeMetrics;
  logger: FastifyBaseLogger;
  capacity?: IntakeCapacity;
  now?: () => number;
  /** The always-firing alert: it opens no incident, and somebody is told that it came. */
  watchdog?: { alertname: string; seen(atMs: number): Promise<void> } | undefined;
}

/** POST /webhooks/alertmanager. The order is the point: headers, capacity, bytes, JSON, fields, Temporal, answer. */
export async function alertmanagerRoutes(app: FastifyInstance, deps: IntakeDeps): Promise<void> {
  const { authenticate, metrics, logger } = deps;
  const capacity = deps.capacity ?? new IntakeCapacity();
  const now = deps.now ?? Date.now;

  // No parser but ours may see the bytes of this route.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
    (_request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) =>
      done(null, body),
  );

  const refuseEarly = (request: FastifyRequest, reply: FastifyReply, error: EdgeError): FastifyReply => {
    metrics.deliveries.inc({ result: error.code });
    logger.warn({ requestId: request.id, code: error.code }, 'delivery refused by its headers');
    if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="firebreak"');
    return replyEarly(request, reply, error);
  };

  app.addHook('onRequest', async (request, reply) => {
    if (!authenticate(request.headers)) {
      return refuseEarly(
        request,
        reply,
        new EdgeError('unauthenticated', 'These credentials are not known here.'),
      );
    }
    const problem = headerProblem(request);
    if (problem !== undefined) return refuseEarly(request, reply, problem);

    // Without a length (chunked) the largest body is assumed.
    const release = capacity.take(Number(request.headers['content-length'] ?? MAX_BODY_BYTES));
    if (release === undefined) {
      return refuseEarly(
        request,
        reply,
        new EdgeError('overloaded', 'Too many deliveries are being worked on.', {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        }),
      );
    }
    reply.raw.once('close', release).once('finish', release);
  });

  app.setErrorHandler((failure, request, reply) => {
    const error = toEdgeError(failure);
    metrics.deliveries.inc({ result: error.code });
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    const line = { requestId: request.id, code: error.code, problems: error.problems, cause };
    if (error.code === 'internal') logger.error({ ...line, err: failure }, 'delivery failed');
    else if (error.status >= 500)
      logger.error(line, 'delivery could not be handed on; the sender tries again');
    else logger.warn(line, 'delivery refused');
    // A body that is still on its way lingers, so that the sender can read why it is refused.
    if (error.code === 'payload_too_large') return replyEarly(request, reply, error);
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
    return reply.code(error.status).send(error.toProblem());
  });

  app.post('/webhooks/alertmanager', { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    const receivedAtMs = now();
    const stop = metrics.deliverySeconds.startTimer();
    const whole = parseDelivery(request.body as Buffer);
    const isWatchdog = ({ labels }: Alert) => labels.alertname === deps.watchdog?.alertname;
    const watchdogs = deps.watchdog === undefined ? [] : whole.alerts.filter(isWatchdog);
    const delivery =
      watchdogs.length === 0
        ? whole
        : { ...whole, alerts: whole.alerts.filter((alert) => !isWatchdog(alert)) };
    const result = await deliver(delivery, receivedAtMs, {
      gateway: deps.gateway,
      routeAlert: deps.currentRoutes(),
    });
    // After the alerts about harm, which wait for nothing. One that is resolved says that it has stopped.
    if (watchdogs.some(({ status }) => status === 'firing')) await deps.watchdog?.seen(receivedAtMs);
    if (watchdogs.length > 0) metrics.alerts.inc({ disposition: 'watchdog' }, watchdogs.length);
    stop();
    count(metrics, result, delivery.truncatedAlerts);
    logDelivery(logger, request.id, result, delivery.truncatedAlerts);
    return reply.code(200).send({
      accepted: result.incidents.reduce((sum, { firing, resolved }) => sum + firing + resolved, 0),
      unmatched: result.unmatched.length,
      incidents: result.incidents.filter(({ ignored }) => !ignored).map(({ workflowId }) => workflowId),
    });
  });
}

/** What is wrong with the request by its headers alone. */
function headerProblem(request: FastifyRequest): EdgeError | undefined {
  const { headers } = request;
  const [mediaType = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';');
  const plain = parameters.every((parameter) => /^\s*charset\s*=\s*"?utf-8"?\s*$/.test(parameter));
  if (mediaType.trim() !== 'application/json' || !plain) {
    return new EdgeError('unsupported_media_type', 'The content type has to be application/json.');
  }
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    return new EdgeError('unsupported_media_type', 'The body must not be compressed.');
  }
  if (Number(headers['content-length'] ?? 0) > MAX_BODY_BYTES) {
    return new EdgeError('payload_too_large', `The body is larger than ${MAX_BODY_BYTES} bytes.`);
  }
  return undefined;
}

/**
 * A delivery that could not be handed on is always answered 5xx, whatever Temporal's reason: after a 4xx Alertmanager
 * would not try again before its next flush, and the alert would be lost until then.
 */
function toEdgeError(failure: unknown): EdgeError {
  if (failure instanceof GatewayError) {
    return new EdgeError('temporal_unavailable', 'Temporal has not accepted every alert of this delivery.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
      cause: failure,
    });
  }
  return edgeErrorOf(failure) ?? new EdgeError('internal', 'The delivery could not be worked on.');
}

function count(metrics: EdgeMetrics, result: DeliveryResult, truncatedAlerts: number): void {
  metrics.deliveries.inc({ result: 'accepted' });
  for (const { firing, resolved, ignored } of result.incidents) {
    if (firing > 0) metrics.alerts.inc({ disposition: 'firing' }, firing);
    if (resolved > 0) metrics.alerts.inc({ disposition: ignored ? 'ignored' : 'resolved' }, resolved);
  }
  if (result.unmatched.length > 0) metrics.alerts.inc({ disposition: 'unmatched' }, result.unmatched.length);
  if (truncatedAlerts > 0) metrics.alerts.inc({ disposition: 'truncated' }, truncatedAlerts);
}

function logDelivery(
  logger: FastifyBaseLogger,
  requestId: string,
  result: DeliveryResult,
  truncatedAlerts: number,
): void {
  logger.info(
    { requestId, incidents: result.incidents, signals: result.signals, truncatedAlerts },
    'delivery accepted',
  );
  if (result.unmatched.length === 0) return;
  const names = new Set(result.unmatched.map((alert) => alert.labels.alertname ?? ''));
  logger.warn(
    {
      requestId,
      unmatched: result.unmatched.length,
      alertnames: [...names]
        .slice(0, LOGGED_NAMES)
        .map((name) => truncate(stripControl(name), LOGGED_NAME_LENGTH)),
    },
    'alerts match no runbook',
  );
}
