import type { GitOpsRef, GitOpsSource } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { controllerOf, type RawMetadata } from '../kubernetes/raw-objects.ts';
import {
  argoRevision,
  argoSource,
  automatedOf,
  whyNotListed,
  whyUndoneByParent,
  whyUndoneBySet,
} from './argo-cd.ts';
import { type GitOpsClaim, gitOpsClaims } from './claims.ts';
import {
  artifactRevision,
  kustomizationSource,
  releaseSource,
  setBackBy,
  sourceRefOf,
  whyNotInInventory,
} from './flux.ts';
import { isObjectName, type RawObject, readGitOpsObject } from './objects.ts';

/** The object behind a claim, where it is one that this worker may look at and that agrees with the claim. */
export type Found =
  | { ref: GitOpsRef; object: RawObject }
  /** Why it is not to be had, and what to do. */
  | { problem: string };

/** Reads the object that a workload's mark names, and asks it whether it manages the workload. */
export async function findClaimed(
  clients: ClusterClients,
  target: Target,
  workload: RawMetadata,
  claim: GitOpsClaim,
): Promise<Found> {
  const { kind, name, owner } = claim;
  if (name === undefined) return { problem: `${owner}: its mark on the workload is no name of an object` };
  const configured = clients.gitOpsNamespaces;
  const namespaces =
    claim.namespace === undefined ? configured : configured.filter((it) => it === claim.namespace);
  if (namespaces.length === 0) {
    const which = claim.namespace === undefined ? 'no namespace' : `namespace ${claim.namespace} is not`;
    return {
      problem: `${owner}: ${which} listed under gitops.namespaces of this cluster, so nothing of it is read or suspended`,
    };
  }
  let refused = false;
  const disagreeing: string[] = [];
  for (const namespace of namespaces) {
    const answer = await readGitOpsObject(clients, kind, { namespace, name });
    if ('missing' in answer) {
      refused ||= answer.missing === 'forbidden';
      continue;
    }
    const { object } = answer;
    const why =
      kind === 'Application'
        ? whyNotListed(object, target)
        : whyNotInInventory(kind, object, target, workload);
    if (why === undefined) return { ref: { kind, namespace, name }, object };
    disagreeing.push(`${kind} ${namespace}/${name} does not manage it: ${why}`);
  }
  if (disagreeing.length > 0) return { problem: disagreeing.join('; ') };
  if (refused) {
    return {
      problem: `${owner}: the worker has no right to get ${kind}s in ${namespaces.join(', ')}; see docs/gitops.md for the Role`,
    };
  }
  return {
    problem: `${owner}: there is no ${kind} ${name} in ${namespaces.join(', ')}; where another cluster holds it, act on it there`,
  };
}

/** Who would switch the sync on again by itself, and what keeps it from that; undefined where nobody would. */
export async function whyUndone(
  clients: ClusterClients,
  { kind, namespace, name }: GitOpsRef,
  object: RawObject,
): Promise<string | undefined> {
  const field = kind === 'Application' ? ['syncPolicy', 'automated'] : ['suspend'];
  if (kind === 'Application') {
    const set = controllerOf(object.metadata);
    if (set?.kind === 'ApplicationSet') {
      const answer = await readGitOpsObject(clients, 'ApplicationSet', { namespace, name: set.name });
      if ('missing' in answer)
        return `ApplicationSet ${set.name} makes it and cannot be read (${answer.missing}), so it may undo that`;
      const why = whyUndoneBySet(answer.object, name);
      return why === undefined
        ? undefined
        : `ApplicationSet ${set.name} makes it and would undo that: ${why}`;
    }
    const parent = await parentApplication(clients, object);
    if (parent !== undefined) return parent;
  }
  const writer = setBackBy(object, ...field);
  // A Kustomization that applies itself (flux-system does) stops with itself.
  if (writer === undefined || (kind === 'Kustomization' && appliesItself(object))) return undefined;
  return `${writer} writes spec.${field.join('.')} of it from Git and would undo that: suspend it in Git, or take the field out of its manifest`;
}

/** Why the application of applications above this one would undo a suspension; undefined where there is none. */
async function parentApplication(clients: ClusterClients, child: RawObject): Promise<string | undefined> {
  const { namespace, name } = child.metadata;
  const self = { group: 'argoproj.io', kind: 'Application', namespace, name };
  for (const claim of gitOpsClaims(child.metadata, self).claims) {
    if (claim.kind !== 'Application' || claim.name === undefined || claim.name === name) continue;
    const answer = await readGitOpsObject(clients, 'Application', {
      namespace: claim.namespace ?? namespace,
      name: claim.name,
    });
    if ('missing' in answer) {
      if (claim.weak) continue;
      return `${claim.owner} manages it and cannot be read (${answer.missing}), so it may undo that`;
    }
    const why = whyUndoneByParent(answer.object, { namespace, name });
    if (why !== undefined) return `${claim.owner} manages it and would undo that: ${why}`;
  }
  return undefined;
}

function appliesItself({ metadata }: RawObject): boolean {
  const labels = metadata.labels ?? {};
  return (
    labels['kustomize.toolkit.fluxcd.io/name'] === metadata.name &&
    labels['kustomize.toolkit.fluxcd.io/namespace'] === metadata.namespace
  );
}

/** Where an object takes its manifests from, and what Git has now as far as the objects tell. */
export async function readSource(
  clients: ClusterClients,
  { kind }: Pick<GitOpsRef, 'kind'>,
  object: RawObject,
): Promise<{ source: GitOpsSource; gitRevision?: string }> {
  if (kind === 'Application') return { source: argoSource(object), gitRevision: argoRevision(object) };
  if (kind === 'Kustomization') {
    const found = await readSourceObject(clients, object);
    return { source: kustomizationSource(object, found), gitRevision: artifactRevision(found) };
  }
  const parent = await readParentKustomization(clients, object);
  const source = releaseSource(object, parent);
  return { source, gitRevision: source.revision };
}

async function readSourceObject(clients: ClusterClients, object: RawObject): Promise<RawObject | undefined> {
  const { kind, namespace, name } = sourceRefOf(object);
  if (kind !== 'GitRepository' && kind !== 'OCIRepository' && kind !== 'Bucket') return undefined;
  if (!isObjectName(name)) return undefined;
  const answer = await readGitOpsObject(clients, kind, { namespace, name });
  return 'object' in answer ? answer.object : undefined;
}

/** The Kustomization whose inventory has the HelmRelease: labels alone can say anything. */
async function readParentKustomization(
  clients: ClusterClients,
  release: RawObject,
): Promise<RawObject | undefined> {
  const { labels = {}, namespace, name } = release.metadata;
  const parent = {
    name: labels['kustomize.toolkit.fluxcd.io/name'],
    namespace: labels['kustomize.toolkit.fluxcd.io/namespace'] ?? namespace,
  };
  if (!isObjectName(parent.name) || !isObjectName(parent.namespace)) return undefined;
  const answer = await readGitOpsObject(clients, 'Kustomization', {
    namespace: parent.namespace,
    name: parent.name,
  });
  if ('missing' in answer) return undefined;
  const id = `${namespace}_${name}_helm.toolkit.fluxcd.io_HelmRelease`;
  const inventory = JSON.stringify(answer.object.status?.inventory ?? null);
  return inventory.includes(JSON.stringify(id)) ? answer.object : undefined;
}

/** Whether an object syncs by itself now. */
export function syncs(kind: GitOpsRef['kind'], object: RawObject): boolean {
  return kind === 'Application' ? automatedOf(object) !== undefined : object.spec?.suspend !== true;
}
