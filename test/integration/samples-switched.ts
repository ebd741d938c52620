import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface SwitchedServer {
  url: string;
  /** The next request gets this instead; `never`: no answer. */
  answer(next: { status: number | 'never'; headers?: Record<string, string> }): void;
  close(): Promise<void>;
}

/** A server on loopback that answers as told, once, in place of what stands behind it. */
export async function startSwitched(
  behind: (incoming: IncomingMessage, response: ServerResponse) => void,
): Promise<SwitchedServer> {
  let told: Parameters<SwitchedServer['answer']>[0] | undefined;
  const server = createServer((incoming, response) => {
    const next = told;
    told = undefined;
    if (next === undefined) return behind(incoming, response);
    if (next.status === 'never') return undefined;
    response.writeHead(next.status, next.headers);
    // A body that must not be quoted.
    return response.end('CANARY-9f3d harmful text');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    answer(next) {
      told = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
