import type { V1Pod } from '@kubernetes/client-node';
import type { ClusterClients } from '../cluster-clients.ts';
import {
  listControlled,
  type RawMetadata,
  type RawRevision,
  type RawTemplate,
  type RawWorkload,
  revisionOf,
} from '../raw-objects.ts';
import { byCreation } from './workload.ts';

/** Revisions that are ReplicaSets: those of Deployments and Rollouts. */

interface RawReplicaSet {
  metadata: RawMetadata;
  spec: { template: RawTemplate };
  status?: { replicas?: number };
}

/** @param by the annotation with the revision's number, and the label that the controller adds to the template. */
export async function listReplicaSets(
  clients: ClusterClients,
  workload: RawWorkload,
  by: { annotation: string; hashLabel: string },
): Promise<RawRevision[]> {
  const replicaSets = await listControlled<RawReplicaSet>(clients, workload, 'replicasets');
  return replicaSets.map(({ metadata, spec, status }) => ({
    metadata,
    revision: revisionOf(metadata, by.annotation),
    template: withoutLabel(spec.template, by.hashLabel),
    replicas: status?.replicas ?? 0,
  }));
}

function withoutLabel(template: RawTemplate, label: string): RawTemplate {
  const copy = structuredClone(template);
  if (copy.metadata?.labels !== undefined) delete copy.metadata.labels[label];
  return copy;
}

/** Several can have one template after an upgrade of the control plane: kubectl and the controller take the oldest. */
export function oldestCurrent(
  _workload: RawWorkload,
  revisions: readonly RawRevision[],
  isEqual: (revision: RawRevision) => boolean,
): RawRevision | undefined {
  return [...revisions].sort(byCreation).find(isEqual);
}

/**
 * What `kubectl rollout undo` picks: the second-highest revision, walking the old ReplicaSets by age and the current one
 * last (deploymentRevision in kubectl's pkg/polymorphichelpers/rollback.go, toRevision = 0; rolloutRevision in the undo of
 * Argo Rollouts' plugin is the same).
 */
export function secondHighest(
  revisions: readonly RawRevision[],
  current: RawRevision | undefined,
): RawRevision | undefined {
  let latest: RawRevision | undefined;
  let previous: RawRevision | undefined;
  const numberOf = (revision: RawRevision | undefined): number => revision?.revision ?? -1;
  for (const revision of inUndoOrder(revisions, current)) {
    if (numberOf(latest) < revision.revision) [previous, latest] = [latest, revision];
    else if (numberOf(previous) < revision.revision) previous = revision;
  }
  return previous;
}

/** The old ones by age, the current one last. */
function inUndoOrder(revisions: readonly RawRevision[], current: RawRevision | undefined): RawRevision[] {
  const old = revisions.filter((revision) => revision !== current).sort(byCreation);
  return current === undefined ? old : [...old, current];
}

/** Pods of ReplicaSets are told by controllerRef; those of a ReplicaSet that is gone are about to be collected. */
export function replicaSetOfPod(
  pod: V1Pod,
  _workload: RawWorkload,
  revisions: readonly RawRevision[],
): RawRevision | undefined {
  const owner = pod.metadata?.ownerReferences?.find((reference) => reference.controller === true);
  return revisions.find(({ metadata }) => metadata.uid === owner?.uid);
}
