import type { V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import type { RolloutResult } from '../../domain/rollback-plan.ts';
import type { KubernetesActivities } from '../contract.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { heartbeatAndPause, heartbeatDuring, waitingSinceMs } from './progress.ts';
import {
  FIELD_MANAGER,
  findDeployment,
  listPods,
  listReplicaSets,
  type RawDeployment,
  revisionOf,
} from './raw-objects.ts';
import { templateHash } from './template.ts';

const POLL_MS = 1_000;
/** The API's default for progressDeadlineSeconds. */
const DEFAULT_PROGRESS_DEADLINE_S = 600;
/** The controller is the one to say that the deadline passed; this is how long it may take to say so. */
const DEADLINE_GRACE_MS = 60_000;

type AwaitInput = Parameters<KubernetesActivities['awaitRollout']>[0];

interface Look {
  deployment: RawDeployment;
  wanted: number;
  ready: number;
  /** Pods of other templates that still exist, those that are terminating too. */
  oldPods: number;
  unschedulable: number;
}

/**
 * Waits until only pods of the template are left and all are available. "Available" alone is not enough: a pod of the
 * old revision that is still terminating still answers requests.
 */
export async function awaitRollout(clusters: ClusterMap, input: AwaitInput): Promise<RolloutResult> {
  const clients = clientsFor(clusters, input.target);
  const startedMs = waitingSinceMs();
  let timeoutMs = input.timeoutMs ?? DEFAULT_PROGRESS_DEADLINE_S * 1_000 + DEADLINE_GRACE_MS;
  let firstFailure: string | undefined | null = null;
  for (;;) {
    const timeIsOver = (): boolean => Date.now() - startedMs >= timeoutMs;
    const look = await heartbeatDuring({ startedMs }, () => lookAt(clients, input)).catch((error: unknown) =>
      passing(error, timeIsOver()),
    );
    if (look === 'no answer') {
      await heartbeatAndPause(POLL_MS, { startedMs, look });
      continue;
    }
    const end = (outcome: RolloutResult['outcome'], detail: string): RolloutResult => ({
      outcome,
      detail,
      revision: look === undefined ? undefined : revisionOf(look.deployment.metadata),
      readyReplicas: look?.ready ?? 0,
      wantedReplicas: look?.wanted ?? 0,
      seconds: (Date.now() - startedMs) / 1_000,
    });
    if (look === undefined) return end('superseded', 'the Deployment is gone');
    const { deployment, wanted, ready, oldPods, unschedulable } = look;
    if (templateHash(deployment.spec.template) !== input.templateHash) {
      return end('superseded', 'another template was put in place meanwhile');
    }
    if (deployment.spec.paused === true)
      return end('paused', 'the Deployment was paused: resume it to go on');
    if (isComplete(look, input.generation))
      return end('complete', `${ready} pods of the template are available, no others are left`);

    timeoutMs = input.timeoutMs ?? defaultTimeoutMs(deployment);
    const failure = progressFailure(deployment, input.generation);
    // What stood there at the first look is the last rollout's: the controller clears it with this one's first progress.
    if (firstFailure === null) firstFailure = failure;
    const failed =
      failure !== undefined && (failure !== firstFailure || isAfterOurPatch(deployment, failure));
    if (failed || timeIsOver()) {
      const state = `${ready} of ${wanted} pods ready, ${oldPods} of other revisions left`;
      if (unschedulable > 0) {
        return end(
          'unschedulable',
          `${unschedulable} pods fit on no node; ${state}: see \`kubectl describe pod\` for what is lacking`,
        );
      }
      return end(
        'deadline',
        failed ? `no progress within the Deployment's deadline; ${state}` : `not done in time; ${state}`,
      );
    }
    await heartbeatAndPause(POLL_MS, { startedMs, ready, wanted, oldPods });
  }
}

async function lookAt(clients: ClusterClients, { target }: AwaitInput): Promise<Look | undefined> {
  const deployment = await findDeployment(clients, target);
  if (deployment === undefined) return undefined;
  const currentHash = templateHash(deployment.spec.template);
  const replicaSets = await listReplicaSets(clients, deployment);
  const pods = await listPods(clients, deployment, replicaSets);
  const counts = { ready: 0, oldPods: 0, unschedulable: 0 };
  for (const { metadata, spec } of replicaSets) {
    const own = pods.get(metadata.uid) ?? [];
    if (templateHash(spec.template) === currentHash) {
      counts.ready += own.filter(isReady).length;
      counts.unschedulable += own.filter(isUnschedulable).length;
    } else {
      counts.oldPods += own.filter(mayServe).length;
    }
  }
  return { deployment, wanted: deployment.spec.replicas ?? 1, ...counts };
}

/** An API that does not answer for a while is no end of the rollout; one that still does not when time is over is. */
function passing(error: unknown, timeIsOver: boolean): 'no answer' {
  const type = error instanceof ApplicationFailure ? error.type : undefined;
  if (!timeIsOver && (type === 'Unavailable' || type === 'RateLimited')) return 'no answer';
  throw error;
}

function isComplete({ deployment, wanted, oldPods }: Look, generation: number): boolean {
  const {
    observedGeneration = 0,
    replicas = 0,
    updatedReplicas = 0,
    availableReplicas = 0,
  } = deployment.status ?? {};
  const observed = observedGeneration >= Math.max(generation, deployment.metadata.generation ?? 0);
  const all =
    updatedReplicas >= wanted && replicas === updatedReplicas && availableReplicas >= updatedReplicas;
  return observed && all && oldPods === 0;
}

/** When the controller found that there was no progress in time, as it says itself; undefined where it has not. */
function progressFailure(deployment: RawDeployment, generation: number): string | undefined {
  if ((deployment.status?.observedGeneration ?? 0) < generation) return undefined;
  const condition = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  return condition?.status === 'False' && condition.reason === 'ProgressDeadlineExceeded'
    ? (condition.lastUpdateTime ?? '')
    : undefined;
}

/** By the API server's clock: did the controller say so after Firebreak's own patch, that is, of this rollout? */
function isAfterOurPatch(deployment: RawDeployment, failure: string): boolean {
  const patch = deployment.metadata.managedFields?.find(({ manager }) => manager === FIELD_MANAGER);
  return patch !== undefined && Date.parse(failure) > Date.parse(patch.time ?? '');
}

function defaultTimeoutMs(deployment: RawDeployment): number {
  return (deployment.spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_S) * 1_000 + DEADLINE_GRACE_MS;
}

/** A terminating pod may still be answering; one whose containers have ended cannot. */
function mayServe(pod: V1Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

function isReady(pod: V1Pod): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' && pod.metadata?.deletionTimestamp === undefined;
}

function isUnschedulable(pod: V1Pod): boolean {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable';
}
