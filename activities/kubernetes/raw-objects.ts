import type { V1Pod } from '@kubernetes/client-node';
import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from './cluster-clients.ts';

/**
 * Deployments and ReplicaSets as the API's JSON has them: the fields that are read here, and all others untouched.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/
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

interface RawSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface RawDeployment {
  metadata: RawMetadata;
  spec: {
    replicas?: number;
    paused?: boolean;
    progressDeadlineSeconds?: number;
    selector: RawSelector;
    strategy?: { type?: string; [field: string]: unknown };
    template: RawTemplate;
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: { type: string; status: string; reason?: string; lastUpdateTime?: string }[];
  };
}

export interface RawReplicaSet {
  metadata: RawMetadata;
  spec: { replicas?: number; template: RawTemplate };
  status?: { replicas?: number };
}

const APPS = { group: 'apps', version: 'v1' } as const;

/** @returns undefined where there is no such Deployment. */
export async function findDeployment(
  clients: ClusterClients,
  target: Target,
): Promise<RawDeployment | undefined> {
  const { namespace, name } = target;
  try {
    return await clients.objects.getNamespacedCustomObject({
      ...APPS,
      namespace,
      plural: 'deployments',
      name,
    });
  } catch (error) {
    if (kubernetesStatus(error) === 404) return undefined;
    throw fromKubernetes(error, `read Deployment ${namespace}/${name}`);
  }
}

/** @throws NotFound where there is no such Deployment. */
export async function readDeployment(clients: ClusterClients, target: Target): Promise<RawDeployment> {
  const { namespace, name } = target;
  try {
    return await clients.objects.getNamespacedCustomObject({
      ...APPS,
      namespace,
      plural: 'deployments',
      name,
    });
  } catch (error) {
    throw fromKubernetes(error, `read Deployment ${namespace}/${name}`);
  }
}

/** The Deployment's ReplicaSets: found by its selector, and its own by controllerRef, since selectors may overlap. */
export async function listReplicaSets(
  clients: ClusterClients,
  deployment: RawDeployment,
): Promise<RawReplicaSet[]> {
  const { namespace, name, uid } = deployment.metadata;
  try {
    const list: { items: RawReplicaSet[] } = await clients.objects.listNamespacedCustomObject({
      ...APPS,
      namespace,
      plural: 'replicasets',
      labelSelector: selectorText(deployment.spec.selector),
    });
    return list.items.filter((replicaSet) => isControlledBy(replicaSet.metadata, uid));
  } catch (error) {
    throw fromKubernetes(error, `list the ReplicaSets of Deployment ${namespace}/${name}`);
  }
}

/** Pods of the Deployment's ReplicaSets, by the uid of the ReplicaSet. */
export async function listPods(
  clients: ClusterClients,
  deployment: RawDeployment,
  replicaSets: readonly RawReplicaSet[],
): Promise<Map<string, V1Pod[]>> {
  const { namespace, name } = deployment.metadata;
  const byReplicaSet = new Map<string, V1Pod[]>(replicaSets.map(({ metadata }) => [metadata.uid, []]));
  try {
    const labelSelector = selectorText(deployment.spec.selector);
    const { items } = await clients.core.listNamespacedPod({ namespace, labelSelector });
    for (const pod of items) {
      const owner = pod.metadata?.ownerReferences?.find((reference) => reference.controller === true);
      byReplicaSet.get(owner?.uid ?? '')?.push(pod);
    }
    return byReplicaSet;
  } catch (error) {
    throw fromKubernetes(error, `list the pods of Deployment ${namespace}/${name}`);
  }
}

/** JSON Patch (RFC 6902) of a Deployment. A `test` that fails is answered 422, not 409. */
export async function patchDeployment(
  clients: ClusterClients,
  target: Target,
  operations: readonly object[],
): Promise<RawDeployment> {
  const { namespace, name } = target;
  // This call of the client is always sent as application/json-patch+json.
  return await clients.objects.patchNamespacedCustomObject({
    ...APPS,
    namespace,
    plural: 'deployments',
    name,
    body: operations,
    fieldManager: FIELD_MANAGER,
  });
}

/** The object that controls this one, if any does. */
export function controllerOf(metadata: RawMetadata): { kind: string; name: string; uid: string } | undefined {
  return metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** 0 where the annotation is missing or no number, as kubectl has it. */
export function revisionOf(metadata: RawMetadata): number {
  const text = metadata.annotations?.[REVISION_ANNOTATION] ?? '';
  return /^\d+$/.test(text) ? Number(text) : 0;
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

function isControlledBy(metadata: RawMetadata, uid: string): boolean {
  return controllerOf(metadata)?.uid === uid;
}
