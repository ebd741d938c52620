import type { V1Pod } from '@kubernetes/client-node';
import type { ClusterClients } from '../cluster-clients.ts';
import {
  listControlled,
  listPods,
  type RawMetadata,
  type RawRevision,
  type RawTemplate,
  type RawWorkload,
} from '../raw-objects.ts';
import {
  hasNotEnded,
  hasObserved,
  isReady,
  namesOf,
  type RolloutPods,
  type WorkloadType,
} from './workload.ts';

/** Label of a pod with the name of the ControllerRevision that it was made by. */
const POD_REVISION_LABEL = 'controller-revision-hash';

interface RawControllerRevision {
  metadata: RawMetadata;
  revision: number;
  /** A strategic merge patch that replaces the template: `{ spec: { template: { ..., $patch: 'replace' } } }`. */
  data?: { spec?: { template?: RawTemplate } };
}

/** Fields that only a StatefulSet has. */
interface StatefulSetFields {
  spec: {
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number; maxUnavailable?: unknown } };
    podManagementPolicy?: string;
    ordinals?: { start?: number };
  };
  status?: { updateRevision?: string; currentRevision?: string };
}

type RawStatefulSet = RawWorkload & StatefulSetFields;

/** https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/ */
export const statefulSetType: WorkloadType = {
  kind: 'StatefulSet',
  controller: 'kube-controller-manager',
  revisionKind: 'ControllerRevision',
  // web-0 is web-0 before and after.
  podsNamedByRevision: false,
  carriesAnnotations: false,
  // A ControllerRevision keeps the text of its day: defaults that Kubernetes got since are not in it.
  templatesAreRewritten: true,

  listRevisions,
  currentOf(workload, revisions, isEqual) {
    const { updateRevision } = (workload as RawStatefulSet).status ?? {};
    const named = hasObserved(workload, workload.metadata.generation ?? 0)
      ? revisions.find(({ metadata }) => metadata.name === updateRevision)
      : undefined;
    // The controller takes the newest of equal ones.
    return named ?? byNumber(revisions).findLast(isEqual);
  },
  // findHistory in kubectl's pkg/polymorphichelpers/rollback.go: the second-highest number, whatever runs.
  previousOf: (revisions) => byNumber(revisions).at(-2),
  revisionNumber,
  readRevisionNumber: async (clients, workload) =>
    revisionNumber(
      workload,
      await listControlled<RawControllerRevision>(clients, workload, 'controllerrevisions'),
    ),
  revisionOfPod,

  strategyOf: (workload) => (workload as RawStatefulSet).spec.updateStrategy,
  refusal: () => undefined,
  warnings,
  lastRolloutMs: () => undefined,

  isComplete(workload, generation) {
    const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = workload.status ?? {};
    const wanted = workload.spec.replicas ?? 1;
    return (
      hasObserved(workload, Math.max(generation, workload.metadata.generation ?? 0)) &&
      replicas === wanted &&
      updatedReplicas >= wanted &&
      availableReplicas >= wanted
    );
  },
  // The controller never gives up, and never says so.
  failure: () => undefined,
  waitsForPeople: () => undefined,
  advice,
  mayServe: hasNotEnded,
};

async function listRevisions(clients: ClusterClients, workload: RawWorkload): Promise<RawRevision[]> {
  const [revisions, pods] = await Promise.all([
    listControlled<RawControllerRevision>(clients, workload, 'controllerrevisions'),
    listPods(clients, workload),
  ]);
  return revisions.flatMap(({ metadata, revision, data }) => {
    const template = data?.spec?.template;
    // Somebody else's data in an object that claims to be a revision: nothing that could be gone back to.
    if (template === undefined) return [];
    const { $patch: _directive, ...own } = template;
    const replicas = pods.filter(
      (pod) => isOwn(pod, workload) && pod.metadata?.labels?.[POD_REVISION_LABEL] === metadata.name,
    ).length;
    return [{ metadata, revision, template: own, replicas }];
  });
}

function revisionNumber(
  workload: RawWorkload,
  revisions: readonly { metadata: RawMetadata; revision: number }[],
): number {
  const { updateRevision } = (workload as RawStatefulSet).status ?? {};
  return revisions.find(({ metadata }) => metadata.name === updateRevision)?.revision ?? 0;
}

function byNumber(revisions: readonly RawRevision[]): RawRevision[] {
  return [...revisions].sort((a, b) => a.revision - b.revision);
}

function isOwn(pod: V1Pod, { metadata }: RawWorkload): boolean {
  return (
    pod.metadata?.ownerReferences?.some(({ controller, uid }) => controller && uid === metadata.uid) ?? false
  );
}

function revisionOfPod(
  pod: V1Pod,
  workload: RawWorkload,
  revisions: readonly RawRevision[],
): RawRevision | 'unknown' | undefined {
  if (!isOwn(pod, workload)) return undefined;
  const label = pod.metadata?.labels?.[POD_REVISION_LABEL];
  return revisions.find(({ metadata }) => metadata.name === label) ?? 'unknown';
}

function warnings(workload: RawWorkload, _to: RawRevision, pods: RolloutPods): string[] {
  const { metadata, spec } = workload as RawStatefulSet;
  const found: string[] = [];
  if (isOnDelete(workload)) {
    found.push(
      `The update strategy is OnDelete: pods keep running what they run until each is deleted by hand ` +
        `(\`kubectl delete pod NAME -n ${metadata.namespace}\`), after the rollback as well`,
    );
    return found;
  }
  const kept = belowPartition(workload, pods.others);
  const partition = partitionOf(workload);
  if (kept.length > 0) {
    found.push(
      `The partition is ${partition}: pods with a lower number are not replaced, and ${namesOf(kept)} run another ` +
        `template than the one to go back to; lower spec.updateStrategy.rollingUpdate.partition to replace them`,
    );
  } else if (partition > 0) {
    found.push(
      `The partition is ${partition}: pods with a lower number stay as they are, by the template to go back to`,
    );
  }
  const stuck = stuckPods(workload, pods.others);
  if (stuck.length > 0) found.push(forcedRollback(workload, stuck));
  else if ((spec.replicas ?? 1) > 1 && isOrdered(workload)) {
    found.push(
      'Pods of a StatefulSet are replaced one after the other, the highest number first: others serve what they run ' +
        'until it is their turn',
    );
  }
  return found;
}

function advice(workload: RawWorkload, { others }: RolloutPods): string | undefined {
  if (others.length === 0) return undefined;
  if (isOnDelete(workload)) {
    return `the update strategy is OnDelete: delete ${namesOf(others)} one by one`;
  }
  const stuck = stuckPods(workload, others);
  if (stuck.length > 0) return forcedRollback(workload, stuck);
  const kept = belowPartition(workload, others);
  if (kept.length > 0)
    return `the partition ${partitionOf(workload)} keeps ${namesOf(kept)}: lower it to replace them`;
  return undefined;
}

/**
 * With ordered pods the controller waits for a pod that never becomes ready, though the template is another by now:
 * https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
 */
function stuckPods(workload: RawWorkload, others: readonly V1Pod[]): V1Pod[] {
  if (!isOrdered(workload)) return [];
  return others.filter((pod) => !isReady(pod) && pod.metadata?.deletionTimestamp === undefined);
}

function forcedRollback({ metadata }: RawWorkload, stuck: V1Pod[]): string {
  return (
    `${namesOf(stuck)} ${stuck.length === 1 ? 'is' : 'are'} not ready, and the controller waits for that before it ` +
    `replaces any pod (a known limit of StatefulSets): delete what is stuck once the template is back, with ` +
    `\`kubectl delete pod NAME -n ${metadata.namespace}\``
  );
}

function isOrdered(workload: RawWorkload): boolean {
  return (workload as RawStatefulSet).spec.podManagementPolicy !== 'Parallel';
}

function isOnDelete(workload: RawWorkload): boolean {
  return (workload as RawStatefulSet).spec.updateStrategy?.type === 'OnDelete';
}

function partitionOf(workload: RawWorkload): number {
  return (workload as RawStatefulSet).spec.updateStrategy?.rollingUpdate?.partition ?? 0;
}

/** Pods of other templates that the controller never replaces. */
function belowPartition(workload: RawWorkload, others: readonly V1Pod[]): V1Pod[] {
  const partition = partitionOf(workload);
  return others.filter((pod) => Number(/-(\d+)$/.exec(pod.metadata?.name ?? '')?.[1]) < partition);
}
