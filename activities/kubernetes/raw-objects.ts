import type { V1Pod } from '@kubernetes/client-node';
import type { Target, WorkloadKind } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from './cluster-clients.ts';

/**
 * Workloads and their revisions as the API's JSON has them: the fields that are read here, and all others untouched.
 * What differs between the kinds is in workloads/.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/
 */

export const REVISION_ANNOTATION = 'deployment.kubernetes.io/revision';
export const POD_TEMPLATE_HASH_LABEL = 'pod-template-hash';

/** Who wrote a field, as `managedFields` of a patched object tells afterwards. */
export const FIELD_MANAGER = 'firebreak';

export interface RawMetadata {
  name: string;
  namespace: string;
  uid: string;
  creationTimestamp: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
  managedFields?: {
    manager?: string;
    operation?: string;
    subresource?: string;
    time?: string;
    fieldsV1?: object;
  }[];
}

export interface RawContainer {
  name: string;
  image?: string;
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  envFrom?: { configMapRef?: { name?: string }; secretRef?: { name?: string } }[];
  [field: string]: unknown;
}

type RawVolume = { name: string } & Record<string, unknown>;

export interface RawTemplate {
  metadata?: {
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    [field: string]: unknown;
  };
  spec?: {
    containers?: RawContainer[];
    initContainers?: RawContainer[];
    volumes?: RawVolume[];
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

/** A revision of a workload: one of its ReplicaSets or ControllerRevisions, as the module of the kind reads it. */
export interface RawRevision {
  metadata: RawMetadata;
  /** 0 where the object has no number, -1 where it has one that cannot be read: those are never rolled back to. */
  revision: number;
  /** As the workload had it, without what the controller adds to it. */
  template: RawTemplate;
  /** Pods that it has now. */
  replicas: number;
}

interface RawSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** A Deployment, StatefulSet or Rollout: what they have in common, and which field is whose. */
export interface RawWorkload {
  metadata: RawMetadata;
  spec: {
    replicas?: number;
    /** Deployment and Rollout. */
    paused?: boolean;
    /** Deployment and Rollout. */
    progressDeadlineSeconds?: number;
    selector: RawSelector;
    /** Deployment and Rollout; a StatefulSet has updateStrategy. */
    strategy?: { type?: string; [field: string]: unknown };
    template: RawTemplate;
  };
  status?: {
    /** A Rollout has it as text. */
    observedGeneration?: number | string;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: { type: string; status: string; reason?: string; lastUpdateTime?: string }[];
  };
}

/** Where the API has the objects of a kind. */
const API_OF: Record<WorkloadKind, { group: string; version: string; plural: string }> = {
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  // https://argo-rollouts.readthedocs.io/en/stable/features/specification/
  Rollout: { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' },
};

/** @returns undefined where there is no such workload. */
export async function findWorkload(
  clients: ClusterClients,
  target: Target,
): Promise<RawWorkload | undefined> {
  const { kind, namespace, name } = target;
  try {
    return withTemplate(
      await clients.objects.getNamespacedCustomObject({ ...API_OF[kind], namespace, name }),
    );
  } catch (error) {
    if (kubernetesStatus(error) === 404) return undefined;
    throw fromKubernetes(error, `read ${kind} ${namespace}/${name}`);
  }
}

/** @throws NotFound where there is no such workload, or no such kind in the cluster. */
export async function readWorkload(clients: ClusterClients, target: Target): Promise<RawWorkload> {
  const { kind, namespace, name } = target;
  try {
    return withTemplate(
      await clients.objects.getNamespacedCustomObject({ ...API_OF[kind], namespace, name }),
    );
  } catch (error) {
    throw fromKubernetes(error, `read ${kind} ${namespace}/${name}`);
  }
}

/** A Rollout that refers to another workload has no template of its own: an empty one, whose rollback is refused. */
function withTemplate(workload: RawWorkload): RawWorkload {
  const { template = {} } = workload.spec as { template?: RawTemplate };
  return { ...workload, spec: { ...workload.spec, template } };
}

/**
 * Objects that the workload controls: found by its selector, and its own by controllerRef, since selectors may overlap.
 * @param plural of the group apps/v1: replicasets or controllerrevisions.
 */
export async function listControlled<Item extends { metadata: RawMetadata }>(
  clients: ClusterClients,
  workload: RawWorkload,
  plural: 'replicasets' | 'controllerrevisions',
): Promise<Item[]> {
  const { namespace, name, uid } = workload.metadata;
  try {
    const list: { items: Item[] } = await clients.objects.listNamespacedCustomObject({
      group: 'apps',
      version: 'v1',
      namespace,
      plural,
      labelSelector: selectorText(workload.spec.selector),
    });
    return list.items.filter(({ metadata }) => controllerOf(metadata)?.uid === uid);
  } catch (error) {
    throw fromKubernetes(error, `list the ${plural} of ${namespace}/${name}`);
  }
}

/** Pods that the workload's selector finds, whoever owns them. */
export async function listPods(clients: ClusterClients, workload: RawWorkload): Promise<V1Pod[]> {
  const { namespace, name } = workload.metadata;
  try {
    const labelSelector = selectorText(workload.spec.selector);
    const { items } = await clients.core.listNamespacedPod({ namespace, labelSelector });
    return items;
  } catch (error) {
    throw fromKubernetes(error, `list the pods of ${namespace}/${name}`);
  }
}

/**
 * JSON Patch (RFC 6902) of a workload. A `test` that fails is answered 422, not 409.
 * @param dryRun the answer is what the patch would make, and nothing is changed.
 */
export async function patchWorkload(
  clients: ClusterClients,
  target: Target,
  operations: readonly object[],
  { dryRun = false } = {},
): Promise<RawWorkload> {
  const { kind, namespace, name } = target;
  // This call of the client is always sent as application/json-patch+json.
  return await clients.objects.patchNamespacedCustomObject({
    ...API_OF[kind],
    namespace,
    name,
    body: operations,
    fieldManager: FIELD_MANAGER,
    ...(dryRun ? { dryRun: 'All' } : {}),
  });
}

/** The object that controls this one, if any does. */
export function controllerOf(metadata: RawMetadata): { kind: string; name: string; uid: string } | undefined {
  return metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/**
 * As kubectl reads it (Revision in its pkg/util/deployment): 0 where there is no number, -1 where it cannot be read, which
 * like every negative one is never rolled back to.
 */
export function revisionOf(metadata: RawMetadata, annotation = REVISION_ANNOTATION): number {
  const text = metadata.annotations?.[annotation];
  if (text === undefined) return 0;
  return /^\+?\d+$/.test(text) ? Number(text) : -1;
}

/** A label selector as the API's query parameter takes it. */
function selectorText(selector: RawSelector): string {
  const equals = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'In') return `${key} in (${values.join(',')})`;
    if (operator === 'NotIn') return `${key} notin (${values.join(',')})`;
    return operator === 'Exists' ? key : `!${key}`;
  });
  return [...equals, ...expressions].join(',');
}
