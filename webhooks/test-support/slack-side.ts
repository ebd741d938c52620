import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { problemsOfMessage, problemsOfView } from './block-kit.ts';

export const APP_TOKEN = 'xapp-for-tests';
/** https://docs.slack.dev/interactivity/handling-user-interaction: a response_url takes five messages. */
const MAX_RESPONSES = 5;
/** Slack waits so long for an acknowledgement, and a trigger_id lives as long. */
const ACK_WITHIN_MS = 3_000;

const OWN_METHODS = ['apps.connections.open', 'views.open', 'chat.postEphemeral'];

interface Received {
  path: string;
  body: Record<string, unknown>;
}
interface OpenedView {
  callback_id: string;
  private_metadata: string;
  blocks: { type: string; text?: { text: string } }[];
}

/**
 * Slack's side of an app: the Web API as far as the edge calls it, response_urls, and Socket Mode. What Slack would refuse by
 * its documented limits is refused, and kept in `refused`.
 */
export class SlackSide {
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly received: Received[] = [];
  readonly refused: string[] = [];
  readonly views: OpenedView[] = [];
  /** Members as users.info shows them, by id. */
  readonly users = new Map<string, object>();
  readonly connections: WebSocket[] = [];
  refuseResponses = false;
  /** What auth.test says of the bot token; undefined: Slack is away. */
  authTest: { team_id: string; enterprise_id?: string } | undefined = { team_id: 'T0TEAM' };
  /** Error code for apps.connections.open while set. */
  refuseConnections: string | undefined;
  /** Base URL of a Web API that takes the methods which are not here. */
  behind: string | undefined;
  /** Paths that are answered 429 as often as this says. */
  readonly rateLimited = new Map<string, { times: number; retryAfterSeconds: number }>();
  readonly #triggers = new Map<string, number>();
  readonly #tickets = new Set<string>();
  readonly #acks = new Map<string, (payload: unknown) => void>();
  readonly #responses = new Map<string, number>();
  #waiting: (() => void)[] = [];

  constructor() {
    this.#server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const path = request.url ?? '';
      const json = (request.headers['content-type'] ?? '').includes('json');
      const body = json ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
      this.received.push({ path, body });
      const limit = this.rateLimited.get(path);
      if (limit !== undefined && limit.times > 0) {
        limit.times -= 1;
        response.writeHead(429, { 'retry-after': String(limit.retryAfterSeconds) }).end();
      } else {
        const answer = this.#isElsewhere(path)
          ? await this.#forward(path, text, request)
          : this.#answer(path, body, request);
        response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(answer.body));
      }
      this.#wake();
    });
    this.#server.on('upgrade', (request, socket, head) => {
      const ticket = new URL(request.url ?? '', 'http://slack').searchParams.get('ticket') ?? '';
      // A ticket is good for one connection.
      if (!this.#tickets.delete(ticket)) return socket.destroy();
      this.#sockets.handleUpgrade(request, socket, head, (connection) => this.#connected(connection));
    });
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const connection of this.connections) connection.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** A trigger_id as of now. */
  trigger(): string {
    const id = `13345224609.738474920.${randomUUID().replaceAll('-', '')}`;
    this.#triggers.set(id, performance.now());
    return id;
  }

  /** The first message with this text, now or later. */
  message(text: string | RegExp): Promise<Received> {
    return this.until(() => this.received.find(({ body }) => String(body.text).match(text)));
  }

  /** What is found, now or as soon as something has happened. */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The nth connection (from 1) of Socket Mode. */
  connection(count: number): Promise<WebSocket> {
    return this.until(() => this.connections[count - 1]);
  }

  /** Sends an envelope over the newest connection; resolves with the payload of its acknowledgement, within 3 s. */
  async deliver(type: 'slash_commands' | 'interactive', payload: object): Promise<unknown> {
    const envelopeId = randomUUID();
    const acknowledged = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not acknowledged within 3 s')), ACK_WITHIN_MS);
      this.#acks.set(envelopeId, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
    });
    this.connections
      .at(-1)
      ?.send(JSON.stringify({ type, envelope_id: envelopeId, payload, accepts_response_payload: true }));
    return acknowledged;
  }

  /** `warning`, `refresh_requested` or `link_disabled`, as Slack says it before it closes. */
  disconnect(reason: string): void {
    this.connections
      .at(-1)
      ?.send(JSON.stringify({ type: 'disconnect', reason, debug_info: { host: 'fake' } }));
  }

  #connected(connection: WebSocket): void {
    this.connections.push(connection);
    connection.on('message', (data) => {
      const { envelope_id: id, payload } = JSON.parse(String(data)) as {
        envelope_id: string;
        payload?: unknown;
      };
      const acknowledge = this.#acks.get(id);
      if (acknowledge === undefined) this.refused.push(`acknowledged twice, or never sent: ${id}`);
      this.#acks.delete(id);
      acknowledge?.(payload);
      this.#wake();
    });
    connection.on('close', () => this.#wake());
    connection.send(
      JSON.stringify({
        type: 'hello',
        num_connections: 1,
        debug_info: { host: 'fake', approximate_connection_time: 18_060 },
        connection_info: { app_id: 'A0' },
      }),
    );
    this.#wake();
  }

  #isElsewhere(path: string): boolean {
    return (
      this.behind !== undefined &&
      path.startsWith('/api/') &&
      !OWN_METHODS.includes(path.slice('/api/'.length))
    );
  }

  async #forward(path: string, body: string, request: IncomingMessage) {
    const { 'content-type': type = '', authorization = '' } = request.headers;
    const headers = { 'content-type': type, authorization };
    const response = await fetch(new URL(path.slice('/api/'.length), this.behind), {
      method: 'POST',
      headers,
      body,
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #answer(
    path: string,
    body: Record<string, unknown>,
    request: IncomingMessage,
  ): { status?: number; body: Record<string, unknown> } {
    const refuse = (error: string, more: readonly string[] = []) => {
      this.refused.push([path, error, ...more].join(': '));
      return { body: { ok: false, error, response_metadata: { messages: more } } };
    };
    if (path.startsWith('/respond/')) {
      const uses = (this.#responses.get(path) ?? 0) + 1;
      this.#responses.set(path, uses);
      if (this.refuseResponses || uses > MAX_RESPONSES) return { status: 404, body: {} };
      const problems = body.blocks === undefined ? [] : problemsOfMessage(body.blocks);
      return problems.length > 0
        ? { ...refuse('invalid_blocks', problems), status: 400 }
        : { body: { ok: true } };
    }
    switch (path) {
      case '/api/apps.connections.open': {
        if (request.headers.authorization !== `Bearer ${APP_TOKEN}`) return refuse('not_allowed_token_type');
        if (this.refuseConnections !== undefined) return refuse(this.refuseConnections);
        const ticket = randomUUID();
        this.#tickets.add(ticket);
        return { body: { ok: true, url: `${this.origin.replace('http', 'ws')}/link/?ticket=${ticket}` } };
      }
      case '/api/views.open': {
        const trigger = String(body.trigger_id);
        const since = this.#triggers.get(trigger);
        if (since === undefined) return refuse('invalid_trigger_id');
        if (performance.now() - since > ACK_WITHIN_MS) return refuse('expired_trigger_id');
        // Good for one view.
        this.#triggers.delete(trigger);
        const view = typeof body.view === 'string' ? JSON.parse(body.view) : body.view;
        const problems = problemsOfView(view);
        if (problems.length > 0) return refuse('invalid_arguments', problems);
        this.views.push(view);
        return { body: { ok: true, view: { id: 'V0', ...view } } };
      }
      case '/api/auth.test':
        if (this.authTest === undefined) return { status: 503, body: {} };
        return { body: { ok: true, ...this.authTest } };
      case '/api/users.info': {
        const user = this.users.get(String(body.user));
        return user === undefined
          ? { body: { ok: false, error: 'user_not_found' } }
          : { body: { ok: true, user } };
      }
      case '/api/chat.postEphemeral': {
        const blocks = typeof body.blocks === 'string' ? JSON.parse(body.blocks) : body.blocks;
        const problems = blocks === undefined ? [] : problemsOfMessage(blocks);
        return problems.length > 0
          ? refuse('invalid_blocks', problems)
          : { body: { ok: true, message_ts: '1.1' } };
      }
      default:
        return refuse('unknown_method');
    }
  }
}
