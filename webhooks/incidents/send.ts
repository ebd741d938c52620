import { setTimeout as delay } from 'node:timers/promises';
import type { Answer } from '../../workflows/messages.ts';
import { EdgeError } from '../errors.ts';
import { GatewayError, type IncidentGateway, type UpdateRequest } from '../gateway/types.ts';
import { edgeErrorOfGateway } from './reader.ts';

/** How long an action is tried for, reading the incident included, before its person is told how far it came. */
const SEND_DEADLINE_MS = 30_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2_000;

/** Until when one action is tried for, as `performance.now()` counts. */
export function sendDeadlineAt(deadlineMs = SEND_DEADLINE_MS): number {
  return performance.now() + deadlineMs;
}

/**
 * Tries again, with growing pauses, while Temporal is silent and time is left.
 * @throws what the last try threw.
 */
export async function tryUntil<T>(
  deadlineAtMs: number,
  run: () => Promise<T>,
  isSilence: (error: unknown) => boolean,
): Promise<T> {
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isSilence(error) || performance.now() + pauseMs >= deadlineAtMs) throw error;
      await delay(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }
}

/**
 * Sends an update until it is answered. The same update id each time, so that it happens once however often it arrives.
 * @throws EdgeError refused, incident_ended; outcome_unknown at the deadline.
 */
export async function sendUpdate(
  gateway: IncidentGateway,
  request: UpdateRequest,
  deadlineAtMs: number,
): Promise<Answer> {
  try {
    return await tryUntil(deadlineAtMs, () => gateway.update(request), isUnavailable);
  } catch (error) {
    if (!isUnavailable(error)) throw edgeErrorOfGateway(error);
    throw new EdgeError(
      'outcome_unknown',
      `It is not known whether the incident took it: ${(error as Error).message}`,
      { cause: error, retryAfterSeconds: 5 },
    );
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.problem === 'unavailable';
}
