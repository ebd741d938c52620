import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { within } from '../../activities/within.ts';
import { EdgeError, edgeErrorOf } from '../errors.ts';
import { GatewayError } from '../gateway/types.ts';
import { replyEarly } from '../reply-early.ts';
import { handlePagerDuty, type PagerDutyDeps } from './handle.ts';
import { parsePagerDuty } from './schema.ts';
import { isSignedByPagerDuty, signaturesOf } from './verify.ts';

/** "All webhooks with a final size greater than 256 KB are always dropped" (https://developer.pagerduty.com/docs/webhooks-behavior). */
const MAX_BODY_BYTES = 256 * 1024;
/** PagerDuty waits 5 s for a 2xx and then sends the event again, four times in 20 minutes. */
const ANSWER_WITHIN_MS = 4_500;
/** Ids of events that were taken: a repetition is answered at once. After a restart the incident tells it by the same id. */
const REMEMBERED_EVENTS = 1_000;

export interface PagerDutyRoutesDeps extends PagerDutyDeps {
  /** Signing secrets of the subscriptions in clear. */
  secrets: readonly string[];
  logger: FastifyBaseLogger;
  registry: Registry;
  answerWithinMs?: number;
}

/**
 * POST /webhooks/pagerduty: webhooks v3. 2xx once Temporal has taken it (or there is nothing to take), 5xx where PagerDuty
 * is to send it again, 4xx where that would not help. Three dropped deliveries in a row disable a subscription for a day, so
 * whatever is signed and merely unknown is answered 2xx.
 */
export async function pagerDutyRoutes(app: FastifyInstance, deps: PagerDutyRoutesDeps): Promise<void> {
  const { secrets, logger } = deps;
  const events = new Counter({
    name: 'firebreak_pagerduty_events_total',
    help: 'Events of PagerDuty by what became of them',
    labelNames: ['result'],
    registers: [deps.registry],
  });
  const taken = new Set<string>();
  const unsigned = () => {
    events.inc({ result: 'unauthenticated' });
    return new EdgeError(
      'unauthenticated',
      'This request is not signed by PagerDuty with a secret known here.',
    );
  };

  // The signature is of the bytes as they came.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
    (_request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) =>
      done(null, body),
  );
  app.addHook('onRequest', async (request, reply) => {
    if (signaturesOf(request.headers).length === 0) return replyEarly(request, reply, unsigned());
  });
  app.setErrorHandler((failure, request, reply) => {
    const error =
      failure instanceof GatewayError
        ? new EdgeError('temporal_unavailable', 'Temporal has not taken this event.', { cause: failure })
        : (edgeErrorOf(failure) ?? new EdgeError('internal', 'The event could not be worked on.'));
    if (error.code !== 'unauthenticated') events.inc({ result: error.code });
    const line = { requestId: request.id, code: error.code, problems: error.problems };
    if (error.status >= 500)
      logger.error({ ...line, reason: error.message }, 'event of PagerDuty not taken; it is sent again');
    else logger.warn(line, 'event of PagerDuty refused');
    return reply.code(error.status).send(error.toProblem());
  });

  app.post('/webhooks/pagerduty', { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    if (!isSignedByPagerDuty(body, request.headers, secrets)) throw unsigned();
    const delivery = parsePagerDuty(body);
    if (taken.has(delivery.id)) {
      events.inc({ result: 'duplicate' });
      return reply.code(202).send({ result: 'duplicate' });
    }
    const result = await within(
      handlePagerDuty(deps, delivery),
      deps.answerWithinMs ?? ANSWER_WITHIN_MS,
      tooLate,
    );
    taken.add(delivery.id);
    if (taken.size > REMEMBERED_EVENTS) taken.delete(taken.values().next().value ?? '');
    events.inc({ result });
    logger.info(
      { requestId: request.id, eventId: delivery.id, kind: delivery.kind, result },
      'event of PagerDuty taken',
    );
    return reply.code(202).send({ result });
  });
}

/** The work goes on; told again, it finds the same ids. */
function tooLate(): EdgeError {
  return new EdgeError('outcome_unknown', 'It takes too long to take this event.', { retryAfterSeconds: 5 });
}
