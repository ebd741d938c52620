import type { App, Receiver, ReceiverEvent } from '@slack/bolt';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EdgeError } from '../errors.ts';
import { parseUntrustedJson } from '../json.ts';
import { replyEarly } from '../reply-early.ts';
import { InFlight } from './in-flight.ts';
import { isOurTeam } from './team.ts';
import { isSignedBySlack, looksSignedNow } from './verify.ts';

/** Slack's interaction payloads carry the message they belong to: tens of kilobytes. */
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;
export interface FastifyReceiverOptions {
  signingSecrets: readonly string[];
  /** Undefined while it is not known: then every workspace that the app is installed in. */
  teamId: () => string | undefined;
  now: () => number;
  /** What is answered to people of another workspace. */
  wrongTeam: Record<string, unknown>;
  onRefused: (reason: 'unsigned' | 'wrong-team') => void;
}

/**
 * Bolt's transport on the server that all edges share: POST /webhooks/slack/commands and /webhooks/slack/interactions.
 * Bolt's own receivers each start an HTTP server and take one signing secret.
 */
export class FastifyReceiver implements Receiver {
  readonly #options: FastifyReceiverOptions;
  readonly #inFlight = new InFlight();
  #app: App | undefined;

  constructor(options: FastifyReceiverOptions) {
    this.#options = options;
  }

  init(app: App): void {
    this.#app = app;
  }

  /** The shared server starts and stops for all edges. */
  async start(): Promise<void> {}

  async stop(): Promise<void> {
    await this.drain();
  }

  /** Waits for what was answered "recording..." and is not recorded yet. */
  drain(): Promise<void> {
    return this.#inFlight.drain();
  }

  readonly routes = async (server: FastifyInstance): Promise<void> => {
    const { now, signingSecrets, onRefused } = this.#options;
    const unsigned = () => {
      onRefused('unsigned');
      return new EdgeError('unauthenticated', 'This request is not signed by Slack, or not just now.');
    };

    server.removeAllContentTypeParsers();
    server.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
      (_request: FastifyRequest, body: string, done: (error: Error | null, body?: unknown) => void) =>
        done(null, body),
    );
    server.addHook('onRequest', async (request, reply) => {
      if (!looksSignedNow(request.headers, now())) return replyEarly(request, reply, unsigned());
    });

    const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const raw = typeof request.body === 'string' ? request.body : '';
      if (!isSignedBySlack(raw, request.headers, signingSecrets, now())) throw unsigned();
      const form = new URLSearchParams(raw);
      // Slack checks the certificate of a command's URL from time to time; it wants 200 and nothing else.
      if (form.get('ssl_check') === '1') return reply.code(200).send();
      const body = bodyOf(form);
      if (!isOurTeam(body, this.#options.teamId())) {
        onRefused('wrong-team');
        return reply.code(200).send(this.#options.wrongTeam);
      }
      return reply.code(200).send(await this.#dispatch(body, request.headers));
    };
    server.post('/webhooks/slack/commands', handle);
    server.post('/webhooks/slack/interactions', handle);
  };

  /** Resolves with what the listener acknowledges with; what the listener does after that goes on. */
  #dispatch(body: Record<string, unknown>, headers: FastifyRequest['headers']): Promise<unknown> {
    const app = this.#app;
    if (app === undefined) throw new Error('the Slack receiver was used before Bolt initialised it');
    return new Promise((resolve, reject) => {
      const event: ReceiverEvent = {
        body,
        ...(headers['x-slack-retry-num'] === undefined
          ? {}
          : { retryNum: Number(headers['x-slack-retry-num']) }),
        ack: async (response?: unknown) => resolve(response ?? ''),
      };
      this.#inFlight
        .track(app.processEvent(event))
        // Not acknowledged by any listener (a link button, say): Slack wants 200 all the same.
        .then(() => resolve(''))
        .catch(reject);
    });
  }
}

/** A command is the form itself; an interaction is JSON in its field `payload`. */
function bodyOf(form: URLSearchParams): Record<string, unknown> {
  const payload = form.get('payload');
  if (payload === null) return Object.fromEntries(form);
  const parsed = parseUntrustedJson(Buffer.from(payload, 'utf8'), MAX_DEPTH);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new EdgeError('invalid_request', 'The payload is no object.');
  }
  return parsed as Record<string, unknown>;
}
