import type { GitOpsKind, GitOpsRef } from '../../domain/gitops-plan.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { FIELD_MANAGER, type RawMetadata } from '../kubernetes/raw-objects.ts';

/** Objects of GitOps tools as the API's JSON has them: the fields that are read here, all of them perhaps absent. */
export interface RawObject {
  metadata: RawMetadata;
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

type ReadableKind = GitOpsKind | 'ApplicationSet' | 'GitRepository' | 'OCIRepository' | 'Bucket';

/** Where the API has them. The versions are the stored ones of Argo CD 2 and 3 and of Flux 2. */
const API_OF: Record<ReadableKind, { group: string; version: string; plural: string }> = {
  Application: { group: 'argoproj.io', version: 'v1alpha1', plural: 'applications' },
  ApplicationSet: { group: 'argoproj.io', version: 'v1alpha1', plural: 'applicationsets' },
  Kustomization: { group: 'kustomize.toolkit.fluxcd.io', version: 'v1', plural: 'kustomizations' },
  HelmRelease: { group: 'helm.toolkit.fluxcd.io', version: 'v2', plural: 'helmreleases' },
  GitRepository: { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: 'gitrepositories' },
  OCIRepository: { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: 'ocirepositories' },
  Bucket: { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: 'buckets' },
};

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Names come from labels and annotations of workloads: what is no name is never asked for. */
export function isObjectName(text: string | undefined): text is string {
  return text !== undefined && OBJECT_NAME.test(text);
}

export type ReadAnswer = { object: RawObject } | { missing: 'absent' | 'forbidden' };

/** 404 stands for the object and for its kind: a cluster without the tool has no such resource. */
export async function readGitOpsObject(
  clients: ClusterClients,
  kind: ReadableKind,
  { namespace, name }: { namespace: string; name: string },
): Promise<ReadAnswer> {
  try {
    const object: RawObject = await clients.objects.getNamespacedCustomObject({
      ...API_OF[kind],
      namespace,
      name,
    });
    return { object };
  } catch (error) {
    const status = kubernetesStatus(error);
    if (status === 404) return { missing: 'absent' };
    if (status === 403) return { missing: 'forbidden' };
    throw fromKubernetes(error, `read ${kind} ${namespace}/${name}`);
  }
}

/** JSON Patch of an object; errors are the client's own, since a failed `test` (422) means to read again. */
export async function patchGitOpsObject(
  clients: ClusterClients,
  { kind, namespace, name }: GitOpsRef,
  body: readonly object[],
): Promise<void> {
  await clients.objects.patchNamespacedCustomObject({
    ...API_OF[kind],
    namespace,
    name,
    body,
    fieldManager: FIELD_MANAGER,
  });
}

/** The value at a path of an object's JSON; undefined where any part is missing or no map. */
export function at(value: unknown, ...path: string[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined;
    found = Object.hasOwn(found, key) ? (found as Record<string, unknown>)[key] : undefined;
  }
  return found;
}

export function textAt(value: unknown, ...path: string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

export function listAt(value: unknown, ...path: string[]): unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/**
 * Whether one of these managers wrote a field, by the object's managedFields.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
export function writerOf(
  metadata: RawMetadata,
  field: readonly string[],
  managers: readonly string[],
): string | undefined {
  const path = field.map((name) => `f:${name}`);
  return metadata.managedFields?.find(
    ({ manager, fieldsV1 }) =>
      manager !== undefined && managers.includes(manager) && at(fieldsV1, ...path) !== undefined,
  )?.manager;
}

/** Addresses without the name and the password that may stand in them: https://user:token@git.example/models. */
export function withoutUser(address: string | undefined): string | undefined {
  return address?.replace(/(:\/\/)[^/@\s]*@/g, '$1');
}
