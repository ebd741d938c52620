import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { TrafficOptions } from '../../demo/traffic/options.ts';
import { spawnTraffic } from '../../demo/traffic/spawn-traffic.ts';
import { startTraffic } from '../../demo/traffic/start-traffic.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import {
  awaitRolledOut,
  createNamespace,
  deleteNamespace,
  imageOf,
  revisionsOf,
  type ShipModelOptions,
  shipModel,
  writeConfigMap,
} from '../../demo/world/models.ts';
import { startNode } from '../../demo/world/node.ts';
import { BREAKER_CONFIG_MAP, type BreakerProjection, HALF_OPEN_LEASE_MS } from '../../domain/breaker.ts';
import '../setup/provided.ts';

const V1 = 'demo.invalid/llm:v1';
const V2 = 'demo.invalid/llm:v2';
const CANARY = `canary-${randomBytes(6).toString('hex')}`;
const WAIT_MS = 20_000;

let kubeconfig: string;
let dir: string;
/** Traffic ends with its test. */
const cleanups: (() => Promise<void>)[] = [];
/** A namespace takes 5 s to go, whatever is in it: all go side by side in the end. */
const closings: (() => Promise<void>)[] = [];
let proxy: Awaited<ReturnType<typeof startProxy>> | undefined;

beforeAll(async () => {
  kubeconfig = inject('stack').kube.kubeconfigPath;
  dir = await mkdtemp(join(tmpdir(), 'firebreak-world-'));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  await Promise.all(closings.map((close) => close()));
  await proxy?.cut();
  await rm(dir, { recursive: true, force: true });
});

/** A namespace with a node of its own, by default over the stack's own connection. */
async function openWorld(nodeKubeconfig = kubeconfig) {
  const namespace = `world-${randomBytes(4).toString('hex')}`;
  await createNamespace(kubeconfig, namespace);
  const node = await startNode({ kubeconfig: nodeKubeconfig, namespaces: [namespace] });
  closings.push(async () => {
    await deleteNamespace(kubeconfig, namespace);
    await node.stop();
  });
  const ref = (name = 'llm-api') => ({ kubeconfig, namespace, name });
  const ship = (image: string, change: Partial<ShipModelOptions> = {}) =>
    shipModel({ ...ref(change.name), image, replicas: 2, ...change });
  const { core } = connectKube(kubeconfig);
  const pods = async () => (await core.listNamespacedPod({ namespace })).items;
  return { namespace, node, ref, ship, pods };
}

type World = Awaited<ReturnType<typeof openWorld>>;

function trafficTo(
  { namespace }: Pick<World, 'namespace'>,
  change: Partial<TrafficOptions> = {},
): TrafficOptions {
  return {
    kubeconfig,
    namespace,
    deployments: [{ name: 'llm-api' }],
    rps: 600,
    fallback: 'llm-fallback',
    canary: CANARY,
    images: { [V1]: { harmRate: 0 }, [V2]: { harmRate: 0.2 } },
    ...change,
  };
}

async function writeBreaker(
  world: World,
  breaker: Pick<BreakerProjection, 'state' | 'share'>,
): Promise<void> {
  const projection: BreakerProjection = {
    ...breaker,
    since: new Date().toISOString(),
    reason: 'test',
    fallback: 'llm-fallback',
    commandId: 'test',
    validUntil:
      breaker.state === 'half-open' ? new Date(Date.now() + HALF_OPEN_LEASE_MS).toISOString() : null,
  };
  const data = { 'deployment.llm-api': JSON.stringify(projection) };
  await writeConfigMap({ ...world.ref(BREAKER_CONFIG_MAP), data });
}

/** Values of a metric by `deployment/revision/pod`. */
async function scrape(metricsUrl: string, metric: string): Promise<Map<string, number>> {
  const text = await (await fetch(metricsUrl)).text();
  const values = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${metric}{`)) continue;
    const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1];
    values.set(
      `${label('deployment')}/${label('revision')}/${label('pod')}`,
      Number(line.slice(line.lastIndexOf(' '))),
    );
  }
  return values;
}

const sum = (values: Map<string, number>, deployment: string): number =>
  [...values].reduce((total, [key, value]) => (key.startsWith(`${deployment}/`) ? total + value : total), 0);

describe('the played node', () => {
  it('rolls a model out, then a new revision of it, and back to the first by the same ReplicaSet', async () => {
    const { ship, ref, pods, node } = await openWorld();
    await ship(V1);
    expect(await awaitRolledOut(ref())).toEqual({ revision: 1, image: V1, readyReplicas: 2 });
    const [pod] = await pods();
    expect(pod?.spec?.nodeName).toBe(node.name);
    expect(pod?.status?.containerStatuses?.[0]?.imageID).toMatch(/^demo\.invalid\/llm@sha256:[0-9a-f]{64}$/);

    await ship(V2);
    expect(await awaitRolledOut({ ...ref(), image: V2 })).toMatchObject({ revision: 2 });
    await ship(V1);
    expect(await awaitRolledOut({ ...ref(), image: V1 })).toMatchObject({ revision: 3 });
    expect(await imageOf(ref())).toBe(V1);
    const { current, revisions } = await revisionsOf(ref());
    expect(current).toBe(3);
    expect(revisions.map(({ revision, image }) => [revision, image])).toEqual([
      [3, V1],
      [2, V2],
    ]);
  });

  it('makes no new revision when the same is shipped again', async () => {
    const { ship, ref } = await openWorld();
    const first = await ship(V1);
    await awaitRolledOut(ref());
    expect(await ship(V1, { replicas: 2, changeCause: `ship ${V1}` })).toEqual(first);
  });

  it('leaves pods of an image that never becomes ready unready past the deadline, until the image is mended', async () => {
    const { ship, ref, node } = await openWorld();
    await ship(V1, { progressDeadlineSeconds: 2 });
    await awaitRolledOut(ref());
    node.setImage(V2, { ready: 'never' });
    await ship(V2, { progressDeadlineSeconds: 2 });
    const { apps } = connectKube(kubeconfig);
    const { name, namespace } = ref();
    await pollUntil('the deadline of the rollout', WAIT_MS, async () => {
      const { status } = await apps.readNamespacedDeployment({ name, namespace });
      return status?.conditions?.find(({ reason }) => reason === 'ProgressDeadlineExceeded');
    });
    await expect(awaitRolledOut({ ...ref(), image: V2, timeoutMs: 300 })).rejects.toThrow(/1 of 2 updated/);
    node.setImage(V2, { ready: 50 });
    expect(await awaitRolledOut({ ...ref(), image: V2 })).toMatchObject({ readyReplicas: 2 });
  });

  it('shows crashing and unschedulable pods as a cluster does', async () => {
    const { ship, node, pods } = await openWorld();
    node.setImage('demo.invalid/crash:1', { ready: 'crash' });
    node.setImage('demo.invalid/huge:1', { ready: 'unschedulable' });
    await ship('demo.invalid/crash:1', { name: 'crash', replicas: 1 });
    await ship('demo.invalid/huge:1', { name: 'huge', replicas: 1 });
    const seen = await pollUntil('both to show', WAIT_MS, async () => {
      const all = await pods();
      const crash = all.find((pod) => pod.status?.containerStatuses?.[0]?.state?.waiting !== undefined);
      const huge = all.find((pod) =>
        pod.status?.conditions?.some(({ reason }) => reason === 'Unschedulable'),
      );
      return crash !== undefined && huge !== undefined ? { crash, huge } : undefined;
    });
    expect(seen.crash.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('CrashLoopBackOff');
    expect(seen.huge.status?.phase).toBe('Pending');
    expect(seen.huge.spec?.nodeName).toBeUndefined();
  });

  it('runs pods of its own namespaces only, beside another node', async () => {
    const [a, b] = [await openWorld(), await openWorld()];
    await a.ship(V1);
    await b.ship(V1);
    await awaitRolledOut(a.ref());
    await awaitRolledOut(b.ref());
    const nodesOf = async (world: World) => new Set((await world.pods()).map(({ spec }) => spec?.nodeName));
    expect(await nodesOf(a)).toEqual(new Set([a.node.name]));
    expect(await nodesOf(b)).toEqual(new Set([b.node.name]));
  });

  it('and the traffic go on after every connection was cut and the API was away', async () => {
    proxy = await startProxy();
    const world = await openWorld(proxy.kubeconfig);
    const traffic = await startTraffic(trafficTo(world, { kubeconfig: proxy.kubeconfig }));
    cleanups.push(() => traffic.stop());
    await world.ship(V1);
    await awaitRolledOut(world.ref());
    await proxy.cut();
    await world.ship(V2);
    await proxy.mend();
    await awaitRolledOut({ ...world.ref(), image: V2 });
    const keys = await pollUntil('only pods of the second revision', WAIT_MS, async () => {
      const requests = await scrape(traffic.metricsUrl, 'ai_requests_total');
      const busy = [...requests.values()].every((value) => value > 0);
      return requests.size === 2 && busy ? [...requests.keys()] : undefined;
    });
    expect(keys.every((key) => key.startsWith('llm-api/2/'))).toBe(true);
  });
});

describe('the model traffic', () => {
  it('follows the ready pods and obeys the breaker', async () => {
    const world = await openWorld();
    await world.ship(V1);
    await world.ship(V1, { name: 'llm-fallback', replicas: 1 });
    await awaitRolledOut(world.ref());
    await awaitRolledOut(world.ref('llm-fallback'));
    const traffic = await spawnTraffic(trafficTo(world), dir);
    cleanups.push(() => traffic.stop());
    const requests = () => scrape(traffic.metricsUrl, 'ai_requests_total');
    await pollUntil(
      'traffic to v1',
      WAIT_MS,
      async () => sum(await requests(), 'llm-api') > 100 || undefined,
    );
    expect(sum(await scrape(traffic.metricsUrl, 'ai_harmful_outputs_total'), 'llm-api')).toBe(0);

    await world.ship(V2);
    await awaitRolledOut({ ...world.ref(), image: V2 });
    await pollUntil('harm by v2', WAIT_MS, async () => {
      const harmful = await scrape(traffic.metricsUrl, 'ai_harmful_outputs_total');
      return sum(harmful, 'llm-api') > 20 || undefined;
    });
    await pollUntil("v1's series to be gone", WAIT_MS, async () =>
      [...(await requests()).keys()].every((key) => !key.startsWith('llm-api/1/')) ? true : undefined,
    );
    const samples = await fetch(`${traffic.samplesUrl}?deployment=llm-api&harmful=true&limit=5`);
    const { items } = (await samples.json()) as { items: { text: string; revision: string }[] };
    expect(items).toHaveLength(5);
    expect(items.every(({ text, revision }) => text.includes(CANARY) && revision === '2')).toBe(true);

    await writeBreaker(world, { state: 'open', share: 0 });
    await pollUntil('traffic to the fallback', WAIT_MS, async () =>
      sum(await requests(), 'llm-fallback') > 0 ? true : undefined,
    );
    const [targetBefore, fallbackBefore] = [await requests(), await requests()];
    await pollUntil('more of it', WAIT_MS, async () =>
      sum(await requests(), 'llm-fallback') > sum(fallbackBefore, 'llm-fallback') + 300 ? true : undefined,
    );
    expect(sum(await requests(), 'llm-api')).toBe(sum(targetBefore, 'llm-api'));

    await writeBreaker(world, { state: 'half-open', share: 0.5 });
    await pollUntil('a share to the target', WAIT_MS, async () =>
      sum(await requests(), 'llm-api') > sum(targetBefore, 'llm-api') + 100 ? true : undefined,
    );
  });

  it('takes directions, and refuses those that it cannot follow', async () => {
    const world = await openWorld();
    const traffic = await spawnTraffic(trafficTo(world), dir);
    cleanups.push(() => traffic.stop());
    await traffic.control({ rps: 5, images: { [V1]: { harmRate: 0.5 } }, classifying: false });
    const state = await (await fetch(traffic.metricsUrl.replace('/metrics', '/state'))).json();
    expect(state).toMatchObject({ rps: 5, classifying: false, images: { [V1]: { harmRate: 0.5 } } });
    await expect(traffic.control({ rps: -1 })).rejects.toThrow(/rps/);
  });

  it('ends with whoever started it', async () => {
    const { namespace } = await openWorld();
    const config = join(dir, 'ends.json');
    await writeFile(config, JSON.stringify(trafficTo({ namespace })));
    const program = fileURLToPath(new URL('../../demo/traffic/main.ts', import.meta.url));
    const child = spawn(process.execPath, [program, '--config', config, '--exit-with-stdin'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(child.stdout), 'line');
    expect(JSON.parse(String(line))).toMatchObject({ metricsUrl: expect.stringContaining('127.0.0.1') });
    const exited = once(child, 'exit');
    child.stdin.end();
    expect(await exited).toEqual([0, null]);
  });

  it('says what is wrong with its options', async () => {
    const { namespace } = await openWorld();
    const options = trafficTo({ namespace });
    await expect(startTraffic({ ...options, rps: -5 })).rejects.toThrow(/rps/);
    await expect(startTraffic({ ...options, kubeconfig: join(dir, 'none') })).rejects.toThrow(/none/);
  });
});

/** Passes bytes to the API server, until it is cut. */
async function startProxy() {
  const text = await readFile(kubeconfig, 'utf8');
  const port = Number(new URL(inject('stack').kube.server).port);
  const sockets = new Set<Socket>();
  const open = async (listenPort: number) => {
    const server = createServer((near) => {
      const far = connect(port, '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
    });
    server.listen(listenPort, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  let server = await open(0);
  const { port: proxyPort } = server.address() as AddressInfo;
  const cut = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const path = join(dir, 'proxy.kubeconfig');
  await writeFile(path, text.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${proxyPort}`), { mode: 0o600 });
  return {
    kubeconfig: path,
    cut,
    mend: async () => {
      server = await open(proxyPort);
    },
  };
}
