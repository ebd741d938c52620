/** A vendor's server as its customers reach it: every request passes, until an outage begins, and again when it ends. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pollUntil } from '../stack/poll.ts';
import { OUTAGES, type Outage, type OutageName } from './outages.ts';

const LOOPBACK = '127.0.0.1';
/** The port is given up while connections are refused; whoever took it meanwhile did so for a moment. */
const LISTENING_AGAIN_MS = 10_000;
/** Of an answer that passes: they are the connection's, and fetch has undone the encoding. */
const OWN_HEADERS = /^(connection|keep-alive|content-encoding|content-length|transfer-encoding)$/;
const NOT_FORWARDED = /^(host|connection|content-length|transfer-encoding|expect|accept-encoding)$/;

export interface OutageProxy {
  /** The vendor's base address with the proxy's host. */
  url: string;
  /** Requests that met an outage; those that were refused a connection were never seen. */
  disturbed(): number;
  /** Whatever was asked, outage or not: method, path and body. */
  received(): string[];
  /** Begins or changes an outage; undefined ends it, and breaks every answer that was held back. */
  set(outage: OutageName | undefined): Promise<void>;
  close(): Promise<void>;
}

/** @param vendorUrl its base address, with or without a path. */
export async function startOutageProxy(vendorUrl: string): Promise<OutageProxy> {
  const vendor = new URL(vendorUrl);
  let outage: Outage | undefined;
  let disturbed = 0;
  const received: string[] = [];
  let held = new AbortController();

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const now = outage;
    const { signal } = held;
    if (now !== undefined) disturbed += 1;
    if (now?.how === 'reset') return void request.socket.resetAndDestroy();
    const body = await buffer(request);
    received.push(`${request.method} ${request.url}\n${body}`);
    if (now?.how === 'answer') return void response.writeHead(now.status, now.headers).end(now.body());
    if (now?.how === 'trickle') return trickle(response, now.everyMs, signal);
    const answer = await forward(vendor, request, body);
    if (now?.how === 'late') await delay(now.afterMs, undefined, { signal });
    const headers = [...answer.headers].filter(([name]) => !OWN_HEADERS.test(name));
    response
      .writeHead(answer.status, Object.fromEntries(headers))
      .end(Buffer.from(await answer.arrayBuffer()));
  };
  const serve = async (port: number): Promise<Server> => {
    const server = createServer((request, response) => {
      handle(request, response).catch(() => request.socket.destroy());
    });
    server.listen(port, LOOPBACK);
    await once(server, 'listening');
    return server;
  };
  const end = async (server: Server): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };

  let server: Server | undefined = await serve(0);
  const { port } = server.address() as AddressInfo;
  const url = new URL(vendor);
  url.host = `${LOOPBACK}:${port}`;
  return {
    url: url.href.replace(/\/$/, vendorUrl.endsWith('/') ? '/' : ''),
    disturbed: () => disturbed,
    received: () => [...received],
    async set(name) {
      outage = name === undefined ? undefined : OUTAGES[name];
      held.abort();
      held = new AbortController();
      if (outage?.how === 'refuse') {
        if (server) await end(server);
        server = undefined;
        return;
      }
      server ??= await pollUntil(`port ${port} being free again`, LISTENING_AGAIN_MS, () => serve(port));
      // Connections that were kept open end, as they do when a vendor goes down or comes back.
      server.closeAllConnections();
    },
    async close() {
      held.abort();
      if (server) await end(server);
      server = undefined;
    },
  };
}

/** An answer that begins, goes on and never ends: whoever waits for its end has to give up. */
async function trickle(response: ServerResponse, everyMs: number, signal: AbortSignal): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('{"items":[');
  for (;;) {
    await delay(everyMs, undefined, { signal });
    if (response.destroyed) return;
    response.write(' ');
  }
}

function forward(vendor: URL, request: IncomingMessage, body: Buffer): Promise<Response> {
  const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && !NOT_FORWARDED.test(name) ? [[name, value]] : [],
  );
  return fetch(new URL(request.url ?? '/', vendor), {
    method: request.method ?? 'GET',
    headers,
    ...(body.length > 0 && { body: Uint8Array.from(body) }),
    redirect: 'manual',
  });
}
