import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AppsV1Api, CoreV1Api, V1Deployment, V1Pod } from '@kubernetes/client-node';
import { inject } from 'vitest';
import { kubernetesStatus } from '../../activities/failure.ts';
import {
  type ClusterClients,
  createClusterClients,
  createKubernetesActivities,
  type Preapprovals,
  type ServedBy,
} from '../../activities/kubernetes/index.ts';
import { attachStack } from '../../demo/stack/attach-stack.ts';
import { type GrantedRights, grantRights } from '../../demo/world/grant-rights.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import { type Decision, decisionText, type SignedDecision } from '../../domain/decision.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Mode, Target } from '../../domain/target.ts';
import '../setup/provided.ts';

export const CLUSTER = 'local';
const POLL_MS = 100;
const WAIT_MS = 30_000;

/** One namespace of the shared cluster with its own node, people and keys. */
export interface KubeWorld {
  namespace: string;
  /** Who the activities are for the API: Firebreak's ServiceAccount. `apps` and `core` are the administrator's. */
  rights: GrantedRights;
  apps: AppsV1Api;
  core: CoreV1Api;
  clusters: Record<string, ClusterClients>;
  /** Whose signatures count. */
  trustedEdgeKeys: Record<string, KeyObject>;
  target(name: string): Target;
  activities(servedBy?: ServedBy, preapprovals?: Preapprovals): ReturnType<typeof createKubernetesActivities>;
  /** Creates a Deployment of the image, or gives an existing one that image, and waits until it is rolled out. */
  ship(name: string, image: string, change?: (deployment: V1Deployment) => void): Promise<void>;
  /** Like ship, without waiting. */
  put(name: string, image: string, change?: (deployment: V1Deployment) => void): Promise<void>;
  read(name: string): Promise<V1Deployment>;
  imageOf(name: string): Promise<string | undefined>;
  signed(plan: RollbackPlan, decision?: Partial<Decision>, keyId?: string): SignedDecision;
  stop(): Promise<void>;
}

export const INCIDENT = { incidentId: 'inc-000000000001-0a1b2c3d', step: 'rollback' };

/** There is no kubelet: `playNode` binds pods and sets their status. Images named never-ready stay that way. */
export async function openKubeWorld(mode: Mode = 'approve'): Promise<KubeWorld> {
  const { kubeconfigPath } = inject('stack').kube;
  const { apps, core } = connectKube(kubeconfigPath);
  const namespace = `it-${randomBytes(4).toString('hex')}`;
  await core.createNamespace({ body: { metadata: { name: namespace } } });

  // What is tested acts as in production: as the ServiceAccount of deploy/, with its rights and no others.
  const stack = attachStack(inject('stack'));
  const rights = await grantRights({ kube: stack.kube, namespaces: [namespace] });
  const kubeconfig = await rights.writeKubeconfig(path.join(stack.dir, `${namespace}.kubeconfig`));
  const clusters = {
    [CLUSTER]: createClusterClients({ kubeconfig, namespaces: { [namespace]: { mode } } }),
  };
  const edge = generateKeyPairSync('ed25519');
  const stranger = generateKeyPairSync('ed25519');
  const stopping = new AbortController();
  const node = playNode(core, namespace, stopping.signal);

  const world: KubeWorld = {
    namespace,
    rights,
    apps,
    core,
    clusters,
    trustedEdgeKeys: { edge: edge.publicKey },
    target: (name) => ({ cluster: CLUSTER, namespace, kind: 'Deployment', name }),
    activities: (servedBy, preapprovals) =>
      createKubernetesActivities({
        clusters,
        trustedEdgeKeys: { edge: edge.publicKey },
        servedBy,
        preapprovals,
      }),
    read: (name) => apps.readNamespacedDeployment({ namespace, name }),
    imageOf: async (name) => (await world.read(name)).spec?.template.spec?.containers[0]?.image,
    async put(name, image, change) {
      const existing = await apps.readNamespacedDeployment({ namespace, name }).catch(() => undefined);
      const body = existing ?? newDeployment(name);
      const container = body.spec?.template.spec?.containers[0];
      if (container !== undefined) container.image = image;
      change?.(body);
      // The controller writes status meanwhile: without a version, the last writer wins.
      delete body.metadata?.resourceVersion;
      if (existing === undefined) await apps.createNamespacedDeployment({ namespace, body });
      else await apps.replaceNamespacedDeployment({ namespace, name, body });
    },
    async ship(name, image, change) {
      await world.put(name, image, change);
      await until(`${name} to run ${image}`, async () => {
        const { metadata, spec, status } = await world.read(name);
        const wanted = spec?.replicas ?? 1;
        const { items } = await core.listNamespacedPod({ namespace, labelSelector: `app=${name}` });
        return (
          status?.observedGeneration === metadata?.generation &&
          (status?.updatedReplicas ?? 0) === wanted &&
          (status?.availableReplicas ?? 0) === wanted &&
          items.length === wanted
        );
      });
    },
    signed(plan, changes = {}, keyId = 'edge') {
      const decision: Decision = {
        decision: 'approve',
        ...INCIDENT,
        planHash: plan.hash,
        person: 'ada',
        groups: ['ml-oncall'],
        issuedAtMs: Date.now(),
        expiresAtMs: Date.now() + 60_000,
        accessVersion: 'a1',
        via: 'api',
        ...changes,
      };
      const key = keyId === 'edge' ? edge.privateKey : stranger.privateKey;
      const signature = sign(null, Buffer.from(decisionText(decision)), key).toString('base64');
      return { decision, keyId: keyId === 'stranger-as-edge' ? 'edge' : keyId, signature };
    },
    async stop() {
      stopping.abort();
      await node;
      await core.deleteNamespace({ name: namespace });
      // No node is left that would end them, and no new ones can come.
      await core.deleteCollectionNamespacedPod({ namespace, gracePeriodSeconds: 0 });
    },
  };
  return world;
}

function newDeployment(name: string): V1Deployment {
  return {
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'model', image: 'registry.test/llm:v1' }],
        },
      },
    },
  };
}

export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + WAIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) throw new Error(`waited ${WAIT_MS / 1_000} s in vain for ${what}`);
    await delay(POLL_MS);
  }
}

/** A digest as a registry would give it: the same image, the same digest. */
export function digestOf(image: string): string {
  return `sha256:${createHash('sha256').update(image).digest('hex')}`;
}

async function playNode(core: CoreV1Api, namespace: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { items } = await core.listNamespacedPod({ namespace });
    await Promise.all(items.map((pod) => actAsKubelet(core, namespace, pod).catch(ignoreLostRace)));
    await delay(POLL_MS);
  }
}

/** A pod can change or go between list and write: the next round sees what is left. */
function ignoreLostRace(error: unknown): void {
  const status = kubernetesStatus(error);
  if (status !== 404 && status !== 409) throw error;
}

async function actAsKubelet(core: CoreV1Api, namespace: string, pod: V1Pod): Promise<void> {
  const name = pod.metadata?.name ?? '';
  const image = pod.spec?.containers[0]?.image ?? '';
  if (pod.metadata?.deletionTimestamp !== undefined) {
    if (image.includes('lingering')) return;
    await core.deleteNamespacedPod({ namespace, name, gracePeriodSeconds: 0 });
    return;
  }
  if (pod.status?.phase === 'Running' || image.includes('never-ready')) return;
  if (image.includes('unschedulable')) {
    const conditions = [
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no GPU' },
    ];
    if (pod.status?.conditions?.[0]?.reason === 'Unschedulable') return;
    await core.replaceNamespacedPodStatus({
      namespace,
      name,
      body: { ...pod, status: { ...pod.status, conditions } },
    });
    return;
  }
  if (pod.spec?.nodeName === undefined) {
    const body = { metadata: { name }, target: { kind: 'Node', name: 'test-node' } };
    await core.createNamespacedPodBinding({ namespace, name, body });
    return;
  }
  const ready = [{ type: 'Ready', status: 'True', lastTransitionTime: new Date() }];
  await core.replaceNamespacedPodStatus({
    namespace,
    name,
    body: {
      ...pod,
      status: {
        phase: 'Running',
        startTime: new Date(),
        conditions: [...(pod.status?.conditions ?? []), ...ready],
        containerStatuses: [
          {
            name: 'model',
            ready: true,
            restartCount: 0,
            image,
            imageID: `registry.test/llm@${digestOf(image)}`,
            state: { running: { startedAt: new Date() } },
          },
        ],
      },
    },
  });
}
