import { setTimeout as delay } from 'node:timers/promises';
import { type App, type Logger, type Receiver, type ReceiverEvent, SocketModeReceiver } from '@slack/bolt';
import type { CheckResult } from '../health.ts';
import { InFlight } from './in-flight.ts';
import { isOurTeam } from './team.ts';

/** From the request for an address to Slack's `hello`. */
const CONNECT_TIMEOUT_MS = 15_000;
/** The request for an address alone. */
const REQUEST_TIMEOUT_MS = 10_000;
/** For the other side to say goodbye; the process does not wait longer for a peer that is gone. */
const CLOSE_TIMEOUT_MS = 2_000;
/** A connection that ended sooner counts as one that failed: Slack itself renews them after an hour or more. */
const SHORTEST_LIFE_MS = 5_000;
const FIRST_PAUSE_MS = 500;
/** apps.connections.open is to be called about once a minute when it fails (tier 1 of Slack's rate limits). */
const LONGEST_PAUSE_MS = 60_000;

/** What Slack's answers to apps.connections.open mean (https://docs.slack.dev/reference/methods/apps.connections.open#errors). */
const TODO: Readonly<Record<string, string>> = {
  invalid_auth: 'set chat.slack.appToken to an app-level token (xapp-) of the app',
  not_authed: 'set chat.slack.appToken to an app-level token (xapp-) of the app',
  token_revoked: 'the app-level token was revoked: generate another with connections:write',
  not_allowed_token_type: 'chat.slack.appToken wants the app-level token (xapp-), not the bot token',
  missing_scope: 'the app-level token needs connections:write',
  no_permission: 'the app-level token needs connections:write',
  account_inactive: 'the app was removed from the workspace: install it again',
};

export interface SocketReceiverOptions {
  /** App-level token (xapp-) with connections:write. */
  appToken: string;
  apiUrl?: string | undefined;
  /** Undefined while it is not known: then every workspace that the app is installed in. */
  teamId: () => string | undefined;
  fetch: typeof fetch;
  logger: Logger;
  now: () => number;
  /** What is answered to people of another workspace. */
  wrongTeam: Record<string, unknown>;
  onRefused: (reason: 'wrong-team') => void;
}

type State = { connected: true; sinceMs: number } | { connected: false; sinceMs: number; reason: string };

/**
 * Bolt's transport over Socket Mode: no address of ours is open to Slack, and nothing is signed, since the connection is ours
 * (https://docs.slack.dev/apis/events-api/using-socket-mode).
 *
 * Each connection is a SocketModeReceiver of its own that does not reconnect by itself: Bolt's way pauses 5 s whenever Slack
 * renews a connection, in which commands fail, and ends the process by an unhandled rejection where the token was revoked or a
 * proxy answered in place of Slack.
 */
export class SocketReceiver implements Receiver {
  readonly #options: SocketReceiverOptions;
  readonly #inFlight = new InFlight();
  readonly #stopping = new AbortController();
  #app: App | undefined;
  #running: Promise<void> | undefined;
  #state: State;

  constructor(options: SocketReceiverOptions) {
    this.#options = options;
    this.#state = { connected: false, sinceMs: options.now(), reason: 'it has not connected yet' };
  }

  init(app: App): void {
    this.#app = app;
  }

  /** Connects, and goes on connecting until stopped. Does not wait for Slack: alerts are taken whether or not Slack is there. */
  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#inFlight.drain();
  }

  /** For /readyz: never a reason to take no alerts. */
  check(): CheckResult {
    const state = this.#state;
    const since = new Date(state.sinceMs).toISOString();
    if (state.connected) return { problems: [], details: { connected: true, since } };
    return {
      problems: [],
      degraded: [
        `Slack cannot reach Firebreak: Socket Mode is not connected since ${since}: ${state.reason}`,
      ],
      details: { connected: false, since },
    };
  }

  async #run(): Promise<void> {
    const { logger, now } = this.#options;
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted) {
      let retryAfterMs = 0;
      try {
        const lifeMs = await this.#connectOnce();
        failures = lifeMs < SHORTEST_LIFE_MS ? failures + 1 : 0;
        this.#disconnected('Slack closed the connection; a new one is being opened');
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        const problem = problemOf(error);
        retryAfterMs = problem.retryAfterMs;
        if (failures === 1) logger.warn(`Socket Mode could not connect: ${problem.reason}; trying on`);
        this.#disconnected(problem.reason);
      }
      if (failures > 0) {
        const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS);
        await pause(Math.max(pauseMs, retryAfterMs), signal);
      }
    }
    this.#state = { connected: false, sinceMs: now(), reason: 'Firebreak is stopping' };
  }

  /** One connection, from its address to its end. Resolves to how long it lived; rejects where it was never there. */
  async #connectOnce(): Promise<number> {
    const { appToken, apiUrl, logger, now } = this.#options;
    const { signal } = this.#stopping;
    const giveUp = new AbortController();
    const stopped = AbortSignal.any([signal, giveUp.signal]);
    const connection = new SocketModeReceiver({
      appToken,
      logger,
      autoReconnectEnabled: false,
      installerOptions: {
        clientOptions: {
          fetch: (input, init) =>
            this.#options.fetch(input, {
              ...init,
              signal: AbortSignal.any([stopped, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
            }),
          retryConfig: { retries: 0 },
          rejectRateLimitedCalls: true,
          ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
        },
      },
    });
    connection.init({ processEvent: (event: ReceiverEvent) => this.#process(event) } as App);
    const ended = new Promise<void>((resolve) => connection.client.once('disconnected', () => resolve()));
    const timer = setTimeout(() => giveUp.abort(new Error('no hello from Slack')), CONNECT_TIMEOUT_MS);
    try {
      const connected = connection.start();
      // Heard below; where it loses the race it ends with the connection.
      connected.catch(() => undefined);
      const given = aborted(stopped);
      given.catch(() => undefined);
      await Promise.race([connected, given]);
      clearTimeout(timer);
      const sinceMs = now();
      this.#state = { connected: true, sinceMs };
      logger.info('Socket Mode is connected');
      await Promise.race([ended, given.catch(() => undefined)]);
      return now() - sinceMs;
    } finally {
      clearTimeout(timer);
      giveUp.abort();
      await closeWithin(connection, CLOSE_TIMEOUT_MS);
    }
  }

  #process(event: ReceiverEvent): Promise<void> {
    const app = this.#app;
    if (app === undefined) throw new Error('the Slack receiver was used before Bolt initialised it');
    if (!isOurTeam(event.body, this.#options.teamId())) {
      this.#options.onRefused('wrong-team');
      return event.ack(this.#options.wrongTeam);
    }
    return this.#inFlight.track(app.processEvent(event));
  }

  /** Since when it is away, not since the last attempt. */
  #disconnected(reason: string): void {
    const sinceMs = this.#state.connected ? this.#options.now() : this.#state.sinceMs;
    this.#state = { connected: false, sinceMs, reason };
  }
}

async function closeWithin(connection: SocketModeReceiver, timeoutMs: number): Promise<void> {
  const { client } = connection;
  const closed = new Promise<void>((resolve) => client.once('disconnected', () => resolve()));
  const timer = new AbortController();
  client.disconnect().catch(() => undefined);
  await Promise.race([closed, pause(timeoutMs, timer.signal)]);
  timer.abort();
}

function problemOf(error: unknown): { reason: string; retryAfterMs: number } {
  const { data, retryAfter, message } = (error ?? {}) as {
    data?: { error?: unknown };
    retryAfter?: unknown;
    message?: unknown;
  };
  const retryAfterMs = typeof retryAfter === 'number' ? retryAfter * 1_000 : 0;
  const code = typeof data?.error === 'string' && /^[a-z_]{1,60}$/.test(data.error) ? data.error : undefined;
  if (code !== undefined) {
    const todo = Object.hasOwn(TODO, code) ? `; ${TODO[code]}` : '';
    return { reason: `Slack refused apps.connections.open: ${code}${todo}`, retryAfterMs };
  }
  // Without an error of its own, the connection ended before Slack said hello.
  return {
    reason: typeof message === 'string' ? message : 'the connection ended before it was ready',
    retryAfterMs,
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** Resolves early when told to stop. */
async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  await delay(durationMs, undefined, { signal }).catch(() => undefined);
}
