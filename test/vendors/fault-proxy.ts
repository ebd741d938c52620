/** A vendor's server with troubles in front of it: every request passes, but for those that a test has planned for. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  method: string;
  path: string;
}

/** `lost-answer`: the vendor does what it was asked, and the caller never hears of it. */
export type Trouble =
  | { kind: 'lost-answer' }
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string };

export interface FaultProxy {
  url: string;
  /** In order, also those that ran into trouble. */
  seen: Seen[];
  /** Asked for each request; undefined: it passes. Until it is planned anew. */
  plan(trouble: ((request: Seen) => Trouble | undefined) | undefined): void;
  close(): Promise<void>;
}

/** @param upstream base address of the vendor's server. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const seen: Seen[] = [];
  let planned: ((request: Seen) => Trouble | undefined) | undefined;
  const server = createServer((request, response) => {
    const asked = { method: request.method ?? '', path: request.url ?? '' };
    seen.push(asked);
    const trouble = planned?.(asked);
    void (async () => {
      const body = await bodyOf(request);
      if (trouble?.kind === 'answer') {
        response.writeHead(trouble.status, { 'content-type': 'application/json', ...trouble.headers });
        response.end(trouble.body ?? '{"message":"vendor text with s3cret"}');
        return;
      }
      const answer = await fetch(new URL(asked.path, upstream), {
        method: asked.method,
        headers: forwarded(request),
        ...(body.length > 0 && { body }),
        redirect: 'manual',
      });
      const text = Buffer.from(await answer.arrayBuffer());
      if (trouble?.kind === 'lost-answer') {
        request.socket.destroy();
        return;
      }
      const headers = Object.fromEntries(
        [...answer.headers].filter(
          ([name]) => !/^(content-encoding|content-length|transfer-encoding)$/.test(name),
        ),
      );
      response.writeHead(answer.status, headers);
      response.end(text);
    })().catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    plan: (trouble) => {
      planned = trouble;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.from(Buffer.concat(chunks));
}

function forwarded({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' && !/^(host|connection|content-length|transfer-encoding|expect)$/.test(name)
        ? [[name, value]]
        : [],
    ),
  );
}
