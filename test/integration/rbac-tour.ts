/** Everything that Firebreak asks of the Kubernetes API in a namespace with models, once. */
import type { CustomObjectsApi, V1StatefulSet } from '@kubernetes/client-node';
import { inject } from 'vitest';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import type { Breaker } from '../../domain/breaker.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { CLUSTER, INCIDENT, type KubeWorld, until } from './kubernetes-fixture.ts';

const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const SERVED = { forMs: 1, minClassified: 1, harmRateBelow: 1, metrics: {} };
const ROLLOUT = { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' };
const ROUTE = { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes' };

/** Rolls a target of each kind back, and drives the breaker of one with a route. */
export async function tour(world: KubeWorld): Promise<void> {
  const { objects: admin } = connectKube(inject('stack').kube.kubeconfigPath);

  await world.ship('llm-api', V1, ({ metadata, spec }) => {
    const [container] = spec?.template.spec?.containers ?? [];
    if (container) container.envFrom = [{ configMapRef: { name: 'settings', optional: true } }];
    if (metadata) metadata.annotations = { 'firebreak.dev/http-routes': 'llm' };
  });
  await world.ship('llm-api', V2);
  await rollBackAndWait(world, world.target('llm-api'));
  await divert(world, admin);

  await shipStatefulSet(world, 'llm-cache');
  await rollBackAndWait(world, { ...world.target('llm-cache'), kind: 'StatefulSet' });

  await shipRollout(world, admin, 'llm-canary');
  // Its controller is not there: the patch is as far as it goes.
  await rollBack(world, { ...world.target('llm-canary'), kind: 'Rollout' });
}

async function rollBackAndWait(world: KubeWorld, target: Target): Promise<void> {
  const { plan, generation } = await rollBack(world, target);
  const rollout = await world
    .activities()
    .awaitRollout({ target, templateHash: plan.to.templateHash, generation });
  if (rollout.outcome !== 'complete') throw new Error(`the rollout ended as ${rollout.outcome}`);
}

async function rollBack(
  world: KubeWorld,
  target: Target,
): Promise<{ plan: RollbackPlan; generation: number }> {
  const activities = world.activities();
  await activities.readTarget({ target });
  await activities.takeSnapshot({ target });
  await activities.listChanges({ target, sinceMs: 0 });
  const answer = await activities.planRollback({
    target,
    to: 'previous',
    ledger: {},
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: SERVED,
  });
  if ('none' in answer) throw new Error(answer.none.reason);
  const { plan } = answer;
  const decisions = [world.signed(plan)];
  const applied = await activities.applyRollback({ plan, ...INCIDENT, decisions, commandId: 'tour' });
  if (applied.result !== 'patched') throw new Error(`the rollback ended as ${applied.result}`);
  return { plan, generation: applied.generation };
}

/** Open, half-open and closed, once with somebody else writing the route at the same moment. */
async function divert(world: KubeWorld, admin: CustomObjectsApi): Promise<void> {
  const { namespace } = world;
  const at = { ...ROUTE, namespace, name: 'llm' };
  await world.put('llm-fallback', V1);
  await admin.createNamespacedCustomObject({
    ...at,
    body: {
      apiVersion: `${ROUTE.group}/${ROUTE.version}`,
      kind: 'HTTPRoute',
      metadata: { name: 'llm' },
      spec: {
        parentRefs: [{ name: 'gateway' }],
        rules: [{ backendRefs: [{ name: 'llm-api', port: 8000 }] }],
      },
    },
  });
  const target = world.target('llm-api');
  const traffic = createTrafficActivities({ clusters: world.clusters });
  await traffic.checkFallback({ target, fallback: 'llm-fallback' });
  await beforeNextPatch(world, () =>
    admin.patchNamespacedCustomObject({
      ...at,
      body: [{ op: 'add', path: '/metadata/annotations', value: { 'somebody/else': 'was here' } }],
    }),
  );
  const states: Pick<Breaker, 'state' | 'share'>[] = [
    { state: 'open', share: 0 },
    { state: 'half-open', share: 0.1 },
    { state: 'closed', share: 1 },
  ];
  for (const [index, state] of states.entries()) {
    const sinceMs = Date.now() + index;
    const breaker: Breaker = { ...state, sinceMs, reason: 'tour', fallback: 'llm-fallback' };
    await traffic.projectBreaker({ target, breaker, commandId: `tour-${index}` });
    await traffic.readBreaker({ target, wanted: breaker });
  }
}

async function beforeNextPatch(world: KubeWorld, meanwhile: () => Promise<unknown>): Promise<void> {
  const clients = world.clusters[CLUSTER];
  if (clients === undefined) throw new Error('no clients');
  const { objects } = clients;
  const patching: typeof objects = Object.create(objects);
  patching.patchNamespacedCustomObject = async (request) => {
    clients.objects = objects;
    await meanwhile();
    return await objects.patchNamespacedCustomObject(request);
  };
  clients.objects = patching;
}

async function shipStatefulSet(world: KubeWorld, name: string): Promise<void> {
  const { namespace, apps } = world;
  const labels = { app: name };
  const body = (image: string): V1StatefulSet => ({
    metadata: { name },
    spec: {
      replicas: 1,
      serviceName: name,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'model', image }] },
      },
    },
  });
  await apps.createNamespacedStatefulSet({ namespace, body: body(V1) });
  await isRolledOut(world, name);
  await apps.replaceNamespacedStatefulSet({ namespace, name, body: body(V2) });
  await isRolledOut(world, name);
}

function isRolledOut({ namespace, apps }: KubeWorld, name: string): Promise<void> {
  return until(`StatefulSet ${name} to be rolled out`, async () => {
    const { metadata, status } = await apps.readNamespacedStatefulSet({ namespace, name });
    return (
      status?.observedGeneration === metadata?.generation &&
      status?.updatedReplicas === 1 &&
      status?.availableReplicas === 1 &&
      status.currentRevision === status.updateRevision
    );
  });
}

/** A Rollout and the ReplicaSets of two revisions, as its controller leaves them. */
async function shipRollout(world: KubeWorld, admin: CustomObjectsApi, name: string): Promise<void> {
  const { namespace, apps } = world;
  const labels = { app: name };
  const template = (image: string) => ({
    metadata: { labels },
    spec: { containers: [{ name: 'model', image }] },
  });
  const revision = (number: number) => ({ 'rollout.argoproj.io/revision': String(number) });
  const created: { metadata: { uid: string; generation: number } } = await admin.createNamespacedCustomObject(
    {
      ...ROLLOUT,
      namespace,
      body: {
        apiVersion: `${ROLLOUT.group}/${ROLLOUT.version}`,
        kind: 'Rollout',
        metadata: { name, annotations: revision(2) },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          strategy: { canary: {} },
          template: template(V2),
        },
      },
    },
  );
  const { uid, generation } = created.metadata;
  for (const [index, image] of [V1, V2].entries()) {
    const hash = { 'rollouts-pod-template-hash': `hash${index}` };
    const { metadata, spec } = template(image);
    await apps.createNamespacedReplicaSet({
      namespace,
      body: {
        metadata: {
          name: `${name}-${index}`,
          labels: { ...labels, ...hash },
          annotations: revision(index + 1),
          ownerReferences: [
            { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', name, uid, controller: true },
          ],
        },
        spec: {
          replicas: 0,
          selector: { matchLabels: { ...labels, ...hash } },
          template: { metadata: { ...metadata, labels: { ...labels, ...hash } }, spec },
        },
      },
    });
  }
  await admin.patchNamespacedCustomObjectStatus({
    ...ROLLOUT,
    namespace,
    name,
    body: [
      {
        op: 'add',
        path: '/status',
        value: { observedGeneration: String(generation), phase: 'Healthy', currentPodHash: 'hash1' },
      },
    ],
  });
}
