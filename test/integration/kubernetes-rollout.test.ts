import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import { connectKube, type KubeClient } from '../../demo/world/kube-client.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { installCrds } from './crds.ts';
import { INCIDENT, type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';

/**
 * Argo Rollouts by its objects: the definition is the real one, the API server and the ReplicaSet controller are, and
 * what its own controller would write into the Rollout's status is written here.
 */

/** A controller makes two pods in well under a second, also where the machine is busy. */
const SOON_MS = 30_000;
const SERVED = { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} };
const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const ROLLOUTS = { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' };
const HASH_LABEL = 'rollouts-pod-template-hash';

interface Rollout {
  metadata: { name: string; uid: string; generation: number; annotations?: Record<string, string> };
  spec: Record<string, unknown> & { replicas: number; template: object };
  status?: object;
}

let world: KubeWorld;
let kube: KubeClient;
beforeAll(async () => {
  const { kubeconfigPath } = inject('stack').kube;
  await installCrds(kubeconfigPath, ['argo-rollouts']);
  kube = connectKube(kubeconfigPath);
  world = await openKubeWorld();
});
afterAll(() => world?.stop());

const at = (name: string) => ({ ...ROLLOUTS, namespace: world.namespace, name });
const target = (name: string): Target => ({ ...world.target(name), kind: 'Rollout' });

function templateOf(name: string, image: string) {
  return {
    metadata: { labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'model', image }] },
  };
}

async function read(name: string): Promise<Rollout> {
  return await kube.objects.getNamespacedCustomObject(at(name));
}

/** A Rollout at its second revision, with the pods of both as they stand: old ones only where `oldPods` says so. */
async function make(
  name: string,
  spec: object = {},
  { oldPods = 0, currentPods = 2, stable = 'v2' } = {},
): Promise<void> {
  const { namespace } = world;
  await kube.objects.createNamespacedCustomObject({
    ...ROLLOUTS,
    namespace,
    body: {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Rollout',
      metadata: { name, annotations: { 'rollout.argoproj.io/revision': '2', team: 'b' } },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: name } },
        strategy: { canary: {} },
        template: templateOf(name, V2),
        ...spec,
      },
    },
  });
  const { uid } = (await read(name)).metadata;
  const owner = { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', name, uid, controller: true };
  for (const [index, image] of [V1, V2].entries()) {
    const labels = { app: name, [HASH_LABEL]: `v${index + 1}` };
    const { metadata, spec: podSpec } = templateOf(name, image);
    await world.apps.createNamespacedReplicaSet({
      namespace,
      body: {
        metadata: {
          name: `${name}-v${index + 1}`,
          labels,
          annotations: { 'rollout.argoproj.io/revision': String(index + 1), team: 'a' },
          ownerReferences: [owner],
        },
        spec: {
          replicas: index === 0 ? oldPods : currentPods,
          selector: { matchLabels: labels },
          template: { metadata: { ...metadata, labels }, spec: podSpec },
        },
      },
    });
  }
  await podsOf(`${name}-v1`, oldPods);
  await podsOf(`${name}-v2`, currentPods);
  await report(name, { phase: 'Healthy', currentPodHash: 'v2', stableRS: stable });
}

/** Waits until a ReplicaSet's pods are there, as Argo's controller does before it calls a Rollout healthy. */
function podsOf(replicaSet: string, replicas: number): Promise<boolean> {
  return pollUntil(`${replicas} pods of ${replicaSet}`, SOON_MS, async () => {
    const { status } = await world.apps.readNamespacedReplicaSet({
      namespace: world.namespace,
      name: replicaSet,
    });
    return (status?.replicas ?? 0) === replicas || undefined;
  });
}

/** What the controller would say. */
async function report(name: string, status: object): Promise<void> {
  const { metadata, spec } = await read(name);
  const patch = [
    {
      op: 'add',
      path: '/status',
      value: {
        observedGeneration: String(metadata.generation),
        replicas: spec.replicas,
        updatedReplicas: spec.replicas,
        readyReplicas: spec.replicas,
        availableReplicas: spec.replicas,
        ...status,
      },
    },
  ];
  await kube.objects.patchNamespacedCustomObjectStatus({ ...at(name), body: patch });
}

async function scale(name: string, replicas: number): Promise<void> {
  const body = [{ op: 'replace', path: '/spec/replicas', value: replicas }];
  await world.apps.patchNamespacedReplicaSet({ namespace: world.namespace, name, body });
}

async function answer(name: string) {
  return world.activities().planRollback({
    target: target(name),
    to: 'previous',
    ledger: {},
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: SERVED,
  });
}

async function plan(name: string): Promise<RollbackPlan> {
  const made = await answer(name);
  if ('none' in made) throw new Error(made.none.reason);
  return made.plan;
}

async function refusal(name: string): Promise<string> {
  const made = await answer(name);
  if ('plan' in made) throw new Error(`planned revision ${made.plan.to.revision}`);
  return made.none.reason;
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

describe('rolling back a Rollout of Argo Rollouts', () => {
  it('puts the template of its previous ReplicaSet back, and nothing else', async () => {
    await make('canary', { strategy: { canary: { steps: [{ setWeight: 20 }, { pause: {} }] } } });
    const made = await plan('canary');
    expect(made.from).toMatchObject({ revision: 2, images: [V2], replicaSet: 'canary-v2' });
    expect(made.to).toMatchObject({ revision: 1, images: [V1], replicaSet: 'canary-v1' });
    // Defaults that the API has put into the ReplicaSets and not into the Rollout are no difference.
    expect(made.diff.match(/^[-+] /gm)).toHaveLength(2);
    expect(made.warnings.join('\n')).toMatch(
      /goes through the canary's 2 steps, 1 of which wait for a person.*promote --full canary -n it-/,
    );
    expect(await apply(made)).toMatchObject({ result: 'patched' });
    const { spec, metadata } = await read('canary');
    expect(spec.template).toMatchObject(templateOf('canary', V1));
    expect(JSON.stringify(spec.template)).not.toContain(HASH_LABEL);
    expect(metadata.annotations).toMatchObject({ team: 'b' });
    // Before its controller has seen it, and after.
    expect(await apply(made)).toMatchObject({ result: 'already-there' });
    await report('canary', { phase: 'Progressing', currentPodHash: 'v1', stableRS: 'v2' });
    expect(await apply(made)).toMatchObject({ result: 'already-there' });
  });

  it('does not warn of steps where the controller goes straight back to what is stable', async () => {
    const steps = [{ setWeight: 20 }, { pause: {} }];
    await make('midway', { strategy: { canary: { steps } } }, { oldPods: 1, currentPods: 1, stable: 'v1' });
    expect((await plan('midway')).warnings.join('\n')).not.toMatch(/steps/);
  });

  it('waits until the Rollout is healthy and no pod of the old revision may answer', async () => {
    await make('waiting');
    const made = await plan('waiting');
    const { generation } = await apply(made);
    await scale('waiting-v1', 2);
    await podsOf('waiting-v1', 2);
    await report('waiting', { phase: 'Healthy', currentPodHash: 'v1', stableRS: 'v1' });
    expect(await wait(made, generation, 3_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/2 of other revisions left/),
    });
    await scale('waiting-v2', 0);
    const end = await wait(made, generation, 20_000);
    expect(end).toMatchObject({ outcome: 'complete', readyReplicas: 2, wantedReplicas: 2 });
  });

  it('does not call complete what the status says and the pods do not', async () => {
    await make('early');
    const made = await plan('early');
    const { generation } = await apply(made);
    await scale('early-v2', 0);
    await report('early', { phase: 'Healthy', currentPodHash: 'v1', stableRS: 'v1' });
    expect(await wait(made, generation, 3_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/0 of 2 pods ready, 0 of other revisions left/),
    });
  });

  it('does not wait for pods that are kept without traffic for a fast way back', async () => {
    await make('kept', { strategy: { blueGreen: { activeService: 'kept' } } });
    const made = await plan('kept');
    const { generation } = await apply(made);
    await scale('kept-v1', 2);
    const value = '2026-01-01T00:00:00Z';
    const body = [{ op: 'add', path: '/metadata/annotations/scale-down-deadline', value }];
    await world.apps.patchNamespacedReplicaSet({ namespace: world.namespace, name: 'kept-v2', body });
    await report('kept', { phase: 'Healthy', currentPodHash: 'v1', stableRS: 'v1', replicas: 4 });
    expect(await wait(made, generation, 20_000)).toMatchObject({ outcome: 'complete' });
  });

  it('says when a person has to promote it, and when its controller has given up', async () => {
    const steps = [{ setWeight: 20 }, { pause: {} }, { pause: { duration: '1m' } }];
    await make('halted', { strategy: { canary: { steps } } });
    const made = await plan('halted');
    const { generation } = await apply(made);
    const midway = { currentPodHash: 'v1', stableRS: 'v2', updatedReplicas: 1 };
    const pauseConditions = [{ reason: 'CanaryPauseStep', startTime: '2026-01-01T00:00:00Z' }];
    const paused = { ...midway, phase: 'Paused', message: 'CanaryPauseStep', pauseConditions };
    await report('halted', { ...paused, currentStepIndex: 1 });
    expect(await wait(made, generation, 10_000)).toMatchObject({
      outcome: 'paused',
      detail: expect.stringMatching(
        /Paused \(CanaryPauseStep\) until a person promotes it: .*promote --full halted/,
      ),
    });
    // This one ends by itself: it is waited for.
    await report('halted', { ...paused, currentStepIndex: 2 });
    expect(await wait(made, generation, 2_000)).toMatchObject({ outcome: 'deadline' });
    const message = 'RolloutAborted: metric "errors" assessed Failed\u0007';
    await report('halted', { ...midway, phase: 'Degraded', message });
    expect(await wait(made, generation, 10_000)).toMatchObject({
      outcome: 'deadline',
      detail: expect.stringMatching(/Degraded \(RolloutAborted: metric "errors" assessed Failed\)/),
    });
  });

  it('refuses one that takes its template from elsewhere, naming what to act on, and a paused one', async () => {
    const workloadRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'llm-api' };
    await make('referring', { workloadRef, template: undefined });
    expect(await refusal('referring')).toMatch(
      /takes its template from Deployment it-[0-9a-f]+\/llm-api \(spec.workloadRef\): act on that/,
    );
    await make('paused', { paused: true });
    expect(await refusal('paused')).toMatch(/is paused.*kubectl argo rollouts promote paused -n it-/);
  });

  it('voids an approval when the template or strategy changed, not when it was scaled', async () => {
    await make('drift');
    const made = await plan('drift');
    const patch = (path: string, value: unknown) =>
      kube.objects.patchNamespacedCustomObject({ ...at('drift'), body: [{ op: 'replace', path, value }] });
    await patch('/spec/replicas', 3);
    // Not seen by its controller yet: what runs is not known, so neither is whether it changed.
    await expect(apply(made)).rejects.toMatchObject({ type: 'Unavailable' });
    await report('drift', { phase: 'Progressing', currentPodHash: 'v2', stableRS: 'v2' });
    await patch('/spec/template/spec/containers/0/image', 'registry.test/llm:v3');
    await report('drift', { phase: 'Progressing', currentPodHash: 'v3', stableRS: 'v2' });
    await expect(apply(made)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/template/),
    });
    await patch('/spec/template/spec/containers/0/image', V2);
    await patch('/spec/strategy', { canary: { steps: [{ setWeight: 5 }] } });
    await report('drift', { phase: 'Progressing', currentPodHash: 'v2', stableRS: 'v2' });
    await expect(apply(made)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/strategy/),
    });
    await patch('/spec/strategy', { canary: {} });
    await report('drift', { phase: 'Progressing', currentPodHash: 'v2', stableRS: 'v2' });
    expect(await apply(made)).toMatchObject({ result: 'patched' });
  });

  it('says of a cluster without Argo Rollouts, or a missing Rollout, that there is none', async () => {
    const facts = await world.activities().readTarget({ target: target('absent') });
    expect(facts).toMatchObject({ exists: false });
    await expect(answer('absent')).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringMatching(/read Rollout it-[0-9a-f]+\/absent/),
    });
  });
});
