import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import type { CustomObjectsApi, V1Deployment } from '@kubernetes/client-node';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import type { Breaker } from '../../domain/breaker.ts';
import '../setup/provided.ts';
import { installCrds } from './crds.ts';
import { CLUSTER, type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const ROUTES = { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes' } as const;
const ANNOTATION = 'firebreak.dev/original-backends';
const SECRET = `whsec_${Buffer.from('a key of more than twenty-four bytes').toString('base64')}`;

type Backend = { name: string; port?: number; weight?: number; namespace?: string };
interface Route {
  metadata: { name: string; annotations?: Record<string, string>; resourceVersion?: string };
  spec: { rules: { matches?: object[]; backendRefs?: Backend[] }[]; [field: string]: unknown };
  status?: unknown;
}

let sinceMs = Date.now();
/** Each newer than the last. */
function breaker(state: Breaker['state'], share: number, fallback?: string): Breaker {
  sinceMs += 1;
  return { state, sinceMs, reason: 'incident inc-1', fallback, share };
}
const open = (fallback?: string) => breaker('open', 0, fallback);
const half = (share: number, fallback?: string) => breaker('half-open', share, fallback);
const closed = () => breaker('closed', 1);

describe('HTTPRoutes', () => {
  let world: KubeWorld;
  let objects: CustomObjectsApi;
  let traffic: ReturnType<typeof createTrafficActivities>;

  beforeAll(async () => {
    const { kubeconfigPath } = inject('stack').kube;
    await installCrds(kubeconfigPath, ['gateway-api']);
    world = await openKubeWorld();
    ({ objects } = connectKube(kubeconfigPath));
    traffic = createTrafficActivities({ clusters: world.clusters });
    await world.put('fallback', 'registry.test/llm:v1');
  });
  afterAll(() => world?.stop());

  const annotated = (annotations: Record<string, string>) => (deployment: V1Deployment) => {
    deployment.metadata = { ...deployment.metadata, annotations };
  };
  const place = (name: string) => ({ ...ROUTES, namespace: world.namespace, name });
  async function make(name: string, rules: Route['spec']['rules']): Promise<Route> {
    const body = {
      apiVersion: `${ROUTES.group}/${ROUTES.version}`,
      kind: 'HTTPRoute',
      metadata: { name, annotations: { owner: 'somebody' } },
      spec: { parentRefs: [{ name: 'gateway' }], hostnames: ['llm.test'], rules },
    };
    return await objects.createNamespacedCustomObject({ ...place(name), body });
  }
  async function read(name: string): Promise<Route> {
    return await objects.getNamespacedCustomObject(place(name));
  }
  async function change(name: string, edit: (route: Route) => void): Promise<void> {
    const route = await read(name);
    edit(route);
    await objects.replaceNamespacedCustomObject({ ...place(name), body: route });
  }
  async function weights(name: string): Promise<string[]> {
    const { spec } = await read(name);
    return spec.rules.map(({ backendRefs = [] }) =>
      backendRefs.map((one) => `${one.name}=${one.weight}`).join(' '),
    );
  }

  it('follow the breaker through open, half-open and closed, and have then exactly what they had', async () => {
    const before = await make('follow', [
      { matches: [{ path: { type: 'PathPrefix', value: '/v1' } }], backendRefs: [{ name: 'llm', port: 80 }] },
      {
        matches: [{ path: { type: 'PathPrefix', value: '/v2' } }],
        backendRefs: [
          { name: 'llm', port: 80, weight: 9 },
          { name: 'llm-next', port: 80, weight: 1 },
        ],
      },
      {
        matches: [{ path: { type: 'PathPrefix', value: '/docs' } }],
        backendRefs: [{ name: 'docs', port: 80 }],
      },
    ]);
    await world.put(
      'follow',
      'registry.test/llm:v1',
      annotated({ 'firebreak.dev/http-routes': 'follow', 'firebreak.dev/service': 'llm' }),
    );
    const target = world.target('follow');
    const opened = open('fallback');
    const first = await traffic.projectBreaker({ target, breaker: opened, commandId: 'c1' });
    expect(first).toMatchObject({ changed: true, problems: [] });
    expect(await weights('follow')).toEqual([
      'llm=0 fallback=1000',
      'llm=0 llm-next=1000 fallback=9000',
      'docs=1',
    ]);
    expect(await traffic.projectBreaker({ target, breaker: opened, commandId: 'c1' })).toEqual({
      ...first,
      changed: false,
    });
    expect(await traffic.readBreaker({ target, wanted: opened })).toMatchObject({ drift: [], problems: [] });

    await traffic.projectBreaker({ target, breaker: half(0.1, 'fallback'), commandId: 'c2' });
    expect(await weights('follow')).toEqual([
      'llm=100 fallback=900',
      'llm=900 llm-next=1000 fallback=8100',
      'docs=1',
    ]);
    await traffic.projectBreaker({ target, breaker: open(), commandId: 'c3' });
    expect(await weights('follow')).toEqual(['llm=0', 'llm=0 llm-next=0', 'docs=1']);

    const done = await traffic.projectBreaker({ target, breaker: closed(), commandId: 'c4' });
    expect(done).toMatchObject({ changed: true, problems: [] });
    const after = await read('follow');
    expect(after.spec).toEqual(before.spec);
    expect(after.metadata.annotations).toEqual(before.metadata.annotations);
  });

  it('are told apart from what the breaker says, and written again', async () => {
    const before = await make('drifting', [{ backendRefs: [{ name: 'drifting', port: 80 }] }]);
    await world.put(
      'drifting',
      'registry.test/llm:v1',
      annotated({ 'firebreak.dev/http-routes': 'drifting' }),
    );
    const target = world.target('drifting');
    const wanted = open('fallback');
    await traffic.projectBreaker({ target, breaker: wanted, commandId: 'c1' });
    await change('drifting', ({ spec }) => {
      spec.rules = before.spec.rules;
    });
    const { drift } = await traffic.readBreaker({ target, wanted });
    expect(drift).toEqual([
      `HTTPRoute ${world.namespace}/drifting: rule 0 has drifting=1 instead of drifting=0 fallback=1000`,
    ]);
    expect((await traffic.projectBreaker({ target, breaker: wanted, commandId: 'c1~1' })).changed).toBe(true);
    expect(await weights('drifting')).toEqual(['drifting=0 fallback=1000']);

    // A manifest that replaces the object takes the memory with it.
    await change('drifting', ({ metadata, spec }) => {
      delete metadata.annotations;
      spec.rules = before.spec.rules;
    });
    expect((await traffic.readBreaker({ target, wanted })).drift).toHaveLength(1);
    await traffic.projectBreaker({ target, breaker: wanted, commandId: 'c1~2' });
    await traffic.projectBreaker({ target, breaker: closed(), commandId: 'c2' });
    expect((await read('drifting')).spec).toEqual(before.spec);
  });

  it('are given back though the workload names them no longer', async () => {
    const before = await make('unnamed', [{ backendRefs: [{ name: 'unnamed', port: 80 }] }]);
    await world.put('unnamed', 'registry.test/llm:v1', annotated({ 'firebreak.dev/http-routes': 'unnamed' }));
    const target = world.target('unnamed');
    await traffic.projectBreaker({ target, breaker: open('fallback'), commandId: 'c1' });
    await world.put('unnamed', 'registry.test/llm:v1', annotated({}));
    await traffic.projectBreaker({ target, breaker: closed(), commandId: 'c2' });
    expect((await read('unnamed')).spec).toEqual(before.spec);
  });

  it('lose nothing to others who write at the same time, nor to a second breaker', async () => {
    const before = await make('shared', [
      {
        backendRefs: [
          { name: 'one', port: 80, weight: 1 },
          { name: 'two', port: 80, weight: 1 },
        ],
      },
    ]);
    for (const name of ['one', 'two']) {
      await world.put(name, 'registry.test/llm:v1', annotated({ 'firebreak.dev/http-routes': 'shared' }));
    }
    const others = (async () => {
      for (let noise = 1; noise <= 25; noise += 1) {
        const body = [{ op: 'add', path: '/metadata/annotations/noise', value: String(noise) }];
        await objects.patchNamespacedCustomObject({ ...place('shared'), body });
      }
    })();
    const project = async (name: string, one: Breaker, commandId: string) => {
      const input = { target: world.target(name), breaker: one, commandId };
      // As its caller does: again while a problem is told.
      await until(`${commandId} to be written`, async () => {
        const { problems } = await traffic.projectBreaker(input);
        return problems.length === 0;
      });
    };
    await Promise.all([project('one', open('fallback'), 'a1'), project('two', half(0.5, 'fallback'), 'b1')]);
    await others;
    expect(await weights('shared')).toEqual(['one=0 two=500 fallback=1500']);
    await project('one', closed(), 'a2');
    expect(await weights('shared')).toEqual(['one=1000 two=500 fallback=500']);
    await project('two', closed(), 'b2');
    expect((await read('shared')).spec).toEqual(before.spec);
  });

  it('refuse a part of the requests through a Service that is not there', async () => {
    const before = await make('refusing', [{ backendRefs: [{ name: 'refusing', port: 80 }] }]);
    await world.put(
      'refusing',
      'registry.test/llm:v1',
      annotated({ 'firebreak.dev/http-routes': 'refusing' }),
    );
    const target = world.target('refusing');
    const { problems } = await traffic.projectBreaker({ target, breaker: half(0.25), commandId: 'c1' });
    expect(problems).toEqual([]);
    expect(await weights('refusing')).toEqual(['refusing=250 firebreak-refused=750']);
    await traffic.projectBreaker({ target, breaker: closed(), commandId: 'c2' });
    expect((await read('refusing')).spec).toEqual(before.spec);
  });

  it('have their troubles named, and the ConfigMap is written all the same', async () => {
    await make('elsewhere', [{ backendRefs: [{ name: 'another', port: 80 }] }]);
    const refused = await make('unaccepted', [{ backendRefs: [{ name: 'troubled', port: 80 }] }]);
    await objects.replaceNamespacedCustomObjectStatus({
      ...place('unaccepted'),
      body: {
        ...refused,
        status: {
          parents: [
            {
              parentRef: { name: 'gateway' },
              controllerName: 'example.com/gateway',
              conditions: [
                {
                  type: 'Accepted',
                  status: 'False',
                  reason: 'NotAllowedByListeners',
                  message: 'words',
                  lastTransitionTime: '2026-01-01T00:00:00Z',
                },
              ],
            },
          ],
        },
      },
    });
    await world.put(
      'troubled',
      'registry.test/llm:v1',
      annotated({ 'firebreak.dev/http-routes': 'elsewhere, absent,unaccepted' }),
    );
    const target = world.target('troubled');
    const wanted = open('fallback');
    const { changed, problems } = await traffic.projectBreaker({ target, breaker: wanted, commandId: 'c1' });
    expect(changed).toBe(true);
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/there is no HTTPRoute .*\/absent/),
        expect.stringMatching(/elsewhere has no backend that is the Service troubled/),
        expect.stringMatching(
          /unaccepted is not obeyed by its gateway: Accepted is False \(NotAllowedByListeners\)/,
        ),
      ]),
    );
    expect(problems).toHaveLength(3);
    expect((await traffic.readBreaker({ target })).breaker?.state).toBe('open');
    expect((await traffic.readBreaker({ target, wanted })).problems).toHaveLength(3);
  });

  it('with an annotation that somebody broke are opened, and not closed', async () => {
    await make('broken', [{ backendRefs: [{ name: 'broken', port: 80 }] }]);
    await world.put('broken', 'registry.test/llm:v1', annotated({ 'firebreak.dev/http-routes': 'broken' }));
    const target = world.target('broken');
    await traffic.projectBreaker({ target, breaker: open('fallback'), commandId: 'c1' });
    const breakIt = ({ metadata }: Route) => {
      metadata.annotations = { ...metadata.annotations, [ANNOTATION]: '{' };
    };
    await change('broken', breakIt);
    const shut = await traffic.projectBreaker({ target, breaker: closed(), commandId: 'c2' });
    expect(shut.problems).toEqual([expect.stringMatching(/cannot be read, so its weights stay/)]);
    expect(await weights('broken')).toEqual(['broken=0 fallback=1000']);
    const opened = await traffic.projectBreaker({ target, breaker: open('fallback'), commandId: 'c3' });
    expect(opened.problems).toEqual(
      expect.arrayContaining([expect.stringMatching(/taken for the original ones/)]),
    );
    expect(await weights('broken')).toEqual(['broken=0 fallback=1000']);
  });

  it('are never more open than the ConfigMap: a late attempt changes neither', async () => {
    await make('late', [{ backendRefs: [{ name: 'late', port: 80 }] }]);
    await world.put('late', 'registry.test/llm:v1', annotated({ 'firebreak.dev/http-routes': 'late' }));
    const target = world.target('late');
    const older = half(0.5, 'fallback');
    const olderOpen = open('fallback');
    await traffic.projectBreaker({ target, breaker: open('fallback'), commandId: 'newer' });
    await expect(
      traffic.projectBreaker({ target, breaker: older, commandId: 'older' }),
    ).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    expect(await weights('late')).toEqual(['late=0 fallback=1000']);
    await traffic.projectBreaker({ target, breaker: closed(), commandId: 'newest' });
    await expect(
      traffic.projectBreaker({ target, breaker: olderOpen, commandId: 'older' }),
    ).rejects.toMatchObject({ type: 'PreconditionFailed' });
    expect(await weights('late')).toEqual(['late=1']);
  });

  it('and webhooks are tried though the ConfigMap cannot be written, when opening, and only then', async () => {
    await make('alone', [{ backendRefs: [{ name: 'alone', port: 80 }] }]);
    await world.put('alone', 'registry.test/llm:v1', annotated({ 'firebreak.dev/http-routes': 'alone' }));
    const told: string[] = [];
    const server = createServer(async (request, response) => {
      const body = await readText(request);
      new Webhook(SECRET).verify(body, request.headers as Record<string, string>);
      told.push((JSON.parse(body) as { projection: Breaker }).projection.state);
      response.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const clients = world.clusters[CLUSTER];
    if (clients === undefined) throw new Error('there is no cluster');
    const failing = Object.create(clients.core, {
      readNamespacedConfigMap: { value: () => Promise.reject(new Error('the API is away')) },
    });
    const crippled = createTrafficActivities({
      clusters: { [CLUSTER]: { ...clients, core: failing } },
      webhooks: { [CLUSTER]: [{ url, secret: SECRET, timeoutMs: 1_000 }] },
    });
    const target = world.target('alone');
    await expect(
      crippled.projectBreaker({ target, breaker: open('fallback'), commandId: 'c1' }),
    ).rejects.toMatchObject({ type: 'Unavailable' });
    expect(told).toEqual(['open']);
    expect(await weights('alone')).toEqual(['alone=0 fallback=1000']);
    for (const one of [half(0.5, 'fallback'), closed()]) {
      await expect(
        crippled.projectBreaker({ target, breaker: one, commandId: `c-${one.state}` }),
      ).rejects.toMatchObject({ type: 'Unavailable' });
    }
    expect(told).toEqual(['open']);
    expect(await weights('alone')).toEqual(['alone=0 fallback=1000']);
    await new Promise((resolve) => server.close(resolve));
  });
});
