import {
  FIELD_MANAGER,
  POD_TEMPLATE_HASH_LABEL,
  type RawRevision,
  type RawWorkload,
  REVISION_ANNOTATION,
  revisionOf,
} from '../raw-objects.ts';
import { listReplicaSets, oldestCurrent, replicaSetOfPod, secondHighest } from './replica-sets.ts';
import {
  createdAtMs,
  hasNotEnded,
  hasObserved,
  type ProgressFailure,
  type WorkloadType,
} from './workload.ts';

/** Revisions that a ReplicaSet had before, separated by commas: the controller notes them when its template comes back. */
export const REVISION_HISTORY_ANNOTATION = 'deployment.kubernetes.io/revision-history';

/** https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ */
export const deploymentType: WorkloadType = {
  kind: 'Deployment',
  controller: 'kube-controller-manager',
  revisionKind: 'ReplicaSet',
  podsNamedByRevision: true,
  carriesAnnotations: true,
  templatesAreRewritten: false,

  listRevisions: (clients, workload) =>
    listReplicaSets(clients, workload, {
      annotation: REVISION_ANNOTATION,
      hashLabel: POD_TEMPLATE_HASH_LABEL,
    }),
  currentOf: oldestCurrent,
  previousOf: secondHighest,
  revisionNumber: ({ metadata }) => revisionOf(metadata),
  readRevisionNumber: async (_clients, { metadata }) => revisionOf(metadata),
  revisionOfPod: replicaSetOfPod,

  strategyOf: ({ spec }) => spec.strategy,
  refusal: ({ metadata: { name, namespace }, spec }) =>
    spec.paused === true
      ? `the Deployment is paused, so a rollback would not roll out: resume it with ` +
        `\`kubectl rollout resume deployment/${name} -n ${namespace}\` and plan again`
      : undefined,
  warnings: ({ spec }) =>
    spec.strategy?.type === 'Recreate'
      ? ['The strategy is Recreate: all pods stop before the first new one starts']
      : [],
  lastRolloutMs,

  isComplete: isDeploymentComplete,
  failure,
  waitsForPeople: ({ spec }) =>
    spec.paused === true ? 'the Deployment was paused: resume it to go on' : undefined,
  advice: () => undefined,
  mayServe: hasNotEnded,
};

/** Also right for a Rollout's counts, which have the same names. */
export function isDeploymentComplete(workload: RawWorkload, generation: number): boolean {
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = workload.status ?? {};
  const wanted = workload.spec.replicas ?? 1;
  return (
    hasObserved(workload, Math.max(generation, workload.metadata.generation ?? 0)) &&
    updatedReplicas >= wanted &&
    replicas === updatedReplicas &&
    availableReplicas >= updatedReplicas
  );
}

/** When the controller found that there was no progress in time, as it says itself; undefined where it has not. */
function failure(workload: RawWorkload, generation: number): ProgressFailure | undefined {
  if (!hasObserved(workload, generation)) return undefined;
  const condition = workload.status?.conditions?.find(({ type }) => type === 'Progressing');
  if (condition?.status !== 'False' || condition.reason !== 'ProgressDeadlineExceeded') return undefined;
  const atMs = condition.lastUpdateTime ?? '';
  return {
    id: atMs,
    detail: "no progress within the Deployment's deadline",
    certain: isAfterOurPatch(workload, atMs),
  };
}

/** By the API server's clock: did the controller say so after Firebreak's own patch, that is, of this rollout? */
function isAfterOurPatch(workload: RawWorkload, failedAt: string): boolean {
  const patch = workload.metadata.managedFields?.find(({ manager }) => manager === FIELD_MANAGER);
  return patch !== undefined && Date.parse(failedAt) > Date.parse(patch.time ?? '');
}

/** Only known where the ReplicaSet was made for it. */
function lastRolloutMs({ metadata, status }: RawWorkload, current: RawRevision): number | undefined {
  const condition = status?.conditions?.find(({ type }) => type === 'Progressing');
  if (condition?.reason !== 'NewReplicaSetAvailable') return undefined;
  if (current.metadata.annotations?.[REVISION_HISTORY_ANNOTATION] !== undefined) return undefined;
  if (current.revision !== revisionOf(metadata)) return undefined;
  const durationMs = Date.parse(condition.lastUpdateTime ?? '') - createdAtMs(current);
  return durationMs >= 0 ? durationMs : undefined;
}
