import type { KubernetesListObject, V1Deployment, V1ReplicaSet } from '@kubernetes/client-node';
import { type FollowedKind, followUntil } from './follow.ts';
import { connectKube, explain, type KubeClient, SERVER_SIDE_APPLY } from './kube-client.ts';

const REVISION_ANNOTATION = 'deployment.kubernetes.io/revision';
const CHANGE_CAUSE_ANNOTATION = 'kubernetes.io/change-cause';
/** Who owns the fields that are applied here: the team's delivery pipeline, in the story. */
const FIELD_MANAGER = 'model-pipeline';
/** Pods have nothing to drain here; the deletion of a namespace is waited for in steps of this. */
const TERMINATION_GRACE_SECONDS = 1;
const DEFAULT_TIMEOUT_MS = 60_000;

/** What a Deployment is found by. */
export interface ModelRef {
  kubeconfig: string;
  namespace: string;
  name: string;
}

/** How many pods a rollout may have beyond those wanted, and how many fewer may be available meanwhile. */
export interface RollingUpdate {
  maxSurge: number;
  maxUnavailable: number;
}

export interface ShipModelOptions extends ModelRef {
  image: string;
  replicas: number;
  /** On the Deployment: `ai.rmf/owner`, `ai.rmf/risk-tier`, `firebreak.dev/mode`, ... */
  annotations?: Record<string, string>;
  /** On the Deployment and its pods. */
  labels?: Record<string, string>;
  /** On the pod template: part of the revision. */
  templateAnnotations?: Record<string, string>;
  /** Default: Kubernetes' own, 600. */
  progressDeadlineSeconds?: number;
  /** Default: Kubernetes' own, a quarter more and a quarter less than wanted. */
  rollingUpdate?: RollingUpdate;
  /** Shown in the rollout history; default: `ship IMAGE`. */
  changeCause?: string;
  /** ConfigMaps that the model's container takes its environment from; they need not exist. */
  configMaps?: readonly string[];
}

export interface Rollout {
  revision: number;
  image: string;
  readyReplicas: number;
}

export interface RevisionHistory {
  /** Revision that the Deployment is at. */
  current: number;
  /** Newest first; one for each ReplicaSet that is kept. */
  revisions: { revision: number; replicaSet: string; image: string; replicas: number }[];
}

/** Creates the namespace unless it is there. */
export async function createNamespace(kubeconfig: string, namespace: string): Promise<void> {
  const { core } = connectKube(kubeconfig);
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await core
    .patchNamespace({ name: namespace, body, fieldManager: FIELD_MANAGER, force: true }, SERVER_SIDE_APPLY)
    .catch((error: unknown) => {
      throw explain(error, `creating namespace ${namespace}`);
    });
}

/** Deletes the namespace with all that is in it and waits until it is gone; its node must still run. */
export async function deleteNamespace(
  kubeconfig: string,
  namespace: string,
  timeoutMs = DEFAULT_TIMEOUT_MS,
): Promise<void> {
  const kube = connectKube(kubeconfig);
  const fieldSelector = `metadata.name=${namespace}`;
  try {
    await kube.core.deleteNamespace({ name: namespace });
  } catch (error) {
    throw explain(error, `deleting namespace ${namespace}`);
  }
  const gone = await followUntil(
    kube,
    { path: '/api/v1/namespaces', list: () => kube.core.listNamespace({ fieldSelector }), fieldSelector },
    timeoutMs,
    (items) => (items.length === 0 ? true : undefined),
  );
  if (gone === undefined) {
    throw new Error(
      `namespace ${namespace} is not gone after ${timeoutMs / 1_000} s: does its node still run?`,
    );
  }
}

/**
 * Applies the model's Deployment: creates it, or makes a new revision of it where the image (or anything else of the pod
 * template) differs. Server-side apply, so it also takes back what a rollback changed meanwhile.
 * @returns the Deployment's generation, before anything has rolled out.
 */
export async function shipModel(options: ShipModelOptions): Promise<{ generation: number }> {
  const { namespace, name, image } = options;
  const { apps } = connectKube(options.kubeconfig);
  try {
    const deployment = await apps.patchNamespacedDeployment(
      { namespace, name, body: deploymentOf(options), fieldManager: FIELD_MANAGER, force: true },
      SERVER_SIDE_APPLY,
    );
    return { generation: deployment.metadata?.generation ?? 0 };
  } catch (error) {
    throw explain(error, `shipping ${image} as Deployment ${namespace}/${name}`);
  }
}

/** Creates or changes a ConfigMap, such as one that a model's configuration names. */
export async function writeConfigMap(ref: ModelRef & { data: Record<string, string> }): Promise<void> {
  const { namespace, name, data } = ref;
  const { core } = connectKube(ref.kubeconfig);
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
  await core
    .patchNamespacedConfigMap(
      { namespace, name, body, fieldManager: FIELD_MANAGER, force: true },
      SERVER_SIDE_APPLY,
    )
    .catch((error: unknown) => {
      throw explain(error, `writing ConfigMap ${namespace}/${name}`);
    });
}

/**
 * Waits until the newest revision has all replicas available and no other replica is left (pods that are terminating do
 * not count, as in `kubectl rollout status`).
 * @throws Error with the last status when that takes longer than `timeoutMs` (default 60 s).
 */
export async function awaitRolledOut(
  ref: ModelRef & { /** Only a rollout of this image counts. */ image?: string; timeoutMs?: number },
): Promise<Rollout> {
  const { namespace, name, timeoutMs = DEFAULT_TIMEOUT_MS } = ref;
  const kube = connectKube(ref.kubeconfig);
  let last = 'there is no such Deployment';
  const rollout = await followUntil(kube, deploymentsOf(kube, namespace, name), timeoutMs, ([deployment]) => {
    if (deployment === undefined) return undefined;
    last = describeStatus(deployment);
    const wrongImage = ref.image !== undefined && mainImage(deployment) !== ref.image;
    return wrongImage ? undefined : completeRollout(deployment);
  });
  if (rollout === undefined) {
    throw new Error(
      `Deployment ${namespace}/${name} has not rolled out after ${timeoutMs / 1_000} s: ${last}`,
    );
  }
  return rollout;
}

/**
 * Waits until at least so many pods of the image are ready, beside whatever else the Deployment runs.
 * @throws Error with the last count when that takes longer than `timeoutMs` (default 60 s).
 */
export async function awaitReadyPods(
  ref: ModelRef & { image: string; pods: number; timeoutMs?: number },
): Promise<Rollout> {
  const { namespace, name, image, pods, timeoutMs = DEFAULT_TIMEOUT_MS } = ref;
  const kube = connectKube(ref.kubeconfig);
  let ready = 0;
  const seen = await followUntil(kube, replicaSetsOf(kube, namespace), timeoutMs, (items) => {
    const replicaSet = items.find(
      (one) =>
        mainImage(one) === image && one.metadata?.ownerReferences?.some((owner) => owner.name === name),
    );
    if (replicaSet === undefined) return undefined;
    ready = replicaSet.status?.readyReplicas ?? 0;
    return ready < pods ? undefined : { revision: revisionOf(replicaSet), image, readyReplicas: ready };
  });
  if (seen !== undefined) return seen;
  throw new Error(
    `Deployment ${namespace}/${name} has ${ready} ready pods of ${image} after ${timeoutMs / 1_000} s, ${pods} are waited for`,
  );
}

/** Image of the first container of the Deployment's template: what it should run, whatever runs yet. */
export async function imageOf(ref: ModelRef): Promise<string> {
  return mainImage(await readDeployment(connectKube(ref.kubeconfig), ref));
}

/** The Deployment's ReplicaSets by revision. A rollback gives an old ReplicaSet a new revision and makes none. */
export async function revisionsOf(ref: ModelRef): Promise<RevisionHistory> {
  const kube = connectKube(ref.kubeconfig);
  const deployment = await readDeployment(kube, ref);
  const { items } = await kube.apps.listNamespacedReplicaSet({ namespace: ref.namespace });
  const own = items.filter(({ metadata }) =>
    metadata?.ownerReferences?.some((owner) => owner.controller && owner.uid === deployment.metadata?.uid),
  );
  return {
    current: revisionOf(deployment),
    revisions: own
      .map((replicaSet) => ({
        revision: revisionOf(replicaSet),
        replicaSet: replicaSet.metadata?.name ?? '',
        image: mainImage(replicaSet),
        replicas: replicaSet.spec?.replicas ?? 0,
      }))
      .sort((a, b) => b.revision - a.revision),
  };
}

function deploymentOf(options: ShipModelOptions): V1Deployment {
  const { name, image, replicas, labels = {}, configMaps = [], rollingUpdate } = options;
  const selector = { app: name };
  const envFrom = configMaps.map((configMap) => ({ configMapRef: { name: configMap, optional: true } }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      labels: { ...labels, ...selector },
      annotations: {
        [CHANGE_CAUSE_ANNOTATION]: options.changeCause ?? `ship ${image}`,
        ...options.annotations,
      },
    },
    spec: {
      replicas,
      selector: { matchLabels: selector },
      progressDeadlineSeconds: options.progressDeadlineSeconds,
      ...(rollingUpdate ? { strategy: { type: 'RollingUpdate', rollingUpdate } } : {}),
      template: {
        metadata: { labels: { ...labels, ...selector }, annotations: options.templateAnnotations },
        spec: {
          terminationGracePeriodSeconds: TERMINATION_GRACE_SECONDS,
          containers: [
            {
              name: 'model',
              image,
              ports: [{ name: 'http', containerPort: 8080 }],
              ...(envFrom.length > 0 ? { envFrom } : {}),
            },
          ],
        },
      },
    },
  };
}

async function readDeployment({ apps }: KubeClient, { namespace, name }: ModelRef): Promise<V1Deployment> {
  try {
    return await apps.readNamespacedDeployment({ namespace, name });
  } catch (error) {
    throw explain(error, `reading Deployment ${namespace}/${name}`);
  }
}

function deploymentsOf({ apps }: KubeClient, namespace: string, name: string): FollowedKind<V1Deployment> {
  const fieldSelector = `metadata.name=${name}`;
  return {
    path: `/apis/apps/v1/namespaces/${namespace}/deployments`,
    list: (): Promise<KubernetesListObject<V1Deployment>> =>
      apps.listNamespacedDeployment({ namespace, fieldSelector }),
    fieldSelector,
  };
}

function replicaSetsOf({ apps }: KubeClient, namespace: string): FollowedKind<V1ReplicaSet> {
  return {
    path: `/apis/apps/v1/namespaces/${namespace}/replicasets`,
    list: (): Promise<KubernetesListObject<V1ReplicaSet>> => apps.listNamespacedReplicaSet({ namespace }),
  };
}

function completeRollout(deployment: V1Deployment): Rollout | undefined {
  const { metadata, spec, status = {} } = deployment;
  const wanted = spec?.replicas ?? 1;
  const observed = (status.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
  const counts = [status.updatedReplicas, status.replicas, status.availableReplicas];
  if (!observed || counts.some((count) => (count ?? 0) !== wanted)) return undefined;
  return {
    revision: revisionOf(deployment),
    image: mainImage(deployment),
    readyReplicas: status.readyReplicas ?? 0,
  };
}

function describeStatus({ spec, status = {} }: V1Deployment): string {
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
  return `${updatedReplicas} of ${spec?.replicas ?? 1} updated, ${availableReplicas} available, ${replicas} in all`;
}

function mainImage({ spec }: V1Deployment | V1ReplicaSet): string {
  return spec?.template?.spec?.containers[0]?.image ?? '';
}

function revisionOf({ metadata }: V1Deployment | V1ReplicaSet): number {
  return Number(metadata?.annotations?.[REVISION_ANNOTATION] ?? 0);
}
