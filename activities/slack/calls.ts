import { setTimeout as delay } from 'node:timers/promises';
import { LogLevel, WebAPIRateLimitedError, WebClient } from '@slack/web-api';
import { fail, MAX_RETRY_AFTER_MS } from '../failure.ts';
import { fromSlack } from './errors.ts';
import {
  ATTEMPT_MS,
  MAX_TURN_WAIT_MS,
  POST_EVERY_MS,
  REQUEST_TIMEOUT_MS,
  UPDATE_EVERY_MS,
} from './limits.ts';
import type { Pace } from './pace.ts';

/** Slack said later, or there is no turn soon: no failure. What is newest then is published. */
export class NotYet extends Error {
  readonly afterMs: number;

  constructor(afterMs: number) {
    super(`not before ${Math.ceil(afterMs)} ms from now`);
    this.name = 'NotYet';
    this.afterMs = afterMs;
  }
}

/** The calls of one attempt to publish one incident. */
export interface Calls {
  /**
   * One request, tried once: waiting and trying again are the workflow's, which publishes what is newest then. Posts and
   * updates wait a moment for their turn.
   * @param method as Slack writes it: `chat.update`.
   * @param expected Slack's error codes that are an answer; they are thrown as the client throws them.
   * @throws NotYet where Slack or the pace says later; else an ApplicationFailure.
   */
  call<T>(
    method: string,
    work: (client: WebClient) => Promise<T>,
    options?: { channel?: string; isExpected?: (error: unknown) => boolean },
  ): Promise<T>;
}

export function createSlackClient(options: { token: string; apiUrl?: string | undefined }): WebClient {
  return new WebClient(options.token, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: REQUEST_TIMEOUT_MS,
    logLevel: LogLevel.ERROR,
  });
}

/** @param who the incident: it keeps its turn while it waits for it. */
export function startCalls(client: WebClient, pace: Pace, who: string): Calls {
  const deadlineMs = Date.now() + ATTEMPT_MS;

  async function waitForTurn(method: string, channel: string): Promise<void> {
    for (;;) {
      const nowMs = Date.now();
      const waitMs = pace.held(method, nowMs) || turnOf(method, channel, nowMs);
      if (waitMs === 0) return;
      if (waitMs > MAX_TURN_WAIT_MS) throw new NotYet(waitMs);
      await delay(waitMs);
    }
  }

  function turnOf(method: string, channel: string, nowMs: number): number {
    if (method === 'chat.update') return pace.turn(method, who, UPDATE_EVERY_MS, nowMs);
    if (method === 'chat.postMessage') return pace.turn(`${method} ${channel}`, who, POST_EVERY_MS, nowMs);
    return 0;
  }

  return {
    async call(method, work, { channel = '', isExpected } = {}) {
      await waitForTurn(method, channel);
      if (Date.now() > deadlineMs) {
        throw fail('Unavailable', `Slack ${method}: the calls before it took too long`);
      }
      try {
        return await work(client);
      } catch (error) {
        if (error instanceof WebAPIRateLimitedError) {
          const afterMs = error.retryAfter * 1_000;
          // Whoever says tomorrow has an outage: chat must come back when it does.
          if (afterMs > MAX_RETRY_AFTER_MS) throw fromSlack(error, method);
          pace.hold(method, Date.now() + afterMs);
          throw new NotYet(afterMs);
        }
        if (isExpected?.(error)) throw error;
        throw fromSlack(error, method);
      }
    },
  };
}
