import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { KubernetesObjectApi, type V1StatefulSet } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectKube } from '../../demo/world/kube-client.ts';
import type { RollbackPlan, RollbackTo } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { INCIDENT, type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const SERVED = { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} };
const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const NEVER_READY = 'registry.test/llm:never-ready';

let world: KubeWorld;
beforeAll(async () => {
  world = await openKubeWorld();
});
afterAll(() => world?.stop());

const at = (name: string) => ({ namespace: world.namespace, name });
const target = (name: string): Target => ({ ...world.target(name), kind: 'StatefulSet' });

async function put(name: string, image: string, change?: (set: V1StatefulSet) => void): Promise<void> {
  const { namespace } = world;
  const existing = await world.apps.readNamespacedStatefulSet(at(name)).catch(() => undefined);
  const body: V1StatefulSet = existing ?? {
    metadata: { name },
    spec: {
      serviceName: name,
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'model', image }] },
      },
    },
  };
  const container = body.spec?.template.spec?.containers[0];
  if (container !== undefined) container.image = image;
  change?.(body);
  delete body.metadata?.resourceVersion;
  if (existing === undefined) await world.apps.createNamespacedStatefulSet({ namespace, body });
  else await world.apps.replaceNamespacedStatefulSet({ ...at(name), body });
}

async function ship(name: string, image: string, change?: (set: V1StatefulSet) => void): Promise<void> {
  await put(name, image, change);
  await until(`${name} to run ${image}`, async () => {
    const { metadata, spec, status } = await world.apps.readNamespacedStatefulSet(at(name));
    return (
      status?.observedGeneration === metadata?.generation &&
      status?.currentRevision === status?.updateRevision &&
      status?.updatedReplicas === spec?.replicas &&
      status?.availableReplicas === spec?.replicas
    );
  });
}

async function answer(name: string, to: RollbackTo = 'previous') {
  return world.activities().planRollback({
    target: target(name),
    to,
    ledger: {},
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: SERVED,
  });
}

async function plan(name: string, to?: RollbackTo): Promise<RollbackPlan> {
  const made = await answer(name, to);
  if ('none' in made) throw new Error(made.none.reason);
  return made.plan;
}

function apply(made: RollbackPlan) {
  return world
    .activities()
    .applyRollback({ plan: made, ...INCIDENT, decisions: [world.signed(made)], commandId: 'command-1' });
}

function wait(made: RollbackPlan, generation: number, timeoutMs: number) {
  return world
    .activities()
    .awaitRollout({ target: made.target, templateHash: made.to.templateHash, generation, timeoutMs });
}

async function podImages(name: string): Promise<Record<string, string | undefined>> {
  const { items } = await world.core.listNamespacedPod({
    namespace: world.namespace,
    labelSelector: `app=${name}`,
  });
  return Object.fromEntries(
    items.map(({ metadata, spec }) => [metadata?.name ?? '', spec?.containers[0]?.image]),
  );
}

describe('rolling back a StatefulSet', () => {
  it('plans, patches once and waits for the last pod', async () => {
    await ship('whole', V1, ({ metadata }) => {
      if (metadata) metadata.annotations = { 'kubernetes.io/change-cause': 'first', team: 'a' };
    });
    await ship('whole', V2, ({ metadata }) => {
      if (metadata) metadata.annotations = { 'kubernetes.io/change-cause': 'second', team: 'b' };
    });
    const facts = await world.activities().readTarget({ target: target('whole') });
    expect(facts).toMatchObject({ exists: true, revision: 2, images: [V2], replicas: 2, readyReplicas: 2 });

    const made = await plan('whole');
    expect(made.from).toMatchObject({ revision: 2, images: [V2], changeCause: 'second', replicas: 2 });
    expect(made.to).toMatchObject({ revision: 1, images: [V1], changeCause: 'first', replicas: 0 });
    expect(made.diff).toContain(`+    - image: ${V1}`);
    expect(made.warnings.join('\n')).toMatch(/one after the other, the highest number first/);
    expect(made.history.map(({ revision }) => revision)).toEqual([2, 1]);

    const first = await apply(made);
    expect(first).toMatchObject({ result: 'patched' });
    expect(await wait(made, first.generation, 20_000)).toMatchObject({
      outcome: 'complete',
      revision: 3,
      readyReplicas: 2,
      wantedReplicas: 2,
    });
    expect(await podImages('whole')).toEqual({ 'whole-0': V1, 'whole-1': V1 });
    // As kubectl: the annotations of a StatefulSet are none of an undo's business.
    const { metadata } = await world.apps.readNamespacedStatefulSet(at('whole'));
    expect(metadata?.annotations).toMatchObject({ 'kubernetes.io/change-cause': 'second', team: 'b' });
    expect(await apply(made)).toMatchObject({ result: 'already-there', revision: 3 });

    const snapshot = await world.activities().takeSnapshot({ target: target('whole') });
    expect(snapshot).toMatchObject({ revision: 3, images: [V1] });
    const { changes } = await world.activities().listChanges({ target: target('whole'), sinceMs: 0 });
    expect(changes.map(({ what }) => what).join('\n')).toMatch(/StatefulSet written by/);
  });

  it('voids an approval when template, update strategy or identity changed, and not when it was scaled', async () => {
    await ship('drift', V1);
    await ship('drift', V2);
    const made = await plan('drift');
    await ship('drift', V2, ({ spec }) => {
      if (spec) spec.replicas = 1;
    });
    expect((await plan('drift')).hash).toBe(made.hash);
    await ship('drift', V2, ({ spec }) => {
      if (spec) spec.updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } };
    });
    await expect(apply(made)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/StatefulSet\/drift changed .*strategy/),
    });
    const again = await plan('drift');
    await put('drift', 'registry.test/llm:v3');
    await expect(apply(again)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/template/),
    });
  });

  it('adopts a rollback by hand that came first', async () => {
    await ship('by-hand', V1);
    await ship('by-hand', V2);
    const made = await plan('by-hand');
    const { kubectlPath, kubeconfigPath } = inject('stack').kube;
    const where = ['--kubeconfig', kubeconfigPath, '--namespace', world.namespace];
    await promisify(execFile)(kubectlPath, ['rollout', 'undo', 'statefulset/by-hand', ...where]);
    const applied = await apply(made);
    expect(applied).toMatchObject({ result: 'already-there' });
    expect(await wait(made, applied.generation, 20_000)).toMatchObject({ outcome: 'complete' });
  });

  it('says that OnDelete leaves the pods, and which ones to delete', async () => {
    const onDelete = ({ spec }: V1StatefulSet) => {
      if (spec) spec.updateStrategy = { type: 'OnDelete' };
    };
    await ship('on-delete', V1);
    await ship('on-delete', V2);
    await put('on-delete', V2, onDelete);
    const made = await plan('on-delete');
    expect(made.warnings.join('\n')).toMatch(/OnDelete: pods keep running .*kubectl delete pod NAME -n it-/);
    const { generation } = await apply(made);
    expect(await wait(made, generation, 2_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(
        /0 of 2 pods ready, 2 of other .* delete on-delete-0, on-delete-1 one by one/,
      ),
    });
    for (const name of ['on-delete-0', 'on-delete-1']) await world.core.deleteNamespacedPod(at(name));
    expect(await wait(made, generation, 20_000)).toMatchObject({ outcome: 'complete' });
  });

  it('says which pods a partition keeps', async () => {
    await ship('partition', V1);
    await ship('partition', V2);
    await put('partition', V2, ({ spec }) => {
      if (spec) spec.updateStrategy = { type: 'RollingUpdate', rollingUpdate: { partition: 1 } };
    });
    const made = await plan('partition');
    expect(made.warnings.join('\n')).toMatch(/The partition is 1: .* partition-0 run another template/);
    const { generation } = await apply(made);
    await until(
      'partition-1 to be replaced',
      async () => (await podImages('partition'))['partition-1'] === V1,
    );
    expect(await wait(made, generation, 3_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/1 of other revisions left: the partition 1 keeps partition-0/),
    });
  });

  it('names the pods that keep an ordered StatefulSet from going back, and goes on when they are gone', async () => {
    await ship('stuck', V1);
    await put('stuck', NEVER_READY);
    await until('the broken pod', async () => (await podImages('stuck'))['stuck-1'] === NEVER_READY);
    const made = await plan('stuck');
    expect(made.warnings.join('\n')).toMatch(/stuck-1 is not ready, and the controller waits for that/);
    const { generation } = await apply(made);
    expect(await wait(made, generation, 3_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/stuck-1 is not ready.*delete what is stuck/),
    });
    expect((await podImages('stuck'))['stuck-1']).toBe(NEVER_READY);
    await world.core.deleteNamespacedPod(at('stuck-1'));
    expect(await wait(made, generation, 20_000)).toMatchObject({ outcome: 'complete' });
  });

  it('knows the template again that the API puts newer defaults into', async () => {
    await ship('defaults', V2);
    const set = await world.apps.readNamespacedStatefulSet(at('defaults'));
    // As an older Kubernetes wrote it: without what has become a default since.
    const template = {
      $patch: 'replace',
      metadata: { labels: { app: 'defaults' } },
      spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'model', image: V1 }] },
    };
    const { config } = connectKube(inject('stack').kube.kubeconfigPath);
    await KubernetesObjectApi.makeApiClient(config).create({
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: 'defaults-old',
        namespace: world.namespace,
        labels: { app: 'defaults' },
        ownerReferences: [
          {
            apiVersion: 'apps/v1',
            kind: 'StatefulSet',
            name: 'defaults',
            uid: set.metadata?.uid ?? '',
            controller: true,
          },
        ],
      },
      revision: 0,
      data: { spec: { template } },
    } as object);
    const made = await plan('defaults');
    expect(made.to).toMatchObject({ replicaSet: 'defaults-old', images: [V1] });
    const { generation } = await apply(made);
    expect(await apply(made)).toMatchObject({ result: 'already-there' });
    expect(await wait(made, generation, 20_000)).toMatchObject({ outcome: 'complete', readyReplicas: 2 });
    expect(await apply(made)).toMatchObject({ result: 'already-there' });
  });

  it('cannot tell from Prometheus what a revision served, and goes by the ledger', async () => {
    await ship('ledger', V1);
    await ship('ledger', V2);
    const served = async () => ({ classified: 10_000, harmful: 0, seconds: 7_200 });
    const input = {
      target: target('ledger'),
      to: 'last-known-good' as const,
      ledger: {},
      approval: { from: ['ml-oncall'], count: 1 },
      gitops: 'refuse' as const,
      served: SERVED,
    };
    // Its pods have the same names before and after.
    const unknown = await world.activities(served).planRollback(input);
    expect('none' in unknown && unknown.none.reason).toMatch(/Prometheus cannot tell/);
    const { to } = await plan('ledger');
    const verdict = { verdict: 'verified-good', atMs: 1, incidentId: 'inc-1', reason: 'test' } as const;
    const known = await world
      .activities(served)
      .planRollback({ ...input, ledger: { [to.templateHash]: verdict } });
    expect('plan' in known && known.plan.to.revision).toBe(1);
  });
});
