import type { V1ConfigMap } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import { type Breaker, type BreakerProjection, HALF_OPEN_LEASE_MS } from '../../domain/breaker.ts';
import { type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';

const NAME = 'ai-circuit-breaker-state';
const V1 = 'registry.test/llm:v1';

type Entry = BreakerProjection & { validUntil: string };

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
    expect(await traffic.readBreaker({ target })).toEqual({ drift: [], problems: [] });

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
      validUntil: null,
    });
    const nothing = { drift: [], problems: [] };
    expect(await traffic.readBreaker({ target })).toEqual({ breaker, commandId: 'c1', ...nothing });

    const half: Breaker = { ...breaker, state: 'half-open', sinceMs: breaker.sinceMs + 1, share: 0.1 };
    await traffic.projectBreaker({ target, breaker: half, commandId: 'c2' });
    expect((await read(world)).data?.state).toBe('half_open');

    const other = world.target('summariser');
    await traffic.projectBreaker({ target: other, breaker: open(), commandId: 'c3' });
    const both = await read(world);
    expect(Object.keys(both.data ?? {}).sort()).toEqual([
      'deployment.llm-api',
      'deployment.summariser',
      'state',
    ]);
    expect(both.data?.state).toBe('half_open');
    expect(await traffic.readBreaker({ target })).toEqual({ breaker: half, commandId: 'c2', ...nothing });
  });

  it('has a lease for a half-open breaker, renewed when half of it is over, or when it cannot be ours', async () => {
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const target = world.target('leased');
    const breaker: Breaker = { ...open(), state: 'half-open', share: 0.1 };
    const project = () => traffic.projectBreaker({ target, breaker, commandId: 'lease' });
    const entry = async () => JSON.parse((await read(world)).data?.['deployment.leased'] ?? '') as Entry;
    const endsIn = async (leftMs: number) => {
      const configMap = await read(world);
      const validUntil = new Date(Date.now() + leftMs).toISOString();
      const text = JSON.stringify({ ...(await entry()), validUntil });
      configMap.data = { ...configMap.data, 'deployment.leased': text };
      await world.core.replaceNamespacedConfigMap({
        namespace: world.namespace,
        name: NAME,
        body: configMap,
        fieldManager: 'firebreak',
      });
      return validUntil;
    };
    const before = Date.now();
    expect((await project()).changed).toBe(true);
    const first = (await entry()).validUntil;
    expect(Date.parse(first) - before).toBeGreaterThanOrEqual(HALF_OPEN_LEASE_MS);
    expect(Date.parse(first) - Date.now()).toBeLessThanOrEqual(HALF_OPEN_LEASE_MS);
    expect((await project()).changed).toBe(false);

    const enough = await endsIn(HALF_OPEN_LEASE_MS / 2 + 30_000);
    expect((await project()).changed).toBe(false);
    expect((await entry()).validUntil).toBe(enough);
    // A lease that has to be renewed is no change that somebody else made.
    for (const leftMs of [HALF_OPEN_LEASE_MS / 2, -60_000, 10 * HALF_OPEN_LEASE_MS]) {
      await endsIn(leftMs);
      expect((await traffic.readBreaker({ target, wanted: breaker })).drift).toEqual([]);
      expect((await project()).changed).toBe(true);
      expect(Date.parse((await entry()).validUntil) - Date.now()).toBeGreaterThan(
        HALF_OPEN_LEASE_MS - 30_000,
      );
    }
  });

  it('is compared with what is wanted', async () => {
    const alone = await openKubeWorld();
    const traffic = createTrafficActivities({ clusters: alone.clusters });
    const target = alone.target('compared');
    const wanted = open(Date.now(), 'llm-fallback');
    const drift = async () => (await traffic.readBreaker({ target, wanted })).drift.join();
    const edit = async (change: (data: Record<string, string>) => void) => {
      const configMap = await read(alone);
      configMap.data = { ...configMap.data };
      change(configMap.data);
      await alone.core.replaceNamespacedConfigMap({
        namespace: alone.namespace,
        name: NAME,
        body: configMap,
      });
    };
    const key = 'deployment.compared';
    const repaired = async () => {
      expect((await traffic.projectBreaker({ target, breaker: wanted, commandId: 'c1' })).changed).toBe(true);
      expect(await drift()).toBe('');
    };
    expect(await drift()).toMatch(/has no deployment.compared, which should be open/);
    expect((await traffic.readBreaker({ target, wanted: { ...wanted, state: 'closed' } })).drift).toEqual([]);
    await repaired();
    await edit((data) => {
      data[key] = JSON.stringify({ ...JSON.parse(data[key] ?? ''), share: 0.5 });
    });
    expect(await drift()).toMatch(
      /is open \(share 0.5, .* instead of open \(share 0, fallback llm-fallback\)/,
    );
    await repaired();
    await edit((data) => {
      data[key] = '{';
    });
    expect(await drift()).toMatch(/deployment.compared cannot be read/);
    await repaired();
    await edit((data) => {
      data.state = 'closed';
    });
    expect(await drift()).toMatch(/state is not open/);
    await repaired();
    await alone.stop();
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

    // A longer circle: served -> first -> second -> served.
    await world.ship('first', V1);
    const divert = (name: string, to: string) =>
      traffic.projectBreaker({ target: world.target(name), breaker: open(Date.now(), to), commandId: name });
    await divert('second', 'served');
    expect(await problems('first')).toBe('');
    await divert('first', 'second');
    expect(await problems('first')).toMatch(/first is diverted itself.*second is diverted to served/);
    // One that leaves the target out ends as well.
    await divert('second', 'first');
    expect(await problems('first')).toMatch(/^first is diverted itself \(breaker open\)$/);

    await world.ship('puzzling', V1);
    const configMap = await read(world);
    configMap.data = { ...configMap.data, 'deployment.puzzling': '{' };
    await world.core.replaceNamespacedConfigMap({ namespace: world.namespace, name: NAME, body: configMap });
    expect(await problems('puzzling')).toMatch(/the breaker of puzzling cannot be read/);
  });

  it('is not written for a target in observe mode', async () => {
    const observing = await openKubeWorld('observe');
    const traffic = createTrafficActivities({ clusters: observing.clusters });
    const target = observing.target('llm-api');
    await expect(traffic.projectBreaker({ target, breaker: open(), commandId: 'c1' })).rejects.toMatchObject({
      type: 'Refused',
    });
    expect((await traffic.readBreaker({ target })).breaker).toBeUndefined();
    await observing.stop();
  });
});
