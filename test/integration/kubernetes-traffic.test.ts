import type { V1ConfigMap } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import type { Breaker } from '../../domain/breaker.ts';
import { type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';

const NAME = 'ai-circuit-breaker-state';
const V1 = 'registry.test/llm:v1';

async function read(world: KubeWorld): Promise<V1ConfigMap> {
  return world.core.readNamespacedConfigMap({ namespace: world.namespace, name: NAME });
}

function open(sinceMs = Date.now(), fallback?: string): Breaker {
  return { state: 'open', sinceMs, reason: 'incident inc-1', fallback, share: 0 };
}

describe('the breaker`s ConfigMap', () => {
  let world: KubeWorld;
  beforeAll(async () => {
    world = await openKubeWorld();
  });
  afterAll(() => world?.stop());

  it('is created, written once a command, and shared by targets', async () => {
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const target = world.target('llm-api');
    expect(await traffic.readBreaker({ target })).toEqual({});

    const breaker = open(Date.now(), 'llm-fallback');
    const first = await traffic.projectBreaker({ target, breaker, commandId: 'c1' });
    expect(first.changed).toBe(true);
    expect(await traffic.projectBreaker({ target, breaker, commandId: 'c1' })).toEqual({
      ...first,
      changed: false,
    });
    const alone = await read(world);
    expect(alone.metadata?.labels).toMatchObject({ 'app.kubernetes.io/managed-by': 'firebreak' });
    expect(alone.data?.state).toBe('open');
    expect(JSON.parse(alone.data?.['deployment.llm-api'] ?? '')).toEqual({
      state: 'open',
      since: new Date(breaker.sinceMs).toISOString(),
      reason: 'incident inc-1',
      fallback: 'llm-fallback',
      share: 0,
      commandId: 'c1',
    });
    expect(await traffic.readBreaker({ target })).toEqual({ breaker, commandId: 'c1' });

    const half: Breaker = { ...breaker, state: 'half-open', sinceMs: breaker.sinceMs + 1, share: 0.1 };
    await traffic.projectBreaker({ target, breaker: half, commandId: 'c2' });
    expect((await read(world)).data?.state).toBe('half_open');

    const other = world.target('summariser');
    await traffic.projectBreaker({ target: other, breaker: open(), commandId: 'c3' });
    const both = await read(world);
    expect(Object.keys(both.data ?? {}).sort()).toEqual(['deployment.llm-api', 'deployment.summariser']);
    expect(await traffic.readBreaker({ target })).toEqual({ breaker: half, commandId: 'c2' });
  });

  it('loses no target when many are written at once', async () => {
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const names = Array.from({ length: 6 }, (_, index) => `model-${index}`);
    await Promise.all(
      names.map((name) =>
        traffic.projectBreaker({ target: world.target(name), breaker: open(), commandId: `many-${name}` }),
      ),
    );
    const keys = Object.keys((await read(world)).data ?? {});
    expect(keys).toEqual(expect.arrayContaining(names.map((name) => `deployment.${name}`)));
  });

  it('does not let a late attempt bring an older state back, and writes over what others put there', async () => {
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const target = world.target('late');
    const nowMs = Date.now();
    await traffic.projectBreaker({ target, breaker: open(nowMs), commandId: 'newer' });
    const closed: Breaker = { state: 'closed', sinceMs: nowMs - 60_000, reason: 'old', share: 1 };
    await expect(
      traffic.projectBreaker({ target, breaker: closed, commandId: 'older' }),
    ).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    expect((await traffic.readBreaker({ target })).commandId).toBe('newer');

    const configMap = await read(world);
    const since = new Date(nowMs + 1_000).toISOString();
    const foreign = { state: 'closed', since, reason: 'by hand', fallback: null, share: 1, commandId: 'x' };
    configMap.data = { ...configMap.data, 'deployment.late': JSON.stringify(foreign) };
    await world.core.replaceNamespacedConfigMap({
      namespace: world.namespace,
      name: NAME,
      body: configMap,
      fieldManager: 'hand',
    });
    expect((await traffic.readBreaker({ target })).commandId).toBe('x');
    expect(await traffic.projectBreaker({ target, breaker: open(nowMs), commandId: 'newer' })).toMatchObject({
      changed: true,
    });
    expect((await traffic.readBreaker({ target })).breaker?.state).toBe('open');
  });

  it('says what is wrong with a fallback', async () => {
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const target = world.target('served');
    await world.ship('fallback', V1);
    await world.put('fallback-unready', 'registry.test/llm:never-ready');
    const problems = async (fallback: string) =>
      (await traffic.checkFallback({ target, fallback })).problems.join('; ');
    expect(await problems('fallback')).toBe('');
    expect(await problems('served')).toMatch(/the target itself/);
    expect(await problems('absent')).toMatch(/there is no Deployment/);
    expect(await problems('fallback-unready')).toMatch(/no ready replica/);
    await traffic.projectBreaker({
      target: world.target('fallback'),
      breaker: open(Date.now(), 'served'),
      commandId: 'f1',
    });
    expect(await problems('fallback')).toMatch(/diverted itself.*in a circle/);
  });

  it('is not written for a target in observe mode', async () => {
    const observing = await openKubeWorld('observe');
    const traffic = createTrafficActivities({ clusters: observing.clusters });
    const target = observing.target('llm-api');
    await expect(traffic.projectBreaker({ target, breaker: open(), commandId: 'c1' })).rejects.toMatchObject({
      type: 'Refused',
    });
    expect(await traffic.readBreaker({ target })).toEqual({});
    await observing.stop();
  });
});
