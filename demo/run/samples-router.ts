import { once } from 'node:events';
import { createServer } from 'node:http';

export interface SamplesRouter {
  url: string;
  /** Questions about a namespace are answered by this address from now on. */
  route(namespace: string, samplesUrl: string): void;
  close(): Promise<void>;
}

/** One source of samples for several namespaces: passes each question on to the traffic process of its namespace. */
export async function startSamplesRouter(): Promise<SamplesRouter> {
  const routes = new Map<string, string>();
  const server = createServer(async (request, response) => {
    const asked = new URL(request.url ?? '/', 'http://127.0.0.1');
    const to = routes.get(asked.searchParams.get('namespace') ?? '');
    if (to === undefined) {
      response.writeHead(404).end();
      return;
    }
    try {
      const answer = await fetch(`${to}${asked.search}`);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
    } catch {
      response.writeHead(502).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port on loopback');
  return {
    url: `http://127.0.0.1:${address.port}/samples`,
    route: (namespace, samplesUrl) => void routes.set(namespace, samplesUrl),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
