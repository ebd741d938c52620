import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** What a sink does instead of its usual answer, for the next `times` requests. */
export interface SinkBehaviour {
  /** With 2xx the request is processed as usual. */
  status: number;
  retryAfterSeconds?: number;
  times: number;
  /** Nothing is ever answered: with a 2xx status, a timeout after acceptance. */
  silent?: boolean;
}

export interface JsonRequest {
  path: string;
  headers: IncomingMessage['headers'];
  /** Undefined: no JSON. */
  json: unknown;
  tooLarge: boolean;
}

export interface JsonListener {
  url: string;
  /** Requests that came in, whatever became of them. */
  requests(): number;
  respondWith(behaviour: SinkBehaviour | undefined): void;
  close(): Promise<void>;
}

/**
 * The HTTP part of the demo's vendors: POSTs of JSON on loopback.
 * @param handle what the vendor does; must not throw.
 * @param failure its body for a status that `respondWith` asked for.
 */
export async function listenForJson(options: {
  port?: number;
  maxBodyBytes: number;
  handle(request: JsonRequest): { status: number; body?: unknown };
  failure(status: number): unknown;
}): Promise<JsonListener> {
  let behaviour: SinkBehaviour | undefined;
  let count = 0;

  function takeBehaviour(): SinkBehaviour | undefined {
    if (behaviour === undefined || behaviour.times <= 0) return undefined;
    behaviour = { ...behaviour, times: behaviour.times - 1 };
    return behaviour;
  }

  const server = createServer(async (incoming, response) => {
    const { bytes, tooLarge } = await readBody(incoming, options.maxBodyBytes);
    count += 1;
    if (incoming.method !== 'POST') return answer(response, 405);
    const request = {
      path: incoming.url ?? '/',
      headers: incoming.headers,
      json: parseJson(bytes),
      tooLarge,
    };
    const ordered = takeBehaviour();
    if (ordered === undefined) {
      const { status, body } = options.handle(request);
      return answer(response, status, body);
    }
    const processed = ordered.status >= 200 && ordered.status < 300 ? options.handle(request) : undefined;
    if (ordered.silent) return;
    if (ordered.retryAfterSeconds !== undefined)
      response.setHeader('Retry-After', String(ordered.retryAfterSeconds));
    answer(response, ordered.status, processed?.body ?? options.failure(ordered.status));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the sink listens on no TCP port');

  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => count,
    respondWith(ordered) {
      behaviour = ordered;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** All of it is read, as a client that is cut off while it sends sees a broken connection instead of the answer. */
async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
): Promise<{ bytes: Buffer; tooLarge: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of incoming) {
      length += chunk.length;
      if (length <= maxBytes) chunks.push(chunk);
    }
  } catch {
    // The client went away.
  }
  return { bytes: Buffer.concat(chunks), tooLarge: length > maxBytes };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function answer(response: ServerResponse, status: number, body?: unknown): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** A receiver of a real pager's size. */
const MAX_BODY_BYTES = 1024 * 1024;
const ACTIONS = ['trigger', 'acknowledge', 'resolve'] as const;

/** A message as activities/pager-webhook documents it. */
export interface WebhookMessage {
  version: number;
  action: (typeof ACTIONS)[number];
  incidentId: string;
  role: string;
  dedupKey: string;
  title?: string;
  severity?: string;
  details?: Record<string, string>;
  links?: { text: string; href: string }[];
}

export interface WebhookDelivery {
  atMs: number;
  idempotencyKey: string;
  /** Taken before under the same key: nothing was shown again. */
  duplicate: boolean;
  message: WebhookMessage;
}

export interface WebhookPage {
  id: string;
  role: string;
  dedupKey: string;
  title: string;
  severity: string;
  /** Distinct ones; a repeated attempt is none. */
  triggers: number;
  acknowledged: boolean;
  resolved: boolean;
}

export interface WebhookSink {
  url: string;
  /** All accepted messages in order, duplicates among them. */
  deliveries(): WebhookDelivery[];
  /** One for each role and dedupKey; a trigger after a resolve opens another. */
  pages(): WebhookPage[];
  requests(): number;
  respondWith(behaviour: SinkBehaviour | undefined): void;
  close(): Promise<void>;
}

/** A small on-call bot: the receiving end of the generic webhook pager, on loopback. */
export async function startWebhookSink(
  options: { port?: number; bearerToken?: string } = {},
): Promise<WebhookSink> {
  const deliveries: WebhookDelivery[] = [];
  const pages: WebhookPage[] = [];

  function handle({ headers, json, tooLarge }: JsonRequest) {
    if (options.bearerToken !== undefined && headers.authorization !== `Bearer ${options.bearerToken}`) {
      return { status: 401, body: { error: 'wrong bearer token' } };
    }
    if (tooLarge) return { status: 413, body: { error: `larger than ${MAX_BODY_BYTES} bytes` } };
    const idempotencyKey = headers['idempotency-key'];
    if (typeof idempotencyKey !== 'string') return { status: 400, body: { error: 'no Idempotency-Key' } };
    if (!isMessage(json)) return { status: 400, body: { error: 'not a message of version 1' } };
    const duplicate = deliveries.some((earlier) => earlier.idempotencyKey === idempotencyKey);
    deliveries.push({ atMs: Date.now(), idempotencyKey, duplicate, message: json });
    if (!duplicate) apply(pages, json);
    return { status: 200, body: { id: pageOf(pages, json)?.id ?? null } };
  }

  const listener = await listenForJson({
    port: options.port,
    maxBodyBytes: MAX_BODY_BYTES,
    handle,
    failure: (status) => ({ error: `answers ${status}` }),
  });
  return { ...listener, deliveries: () => structuredClone(deliveries), pages: () => structuredClone(pages) };
}

function isMessage(json: unknown): json is WebhookMessage {
  if (typeof json !== 'object' || json === null) return false;
  const message = json as Partial<Record<keyof WebhookMessage, unknown>>;
  const texts = [message.incidentId, message.role, message.dedupKey];
  if (message.version !== 1 || texts.some((text) => typeof text !== 'string' || text === '')) return false;
  if (!ACTIONS.some((action) => action === message.action)) return false;
  return (
    message.action !== 'trigger' ||
    (typeof message.title === 'string' && typeof message.severity === 'string')
  );
}

/** The newest: an older one of the same key was resolved. */
function pageOf(pages: WebhookPage[], { role, dedupKey }: WebhookMessage): WebhookPage | undefined {
  return pages.findLast((page) => page.role === role && page.dedupKey === dedupKey);
}

function apply(pages: WebhookPage[], message: WebhookMessage): void {
  const page = pageOf(pages, message);
  const open = page?.resolved === false ? page : undefined;
  if (message.action === 'acknowledge' && open) open.acknowledged = true;
  if (message.action === 'resolve' && open) open.resolved = true;
  if (message.action !== 'trigger') return;
  if (open) {
    open.triggers += 1;
    return;
  }
  const { role, dedupKey, title = '', severity = '' } = message;
  const id = `page-${pages.length + 1}`;
  pages.push({ id, role, dedupKey, title, severity, triggers: 1, acknowledged: false, resolved: false });
}
