import { isDeepStrictEqual } from 'node:util';
import type { ParityKind } from './history.ts';
import { controllerUid, type Json } from './objects.ts';

/** Annotations that the controller does not copy from a Deployment to its ReplicaSet. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deployment.kubernetes.io/revision',
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
]);

interface Status {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  currentRevision?: string;
  updateRevision?: string;
}

interface Spec {
  replicas: number;
  paused?: boolean;
  revisionHistoryLimit: number;
  updateStrategy?: { type: string; rollingUpdate?: { partition?: number } };
  template: { metadata: { labels: Record<string, string> } };
}

/** What the controllers have yet to do; undefined where nothing will change any more by itself. */
export function isSettled(kind: ParityKind, workload: Json, revisions: Json[]): string | undefined {
  const { observedGeneration } = workload.status as Status;
  if (observedGeneration !== workload.metadata.generation) return 'the generation is not observed';
  if (revisions.some(({ metadata }) => metadata.deletionTimestamp)) return 'a revision is being deleted';
  if (revisions.some(({ metadata }) => controllerUid(metadata) === undefined))
    return 'an orphan is not adopted';
  const own = revisions.filter(({ metadata }) => controllerUid(metadata) === workload.metadata.uid);
  return kind === 'Deployment' ? deploymentLacks(workload, own) : statefulSetLacks(workload, own);
}

function deploymentLacks(workload: Json, own: Json[]): string | undefined {
  const spec = workload.spec as Spec;
  for (const { metadata, spec: wanted, status } of own) {
    const { observedGeneration, replicas = 0, readyReplicas = 0 } = status as Status;
    if (observedGeneration !== metadata.generation) return `${metadata.name} is not observed`;
    if (replicas !== (wanted as Spec).replicas || readyReplicas !== replicas)
      return `${metadata.name} has pods to make, to end or to wait for`;
    const desired = metadata.annotations?.['deployment.kubernetes.io/desired-replicas'];
    if (replicas > 0 && desired !== String(spec.replicas)) return `${metadata.name} is not told the scale`;
  }
  const total = own.reduce((sum, { spec: wanted }) => sum + (wanted as Spec).replicas, 0);
  // While paused none is made anew.
  const lost = spec.paused === true && own.length === 0;
  if (total !== spec.replicas && !lost) return `${total} replicas of ${spec.replicas}`;
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0 } = workload.status as Status;
  if (replicas !== total || readyReplicas !== total || availableReplicas !== total)
    return 'the status is old';

  const current = own.filter((one) => hasTemplate(one, spec.template));
  if (current.length === 0) return spec.paused === true ? undefined : 'there is no current ReplicaSet';
  const revision = workload.metadata.annotations?.['deployment.kubernetes.io/revision'];
  const newest = current.find(
    ({ metadata }) => metadata.annotations?.['deployment.kubernetes.io/revision'] === revision,
  );
  if (newest === undefined) return 'the revision number is old';
  const numbers = own.map(({ metadata }) =>
    Number(metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0),
  );
  if (Math.max(...numbers.filter(Number.isFinite)) > Number(revision))
    return 'the revision number is too low';
  for (const [key, value] of Object.entries(workload.metadata.annotations ?? {})) {
    if (NOT_COPIED.has(key)) continue;
    if (newest.metadata.annotations?.[key] !== value) return `annotation ${key} is not copied`;
  }
  if (spec.paused === true)
    return own.length - 1 > spec.revisionHistoryLimit ? 'too many revisions' : undefined;
  if ((newest.spec as Spec).replicas !== spec.replicas) return 'the rollout goes on';
  const { updatedReplicas = 0 } = workload.status as Status;
  if (updatedReplicas !== spec.replicas) return 'the status is old';
  return own.length - 1 > spec.revisionHistoryLimit ? 'too many revisions' : undefined;
}

function hasTemplate(replicaSet: Json, template: Spec['template']): boolean {
  const own = structuredClone((replicaSet.spec as Spec).template);
  delete own.metadata.labels['pod-template-hash'];
  return isDeepStrictEqual(own, template);
}

function statefulSetLacks(workload: Json, own: Json[]): string | undefined {
  const { replicas: wanted, updateStrategy, revisionHistoryLimit } = workload.spec as Spec;
  const status = workload.status as Status;
  const { replicas = 0, readyReplicas = 0, availableReplicas = 0, updatedReplicas = 0 } = status;
  if (replicas !== wanted || readyReplicas !== wanted || availableReplicas !== wanted)
    return `${readyReplicas} pods ready of ${wanted}`;
  const { currentRevision, updateRevision } = status;
  if (!own.some(({ metadata }) => metadata.name === updateRevision)) return 'there is no update revision';
  const partition = updateStrategy?.rollingUpdate?.partition ?? 0;
  if (updateStrategy?.type === 'RollingUpdate') {
    if (updatedReplicas < Math.max(0, wanted - partition)) return `${updatedReplicas} pods updated`;
    if (partition === 0 && currentRevision !== updateRevision) return 'the update is not completed';
  }
  // With all pods updated only the two revisions of the status are in use.
  const live = new Set([currentRevision, updateRevision]).size;
  if (updatedReplicas === wanted && own.length - live > revisionHistoryLimit) return 'too many revisions';
  return undefined;
}
