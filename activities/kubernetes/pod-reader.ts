import type { Target } from '../../domain/target.ts';
import { type ClusterMap, clientsFor } from './cluster-clients.ts';
import { readRevisions } from './revisions.ts';

/** The pods whose outputs count for a target, and when each started. */
export interface TargetPods {
  pods: { name: string; startedAtMs?: number }[];
  /** The ReplicaSet of the current template: pods of it that are gone meanwhile were named after it, where pods are. */
  replicaSet?: string;
}

export type PodReader = (target: Target) => Promise<TargetPods>;

/** Reads the pods that the target owns now. */
export function createPodReader(clusters: ClusterMap): PodReader {
  return async (target) => {
    const revisions = await readRevisions(clientsFor(clusters, target), target);
    const { type, all, current, podsOf, strayPods } = revisions;
    const pods = [...all.flatMap(podsOf), ...strayPods].map((pod) => ({
      name: pod.metadata?.name ?? '',
      startedAtMs: pod.status?.startTime?.getTime(),
    }));
    return { pods, replicaSet: type.podsNamedByRevision ? current?.metadata.name : undefined };
  };
}
