/** A TLS proxy before the stack's Kubernetes API that breaks one patch of a Deployment at a chosen moment. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { StackKube } from '../../demo/stack/attach-stack.ts';
import { kubeconfig } from '../../demo/stack/kube.ts';

/** Patches of Deployments themselves; their status and scale are others' business. */
const DEPLOYMENT_PATCH = /^\/apis\/apps\/v1\/namespaces\/[^/]+\/deployments\/[^/?]+(\?|$)/;

export interface PatchSeen {
  path: string;
  /** What the API answered; undefined where the patch never reached it. */
  status?: number;
}

export interface PatchFault {
  /** Before the API has seen the patch, or after it has answered it; the client hears nothing in either case. */
  at: 'before' | 'after';
  interrupt: () => Promise<void>;
}

export interface KubeProxy {
  /** The administrator's, with the proxy in the API's place. */
  readonly kubeconfigPath: string;
  /** Patches of Deployments in order. */
  readonly patches: readonly PatchSeen[];
  /** Breaks the next patch of a Deployment, once. */
  breakNextPatch(fault: PatchFault): void;
  close(): Promise<void>;
}

/** Passes every request on to the API as it is, with the client's own credentials. */
export async function startKubeProxy(kube: StackKube, kubeconfigPath: string): Promise<KubeProxy> {
  const api = new URL(kube.server);
  const ca = readFileSync(kube.caPath, 'utf8');
  const agent = new Agent({ keepAlive: true, ca });
  const patches: PatchSeen[] = [];
  let fault: PatchFault | undefined;

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const url = incoming.url ?? '/';
    const body = await buffer(incoming);
    if (incoming.method !== 'PATCH' || !DEPLOYMENT_PATCH.test(url)) {
      const answer = await forward(api, agent, incoming, body);
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      return;
    }
    const seen: PatchSeen = { path: url };
    patches.push(seen);
    const breaks = fault;
    fault = undefined;
    if (breaks?.at === 'before') {
      await breaks.interrupt();
      outgoing.destroy();
      return;
    }
    const answer = await forward(api, agent, incoming, body);
    const text = await buffer(answer);
    seen.status = answer.statusCode;
    if (breaks) {
      await breaks.interrupt();
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(text);
  };

  const server = createServer(
    // The API's own pair is for this address, whatever the port.
    { cert: ca, key: readFileSync(path.join(path.dirname(kube.caPath), 'apiserver.key')) },
    (incoming, outgoing) => {
      // As a network does it: the connection ends.
      handle(incoming, outgoing).catch(() => outgoing.destroy());
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await writeFile(kubeconfigPath, kubeconfig(`https://127.0.0.1:${port}`, ca, kube.adminToken), {
    mode: 0o600,
  });
  return {
    kubeconfigPath,
    patches,
    breakNextPatch: (next) => {
      fault = next;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
}

async function forward(
  api: URL,
  agent: Agent,
  incoming: IncomingMessage,
  body: Buffer,
): Promise<IncomingMessage> {
  const { method, headers } = incoming;
  const outgoing = request(new URL(incoming.url ?? '/', api), {
    agent,
    method,
    headers: { ...headers, host: api.host },
  });
  outgoing.end(body);
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return answer;
}
