import { type RawRevision, type RawWorkload, revisionOf } from '../raw-objects.ts';
import { isDeploymentComplete } from './deployment.ts';
import { listReplicaSets, oldestCurrent, replicaSetOfPod, secondHighest } from './replica-sets.ts';
import { hasNotEnded, hasObserved, type ProgressFailure, type WorkloadType } from './workload.ts';

const REVISION_ANNOTATION = 'rollout.argoproj.io/revision';
const HASH_LABEL = 'rollouts-pod-template-hash';
/** On a ReplicaSet that takes no traffic any more and is kept for a while, for a fast way back. */
const SCALE_DOWN_ANNOTATION = 'scale-down-deadline';
/** Of a message that the controller wrote. */
const MAX_MESSAGE_CHARS = 200;

interface CanaryStep {
  pause?: { duration?: unknown };
  [step: string]: unknown;
}

/** Fields that only a Rollout has: https://argo-rollouts.readthedocs.io/en/stable/features/specification/ */
interface RolloutFields {
  spec: {
    workloadRef?: { apiVersion?: string; kind?: string; name?: string };
    strategy?: {
      canary?: { steps?: CanaryStep[]; analysis?: object; trafficRouting?: object };
      blueGreen?: {
        autoPromotionEnabled?: boolean;
        autoPromotionSeconds?: number;
        prePromotionAnalysis?: object;
      };
    };
    rollbackWindow?: { revisions?: number };
  };
  status?: {
    phase?: string;
    message?: string;
    currentStepIndex?: number;
    stableRS?: string;
    currentPodHash?: string;
    pauseConditions?: { reason?: string }[];
  };
}

type RawRollout = RawWorkload & RolloutFields;

/** Argo Rollouts, https://argo-rollouts.readthedocs.io */
export const rolloutType: WorkloadType = {
  kind: 'Rollout',
  controller: 'argo-rollouts',
  revisionKind: 'ReplicaSet',
  podsNamedByRevision: true,
  // RunUndoRollout in argo-rollouts' pkg/kubectl-argo-rollouts/cmd/undo patches the template alone.
  carriesAnnotations: false,
  // The API knows the defaults of pods in a ReplicaSet, and not in a Rollout.
  templatesAreRewritten: true,

  listRevisions: (clients, workload) =>
    listReplicaSets(clients, workload, { annotation: REVISION_ANNOTATION, hashLabel: HASH_LABEL }),
  currentOf(workload, revisions, isEqual) {
    const { currentPodHash } = (workload as RawRollout).status ?? {};
    const named = hasObserved(workload, workload.metadata.generation ?? 0)
      ? revisions.find(({ metadata }) => metadata.labels?.[HASH_LABEL] === currentPodHash)
      : undefined;
    return named ?? oldestCurrent(workload, revisions, isEqual);
  },
  previousOf: secondHighest,
  revisionNumber: ({ metadata }) => revisionOf(metadata, REVISION_ANNOTATION),
  readRevisionNumber: async (_clients, { metadata }) => revisionOf(metadata, REVISION_ANNOTATION),
  revisionOfPod: replicaSetOfPod,

  strategyOf: ({ spec }) => spec.strategy,
  refusal,
  warnings,
  lastRolloutMs: () => undefined,

  isComplete: (workload, generation) =>
    (workload as RawRollout).status?.phase === 'Healthy' &&
    hasObserved(workload, generation) &&
    isDeploymentComplete(withoutKept(workload), generation),
  failure,
  waitsForPeople,
  advice: (workload) =>
    (workload as RawRollout).status?.phase === 'Healthy'
      ? undefined
      : `the Rollout is ${described(workload)}: see \`kubectl argo rollouts get rollout ${at(workload)}\``,
  mayServe: (pod, revision) => hasNotEnded(pod) && !isKept(revision),
};

function at({ metadata: { name, namespace } }: RawWorkload): string {
  return `${name} -n ${namespace}`;
}

function refusal(workload: RawWorkload): string | undefined {
  const { spec, metadata } = workload as RawRollout;
  if (spec.workloadRef !== undefined) {
    const { kind = 'workload', name = '' } = spec.workloadRef;
    return (
      `the Rollout takes its template from ${kind} ${metadata.namespace}/${name} (spec.workloadRef): act on that ` +
      'instead, and the Rollout follows'
    );
  }
  return spec.paused === true
    ? `the Rollout is paused, so a rollback would not roll out: resume it with ` +
        `\`kubectl argo rollouts promote ${at(workload)}\` and plan again`
    : undefined;
}

function warnings(workload: RawWorkload, to: RawRevision): string[] {
  const { spec, status } = workload as RawRollout;
  const { canary, blueGreen } = spec.strategy ?? {};
  // The controller goes straight back to what it still calls stable, whatever the steps are.
  if (to.metadata.labels?.[HASH_LABEL] !== undefined && to.metadata.labels[HASH_LABEL] === status?.stableRS) {
    return [];
  }
  const promote = `\`kubectl argo rollouts promote --full ${at(workload)}\``;
  const steps = canary?.steps ?? [];
  if (steps.length > 0) {
    const window =
      spec.rollbackWindow?.revisions === undefined
        ? ''
        : `, unless the revision is within its rollbackWindow of ${spec.rollbackWindow.revisions}`;
    const endless = steps.filter(({ pause }) => pause !== undefined && pause.duration === undefined).length;
    const waits = endless === 0 ? '' : `, ${endless} of which wait for a person`;
    return [
      `The rollback goes through the canary's ${steps.length} steps${waits}${window}: the revision that runs keeps its ` +
        `share of the traffic until they are done; ${promote} goes on at once`,
    ];
  }
  if (blueGreen?.autoPromotionEnabled === false) {
    return [
      `The new pods get traffic only when a person promotes them (autoPromotionEnabled: false): ${promote}`,
    ];
  }
  if (blueGreen?.prePromotionAnalysis !== undefined || canary?.analysis !== undefined) {
    return [`The rollback waits for the Rollout's own analysis; ${promote} goes on without it`];
  }
  return [];
}

function failure(workload: RawWorkload, generation: number): ProgressFailure | undefined {
  const { status } = workload as RawRollout;
  if (status?.phase !== 'Degraded' || !hasObserved(workload, generation)) return undefined;
  // The phase is written together with the generation that it is about.
  return { id: status.message ?? '', detail: `the Rollout is ${described(workload)}`, certain: true };
}

function waitsForPeople(workload: RawWorkload): string | undefined {
  const { spec, status, metadata } = workload as RawRollout;
  if (spec.paused === true) return 'the Rollout was paused: resume it to go on';
  if (status?.phase !== 'Paused' || !hasObserved(workload, metadata.generation ?? 0)) return undefined;
  const { canary, blueGreen } = spec.strategy ?? {};
  const step = canary?.steps?.[status.currentStepIndex ?? -1];
  const byItself =
    step?.pause?.duration !== undefined ||
    (blueGreen !== undefined && blueGreen.autoPromotionSeconds !== undefined);
  const inconclusive = status.pauseConditions?.some(({ reason }) => reason === 'InconclusiveAnalysisRun');
  if (byItself && !inconclusive) return undefined;
  return (
    `the Rollout is ${described(workload)} until a person promotes it: ` +
    `\`kubectl argo rollouts promote --full ${at(workload)}\``
  );
}

function described(workload: RawWorkload): string {
  const { phase = 'of no known phase', message = '' } = (workload as RawRollout).status ?? {};
  const text = message.replace(/[\s\p{C}]+/gu, ' ').trim();
  return text === '' ? phase : `${phase} (${text.slice(0, MAX_MESSAGE_CHARS)})`;
}

/** Replicas that are kept without traffic are in `replicas`, and do not make a rollout incomplete. */
function withoutKept(workload: RawWorkload): RawWorkload {
  const { status } = workload;
  return { ...workload, status: { ...status, replicas: status?.updatedReplicas } };
}

function isKept(revision: RawRevision | 'unknown'): boolean {
  return revision !== 'unknown' && revision.metadata.annotations?.[SCALE_DOWN_ANNOTATION] !== undefined;
}
