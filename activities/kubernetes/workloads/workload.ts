import type { V1Pod } from '@kubernetes/client-node';
import type { WorkloadKind } from '../../../domain/target.ts';
import type { ClusterClients } from '../cluster-clients.ts';
import type { RawRevision, RawWorkload } from '../raw-objects.ts';

/** The API's default for progressDeadlineSeconds; StatefulSets have no deadline of their own, and get this one. */
export const DEFAULT_PROGRESS_DEADLINE_S = 600;

/** That a rollout failed, by the controller's own word. */
export interface ProgressFailure {
  /** Differs from failure to failure: an old one that still stands there is told from a new one by it. */
  id: string;
  detail: string;
  /** Known to be of the rollout that is waited for. */
  certain: boolean;
}

/** Pods of a workload during a rollout. */
export interface RolloutPods {
  /** Of the template that is waited for. */
  wanted: V1Pod[];
  /** Of other templates, and not known to have ended. */
  others: V1Pod[];
}

/**
 * What differs between the kinds of workloads: where their revisions are, what their tool's undo does, and how a rollout
 * of them goes. Everything else about rollbacks is written once, over this.
 */
export interface WorkloadType {
  readonly kind: WorkloadKind;
  /** Who makes its revisions and pods, as people look for it. */
  readonly controller: 'kube-controller-manager' | 'argo-rollouts';
  /** What holds a revision's template. */
  readonly revisionKind: 'ReplicaSet' | 'ControllerRevision';
  /** Whether pods are named after the object that holds their revision: what they served can then be told apart. */
  readonly podsNamedByRevision: boolean;
  /** Whether the undo of the kind's own tool brings back annotations of the revision beside its template. */
  readonly carriesAnnotations: boolean;
  /**
   * Whether the template that the workload has after a rollback can differ from the revision's: where the API puts
   * defaults into one and not into the other.
   */
  readonly templatesAreRewritten: boolean;

  /** In no particular order. */
  listRevisions(clients: ClusterClients, workload: RawWorkload): Promise<RawRevision[]>;
  /**
   * The revision of the template that the workload has now; undefined before the controller has made it.
   * @param isEqual by the templates' text.
   */
  currentOf(
    workload: RawWorkload,
    revisions: readonly RawRevision[],
    isEqual: (revision: RawRevision) => boolean,
  ): RawRevision | undefined;
  /** What the undo of the kind's own tool goes back to without a number. */
  previousOf(revisions: readonly RawRevision[], current: RawRevision | undefined): RawRevision | undefined;
  /** The revision that the workload itself says it is at; 0 where it says none. */
  revisionNumber(workload: RawWorkload, revisions: readonly RawRevision[]): number;
  /** The same, with as little read as that takes. */
  readRevisionNumber(clients: ClusterClients, workload: RawWorkload): Promise<number>;
  /** Whose pod it is; 'unknown' for one of the workload whose revision is gone, undefined for one of others. */
  revisionOfPod(
    pod: V1Pod,
    workload: RawWorkload,
    revisions: readonly RawRevision[],
  ): RawRevision | 'unknown' | undefined;

  /** Of the workload's specification, what the plan's hash covers as its strategy. */
  strategyOf(workload: RawWorkload): unknown;
  /** Why a rollback would not roll out, and what to do; undefined where it would. */
  refusal(workload: RawWorkload): string | undefined;
  /** What a person should know of how a rollback of this workload goes. */
  warnings(workload: RawWorkload, to: RawRevision, pods: RolloutPods): string[];
  /** How long the rollout of the running revision took, where the objects tell. */
  lastRolloutMs(workload: RawWorkload, current: RawRevision): number | undefined;

  /** True when the controller says of this generation that all wanted pods are updated and available. */
  isComplete(workload: RawWorkload, generation: number): boolean;
  failure(workload: RawWorkload, generation: number): ProgressFailure | undefined;
  /** Why it will not go on before a person does something; undefined where it may. */
  waitsForPeople(workload: RawWorkload): string | undefined;
  /** Where pods of other revisions stay, or new ones do not come: what a person can do. */
  advice(workload: RawWorkload, pods: RolloutPods): string | undefined;
  /** Of pods of other revisions, those that may still answer requests. */
  mayServe(pod: V1Pod, revision: RawRevision | 'unknown'): boolean;
}

/** Whether the controller has taken in a generation of the workload; a Rollout says it as text. */
export function hasObserved({ status }: RawWorkload, generation: number): boolean {
  const observed = Number(status?.observedGeneration ?? 0);
  return observed >= generation;
}

/** A terminating pod may still be answering; one whose containers have ended cannot. */
export function hasNotEnded(pod: V1Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

export function isReady(pod: V1Pod): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && pod.metadata?.deletionTimestamp === undefined;
}

export function namesOf(pods: readonly V1Pod[]): string {
  /** A message shows some; `kubectl get pods` shows all. */
  const shown = 5;
  const names = pods.map((pod) => pod.metadata?.name ?? '').sort();
  return names.length <= shown
    ? names.join(', ')
    : `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`;
}

export function createdAtMs(revision: RawRevision): number {
  return Date.parse(revision.metadata.creationTimestamp);
}

/** By age, then name: the order in which kubectl looks at ReplicaSets. */
export function byCreation(a: RawRevision, b: RawRevision): number {
  const difference = createdAtMs(a) - createdAtMs(b);
  if (difference !== 0) return difference;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
