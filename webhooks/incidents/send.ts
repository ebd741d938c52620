import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from '../../workflows/messages.ts';
import { EdgeError } from '../errors.ts';
import { GatewayError, type IncidentGateway, type UpdateRequest } from '../gateway/types.ts';
import { edgeErrorOfGateway } from './reader.ts';

/** How long an accepted action is tried for before its person is told that the outcome is not known. */
const SEND_DEADLINE_MS = 30_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Sends an update until it is answered. The same update id each time, so that it happens once however often it arrives.
 * @throws EdgeError refused, incident_ended; outcome_unknown at the deadline.
 */
export async function sendUpdate(
  gateway: IncidentGateway,
  request: UpdateRequest,
  options: { deadlineMs?: number } = {},
): Promise<Answer> {
  const deadlineAtMs = performance.now() + (options.deadlineMs ?? SEND_DEADLINE_MS);
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      return await gateway.update(request);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.problem !== 'unavailable')
        throw edgeErrorOfGateway(error);
      if (performance.now() + pauseMs >= deadlineAtMs) {
        throw new EdgeError(
          'outcome_unknown',
          `It is not known whether the incident took it: ${error.message}`,
          {
            cause: error,
            retryAfterSeconds: 5,
          },
        );
      }
      await delay(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}
