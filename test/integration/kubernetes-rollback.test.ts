import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { CLUSTER, INCIDENT, type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const SERVED = { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} };
const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const V3 = 'registry.test/llm:v3';

let world: KubeWorld;
beforeAll(async () => {
  world = await openKubeWorld();
});
afterAll(() => world?.stop());

async function shipAndPlan(
  name: string,
  count = 1,
  images = [V1, V2],
  approval: Partial<RollbackPlan['approval']> = {},
): Promise<RollbackPlan> {
  for (const image of images) await world.ship(name, image);
  const answer = await world.activities().planRollback({
    target: world.target(name),
    to: 'previous',
    ledger: {},
    approval: { from: ['ml-oncall', 'commander'], count, ...approval },
    gitops: 'refuse' as const,
    served: SERVED,
  });
  if ('none' in answer) throw new Error(answer.none.reason);
  return answer.plan;
}

function apply(plan: RollbackPlan, decisions = [world.signed(plan)]) {
  return world.activities().applyRollback({ plan, ...INCIDENT, decisions, commandId: 'command-1' });
}

async function generationOf(name: string): Promise<number> {
  return (await world.read(name)).metadata?.generation ?? 0;
}

describe('applyRollback', () => {
  it('patches once, and finds the second time that it is there', async () => {
    const plan = await shipAndPlan('applied');
    const first = await apply(plan);
    expect(first).toMatchObject({ result: 'patched', approvedBy: ['ada'] });
    const rollout = await world.activities().awaitRollout({
      target: plan.target,
      templateHash: plan.to.templateHash,
      generation: first.generation,
      timeoutMs: 20_000,
    });
    expect(rollout).toMatchObject({ outcome: 'complete', revision: 3, readyReplicas: 2, wantedReplicas: 2 });
    expect(await world.imageOf('applied')).toBe(V1);
    const { items } = await world.core.listNamespacedPod({
      namespace: world.namespace,
      labelSelector: 'app=applied',
    });
    expect(items.map((pod) => pod.spec?.containers[0]?.image)).toEqual([V1, V1]);

    const generation = await generationOf('applied');
    expect(await apply(plan)).toMatchObject({ result: 'already-there', revision: 3, generation });
    // A repeated attempt that comes after the approval's end still learns that the work is done.
    const late = world.signed(plan, { expiresAtMs: Date.now() - 1 });
    expect(await apply(plan, [late])).toMatchObject({ result: 'already-there' });
    expect(await generationOf('applied')).toBe(generation);
  });

  it('carries annotations over as kubectl does, but keeps mode and owner', async () => {
    await world.ship('annotated', V1, ({ metadata }) => {
      if (metadata)
        metadata.annotations = {
          'kubernetes.io/change-cause': 'v1',
          team: 'a',
          'only/then': 'x',
          'firebreak.dev/mode': 'auto',
        };
    });
    await world.ship('annotated', V2, ({ metadata }) => {
      if (metadata) {
        const { 'only/then': _gone, ...rest } = metadata.annotations ?? {};
        metadata.annotations = {
          ...rest,
          'kubernetes.io/change-cause': 'v2',
          'only/now': 'y',
          'firebreak.dev/mode': 'approve',
        };
      }
    });
    await apply(await shipAndPlan('annotated', 1, []));
    const { annotations } = (await world.read('annotated')).metadata ?? {};
    expect(annotations).toMatchObject({
      'kubernetes.io/change-cause': 'v1',
      team: 'a',
      'only/then': 'x',
      'firebreak.dev/mode': 'approve',
    });
    expect(annotations).not.toHaveProperty('only/now');
  });

  it('puts exactly the template back that was there', async () => {
    const rawTemplate = async () => {
      const { objects } = world.clusters[CLUSTER] ?? {};
      const at = {
        group: 'apps',
        version: 'v1',
        namespace: world.namespace,
        plural: 'deployments',
        name: 'exact',
      };
      const deployment: { spec: { template: unknown } } = await objects?.getNamespacedCustomObject(at);
      return deployment.spec.template;
    };
    await world.ship('exact', V1, ({ spec }) => {
      const container = spec?.template.spec?.containers[0];
      if (container) {
        container.env = [{ name: 'A', value: '1' }];
        container.resources = { limits: { memory: '1Gi', cpu: '500m' } };
      }
      if (spec?.template.spec) spec.template.spec.volumes = [{ name: 'scratch', emptyDir: {} }];
    });
    const before = await rawTemplate();
    await world.ship('exact', V2);
    await apply(await shipAndPlan('exact', 1, []));
    expect(await rawTemplate()).toEqual(before);
  });

  it('refuses drift of template, strategy and identity, and patches nothing', async () => {
    const plan = await shipAndPlan('drift');
    await world.ship('drift', V3);
    await expect(apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/template/),
    });
    await world.put('drift', V2, ({ spec }) => {
      if (spec) spec.strategy = { type: 'Recreate' };
    });
    await expect(apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/strategy/),
    });
    expect(await world.imageOf('drift')).toBe(V2);

    const again = await shipAndPlan('reborn');
    await world.apps.deleteNamespacedDeployment({
      name: 'reborn',
      namespace: world.namespace,
      propagationPolicy: 'Foreground',
    });
    await until('reborn to be gone', async () =>
      world.read('reborn').then(
        () => false,
        () => true,
      ),
    );
    await world.ship('reborn', V2);
    await expect(apply(again)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/made anew/),
    });
  });

  it('adopts a rollback by hand that came while people were asked', async () => {
    const plan = await shipAndPlan('by-hand');
    const { kubectlPath, kubeconfigPath } = inject('stack').kube;
    const at = ['--kubeconfig', kubeconfigPath, '--namespace', world.namespace];
    await promisify(execFile)(kubectlPath, ['rollout', 'undo', 'deployment/by-hand', ...at]);
    const generation = await generationOf('by-hand');
    const { result, approvedBy } = await apply(plan);
    expect({ result, approvedBy }).toEqual({ result: 'already-there', approvedBy: ['ada'] });
    expect(await generationOf('by-hand')).toBe(generation);
    const { templateHash } = plan.to;
    const rollout = { target: plan.target, templateHash, generation, timeoutMs: 20_000 };
    expect(await world.activities().awaitRollout(rollout)).toMatchObject({
      outcome: 'complete',
      revision: 3,
    });
  });

  it('does not call scaling drift', async () => {
    const plan = await shipAndPlan('scaled');
    await world.ship('scaled', V2, ({ spec }) => {
      if (spec) spec.replicas = 3;
    });
    expect(await apply(plan)).toMatchObject({ result: 'patched' });
    expect((await world.read('scaled')).spec?.replicas).toBe(3);
  });

  it('refuses when the revision to go back to is gone', async () => {
    const plan = await shipAndPlan('pruned');
    await world.apps.deleteNamespacedReplicaSet({ name: plan.to.replicaSet, namespace: world.namespace });
    await until('the ReplicaSet to be gone', async () =>
      world.apps.readNamespacedReplicaSet({ name: plan.to.replicaSet, namespace: world.namespace }).then(
        () => false,
        () => true,
      ),
    );
    await expect(apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/is gone/),
    });
  });

  it('counts only decisions that an edge signed, for this very plan, by the right and distinct people', async () => {
    const plan = await shipAndPlan('approvals', 2);
    const generation = await generationOf('approvals');
    const good = world.signed(plan);
    const bad: [string, ReturnType<KubeWorld['signed']>[], RegExp][] = [
      ['nobody', [], /0 of 2/],
      ['one of two', [good], /1 of 2 distinct people/],
      ['the same person twice', [good, world.signed(plan, { via: 'slack' })], /1 of 2/],
      [
        'a stranger`s key',
        [good, world.signed(plan, { person: 'bob' }, 'stranger')],
        /decision 2 is signed with a key that is not trusted/,
      ],
      [
        'a forged signature',
        [good, world.signed(plan, { person: 'bob' }, 'stranger-as-edge')],
        /decision 2 has a signature that does not fit/,
      ],
      [
        'a changed decision',
        [good, { ...good, decision: { ...good.decision, person: 'bob' } }],
        /decision 2 has a signature that does not fit/,
      ],
      ['no signature', [good, { ...good, signature: '' }], /does not fit/],
      [
        'an expired one',
        [good, world.signed(plan, { person: 'bob', expiresAtMs: Date.now() - 1 })],
        /decision 2 by bob has expired/,
      ],
      [
        'the wrong group',
        [good, world.signed(plan, { person: 'bob', groups: ['sales'] })],
        /bob, who is in none of the groups ml-oncall, commander/,
      ],
      [
        'another plan',
        [good, world.signed(plan, { person: 'bob', planHash: 'f'.repeat(64) })],
        /for another plan/,
      ],
      [
        'another incident',
        [good, world.signed(plan, { person: 'bob', incidentId: 'inc-2' })],
        /for another incident/,
      ],
      ['another step', [good, world.signed(plan, { person: 'bob', step: 'other' })], /for another step/],
    ];
    for (const [name, decisions, message] of bad) {
      await expect(apply(plan, decisions), name).rejects.toMatchObject({
        type: 'Unauthorized',
        message: expect.stringMatching(message),
      });
    }
    const reject = world.signed(plan, { person: 'eve', decision: 'reject' });
    const second = world.signed(plan, { person: 'bob', groups: ['commander'] });
    await expect(apply(plan, [good, second, reject])).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/eve rejected/),
    });
    expect(await generationOf('approvals')).toBe(generation);
    expect(await apply(plan, [good, second])).toMatchObject({
      result: 'patched',
      approvedBy: ['ada', 'bob'],
    });
  });

  it('takes one person by break-glass only where the plan that was approved allows it', async () => {
    const alone = {
      person: 'kim',
      groups: ['duty-manager'],
      breakGlass: true,
      reason: 'nobody answers',
    } as const;
    const decision = { ...alone, groups: [...alone.groups] };
    const strict = await shipAndPlan('unbroken', 2);
    await expect(apply(strict, [world.signed(strict, decision)])).rejects.toMatchObject({
      type: 'Unauthorized',
      message: expect.stringMatching(/0 of 2 .*is by break-glass, which this plan does not allow/),
    });
    const opened = { ...strict, approval: { ...strict.approval, breakGlass: true } };
    await expect(apply(opened, [world.signed(strict, decision)])).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });

    const plan = await shipAndPlan('broken', 2, undefined, { breakGlass: true });
    const ordinary = world.signed(plan, { person: 'bob' });
    const unsigned = { ...ordinary, decision: { ...ordinary.decision, breakGlass: true as const } };
    await expect(apply(plan, [unsigned])).rejects.toMatchObject({
      message: expect.stringMatching(/0 of 2 .*has a signature that does not fit/),
    });
    await expect(apply(plan, [ordinary])).rejects.toMatchObject({ type: 'Unauthorized' });
    const late = world.signed(plan, { ...decision, expiresAtMs: Date.now() - 1 });
    await expect(apply(plan, [late])).rejects.toMatchObject({
      message: expect.stringMatching(/by kim has expired/),
    });
    expect(await world.imageOf('broken')).toBe(V2);
    expect(await apply(plan, [world.signed(plan, decision)])).toMatchObject({
      result: 'patched',
      approvedBy: ['kim'],
    });
  });

  it('refuses a plan that was changed after it was approved', async () => {
    const plan = await shipAndPlan('tampered', 2);
    const lowered = { ...plan, approval: { ...plan.approval, count: 0 } };
    await expect(apply(lowered)).rejects.toMatchObject({ type: 'PreconditionFailed' });
    const widened = { ...plan, approval: { from: ['sales'], count: 2 } };
    const sales = ['a', 'b'].map((person) => world.signed(plan, { person, groups: ['sales'] }));
    await expect(apply(widened, sales)).rejects.toMatchObject({ type: 'PreconditionFailed' });
    const elsewhere = { ...plan, to: plan.from };
    await expect(
      apply(elsewhere, [world.signed(plan), world.signed(plan, { person: 'bob' })]),
    ).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    expect(await world.imageOf('tampered')).toBe(V2);
  });

  it('does not act in observe mode, on a paused Deployment, or outside the configured namespaces', async () => {
    const observed = await shipAndPlan('observed');
    await world.put('observed', V2, ({ metadata }) => {
      if (metadata) metadata.annotations = { ...metadata.annotations, 'firebreak.dev/mode': 'observe' };
    });
    await expect(apply(observed)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/observe/),
    });

    const paused = await shipAndPlan('stopped');
    await world.put('stopped', V2, ({ spec }) => {
      if (spec) spec.paused = true;
    });
    await expect(apply(paused)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/paused/),
    });

    const plan = await shipAndPlan('here');
    const outside = { ...plan, target: { ...plan.target, namespace: 'default' } };
    await expect(apply(outside)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(/not configured/),
    });
    const unknown = { ...plan, target: { ...plan.target, cluster: 'constructor' } };
    await expect(apply(unknown)).rejects.toMatchObject({ type: 'InvalidInput' });
    expect(await world.imageOf('here')).toBe(V2);
  });

  it('is told by the API when the template changes between reading and patching', async () => {
    const plan = await shipAndPlan('moment');
    const clients = world.clusters[CLUSTER];
    if (clients === undefined) throw new Error('no clients');
    const objects: typeof clients.objects = Object.create(clients.objects);
    objects.patchNamespacedCustomObject = async (request) => {
      await world.put('moment', V3);
      return clients.objects.patchNamespacedCustomObject(request);
    };
    world.clusters[CLUSTER] = { ...clients, objects };
    await expect(apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/at the same moment/),
    });
    world.clusters[CLUSTER] = clients;
    expect(await world.imageOf('moment')).toBe(V3);
  });

  it('lets one of many simultaneous attempts patch', async () => {
    const plan = await shipAndPlan('race');
    const before = await generationOf('race');
    const results = await Promise.all(Array.from({ length: 8 }, () => apply(plan)));
    expect(results.filter(({ result }) => result === 'patched').length).toBeGreaterThanOrEqual(1);
    expect(await generationOf('race')).toBe(before + 1);
  });
});

describe('awaitRollout', () => {
  function wait(name: string, templateHash: string, generation: number, timeoutMs: number) {
    return world
      .activities()
      .awaitRollout({ target: world.target(name), templateHash, generation, timeoutMs });
  }

  it('says deadline where pods never become ready, and unschedulable where they fit nowhere', async () => {
    for (const image of ['registry.test/llm:never-ready', 'registry.test/llm:unschedulable']) {
      const name = image.split(':')[1] ?? '';
      await world.put(name, image);
      await world.ship(name, V2);
      const plan = await shipAndPlan(name, 1, []);
      const { generation } = await apply(plan);
      const result = await wait(name, plan.to.templateHash, generation, 3_000);
      expect(result).toMatchObject({
        outcome: name === 'unschedulable' ? 'unschedulable' : 'deadline',
        readyReplicas: 0,
        wantedReplicas: 2,
      });
    }
  });

  it('ends at the Deployment`s own progress deadline, without believing that of the rollout before', async () => {
    await world.ship('progress', V1, ({ spec }) => {
      if (spec) spec.progressDeadlineSeconds = 3;
    });
    await world.put('progress', 'registry.test/llm:never-ready');
    await until('the bad rollout to miss its deadline', async () => {
      const conditions = (await world.read('progress')).status?.conditions ?? [];
      return conditions.some(({ reason }) => reason === 'ProgressDeadlineExceeded');
    });
    const plan = await shipAndPlan('progress', 1, []);
    const { generation } = await apply(plan);
    expect(await wait('progress', plan.to.templateHash, generation, 20_000)).toMatchObject({
      outcome: 'complete',
    });

    const bad = await world.activities().planRollback({
      target: world.target('progress'),
      to: { revision: 2 },
      ledger: {},
      approval: { from: ['ml-oncall'], count: 1 },
      gitops: 'refuse' as const,
      served: SERVED,
    });
    if ('none' in bad) throw new Error(bad.none.reason);
    const again = await apply(bad.plan);
    const result = await world.activities().awaitRollout({
      target: world.target('progress'),
      templateHash: bad.plan.to.templateHash,
      generation: again.generation,
    });
    // Where the first pods were there before the controller looked, it saw no progress at all, and never says that it ended:
    // then the wait's own clock does (https://github.com/kubernetes/kubernetes/pull/52127).
    const conditions = (await world.read('progress')).status?.conditions ?? [];
    const said = conditions.some(({ reason }) => reason === 'ProgressDeadlineExceeded');
    expect(result).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(said ? /no progress/ : /not done in time/),
    });
    expect(result.seconds).toBeLessThan(said ? 20 : 90);
  });

  it('waits for the last old pod, and says superseded and paused', async () => {
    const plan = await shipAndPlan('lingering', 1, [V1, 'registry.test/llm:lingering']);
    const { generation } = await apply(plan);
    await until('both new pods', async () => (await world.read('lingering')).status?.updatedReplicas === 2);
    const early = await wait('lingering', plan.to.templateHash, generation, 4_000);
    expect(early).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/2 of other revisions left/),
      readyReplicas: 2,
    });
    expect(await wait('lingering', 'another', generation, 2_000)).toMatchObject({ outcome: 'superseded' });
    await world.put('lingering', V1, ({ spec }) => {
      if (spec) spec.paused = true;
    });
    expect(await wait('lingering', plan.to.templateHash, generation, 2_000)).toMatchObject({
      outcome: 'paused',
    });
    expect(await wait('absent', plan.to.templateHash, 1, 2_000)).toMatchObject({ outcome: 'superseded' });
  });
});
