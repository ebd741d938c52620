import type { V1Pod } from '@kubernetes/client-node';
import { ApplicationFailure } from '@temporalio/common';
import type { RolloutResult } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { heartbeatAndPause, heartbeatDuring, waitingSinceMs } from './progress.ts';
import { findWorkload, type RawWorkload } from './raw-objects.ts';
import { hasTemplate, podsByTemplate, type Revisions, readRevisionsOf } from './revisions.ts';
import { workloadTypeOf } from './workloads/index.ts';
import { DEFAULT_PROGRESS_DEADLINE_S, isReady, type RolloutPods } from './workloads/workload.ts';

/** Looking at intervals makes a wait longer by at most this part of it, within the limits below. */
const PAUSE_SHARE = 0.05;
/** A look is a few calls of the API. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/** The controller is the one to say that the deadline passed; this is how long it may take to say so. */
const DEADLINE_GRACE_MS = 60_000;

type AwaitInput = Parameters<KubernetesActivities['awaitRollout']>[0];

interface Look {
  revisions: Revisions;
  pods: RolloutPods;
  wanted: number;
  ready: number;
  unschedulable: number;
}

/**
 * Waits until only pods of the template are left and all are available. "Available" alone is not enough: a pod of the
 * old revision that is still terminating still answers requests.
 */
export async function awaitRollout(clusters: ClusterMap, input: AwaitInput): Promise<RolloutResult> {
  const clients = clientsFor(clusters, input.target);
  const { kind } = input.target;
  const startedMs = waitingSinceMs();
  let timeoutMs = input.timeoutMs ?? DEFAULT_PROGRESS_DEADLINE_S * 1_000 + DEADLINE_GRACE_MS;
  let firstFailure: string | undefined | null = null;
  let best = { score: Number.NEGATIVE_INFINITY, atMs: startedMs };
  for (;;) {
    const timeIsOver = (): boolean => Date.now() - startedMs >= timeoutMs;
    const look = await heartbeatDuring({ startedMs }, () => lookAt(clients, input.target)).catch(
      (error: unknown) => passing(error, timeIsOver()),
    );
    if (look === 'no answer') {
      await heartbeatAndPause(LONGEST_PAUSE_MS, { startedMs, look });
      continue;
    }
    const end = (outcome: RolloutResult['outcome'], detail: string): RolloutResult => ({
      outcome,
      detail,
      revision: look?.revisions.type.revisionNumber(look.revisions.workload, look.revisions.all),
      readyReplicas: look?.ready ?? 0,
      wantedReplicas: look?.wanted ?? 0,
      seconds: (Date.now() - startedMs) / 1_000,
    });
    if (look === undefined) return end('superseded', `the ${kind} is gone`);
    const { revisions, pods, wanted, ready, unschedulable } = look;
    const { type, workload } = revisions;
    if (!hasTemplate(revisions, input.templateHash)) {
      return end('superseded', 'another template was put in place meanwhile');
    }
    // The controller's word, and the pods themselves: its status may be older than a pod that is gone since.
    if (type.isComplete(workload, input.generation) && ready >= wanted && pods.others.length === 0) {
      return end('complete', `${ready} pods of the template are available, no others are left`);
    }
    const halt = type.waitsForPeople(workload);
    if (halt !== undefined) return end('paused', halt);

    const state = `${ready} of ${wanted} pods ready, ${pods.others.length} of other revisions left`;
    // Better than ever: pods that come and go again are no progress.
    const score = ready - pods.others.length;
    if (score > best.score) best = { score, atMs: Date.now() };
    timeoutMs = input.timeoutMs ?? defaultTimeoutMs(workload, best.atMs - startedMs);
    const failure = type.failure(workload, input.generation);
    // What stood there at the first look is the last rollout's: the controller clears it with this one's first progress.
    if (firstFailure === null) firstFailure = failure?.id;
    const failed = failure !== undefined && (failure.certain || failure.id !== firstFailure);
    if (failed || timeIsOver()) {
      if (unschedulable > 0) {
        return end(
          'unschedulable',
          `${unschedulable} pods fit on no node; ${state}: see \`kubectl describe pod\` for what is lacking`,
        );
      }
      const advice = type.advice(workload, pods);
      const why = failed ? failure.detail : 'not done in time';
      return end('deadline', `${why}; ${state}${advice === undefined ? '' : `: ${advice}`}`);
    }
    const pauseMs = Math.min(
      Math.max(PAUSE_SHARE * (Date.now() - startedMs), SHORTEST_PAUSE_MS),
      LONGEST_PAUSE_MS,
    );
    await heartbeatAndPause(pauseMs, { startedMs, ready, wanted, oldPods: pods.others.length });
  }
}

async function lookAt(clients: ClusterClients, target: Target): Promise<Look | undefined> {
  const workload = await findWorkload(clients, target);
  if (workload === undefined) return undefined;
  const revisions = await readRevisionsOf(clients, workloadTypeOf(target.kind), workload);
  const pods = podsByTemplate(revisions, revisions.current);
  return {
    revisions,
    pods,
    wanted: workload.spec.replicas ?? 1,
    ready: pods.wanted.filter(isReady).length,
    unschedulable: pods.wanted.filter(isUnschedulable).length,
  };
}

/** An API that does not answer for a while is no end of the rollout; one that still does not when time is over is. */
function passing(error: unknown, timeIsOver: boolean): 'no answer' {
  const type = error instanceof ApplicationFailure ? error.type : undefined;
  if (!timeIsOver && (type === 'Unavailable' || type === 'RateLimited')) return 'no answer';
  throw error;
}

/**
 * @param progressMs after how much of the wait there was progress for the last time: where the controller has no deadline
 * of its own, as with StatefulSets, it is this wait that gives up after as long without any.
 */
function defaultTimeoutMs({ spec }: RawWorkload, progressMs: number): number {
  return (
    progressMs + (spec.progressDeadlineSeconds ?? DEFAULT_PROGRESS_DEADLINE_S) * 1_000 + DEADLINE_GRACE_MS
  );
}

function isUnschedulable(pod: V1Pod): boolean {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable';
}
