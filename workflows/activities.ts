/** Activity proxies with their retry policies: each policy says why. */
import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type {
  ChatActivities,
  EndpointActivities,
  EvidenceActivities,
  ExpressionActivities,
  GitOpsActivities,
  KubernetesActivities,
  LookActivities,
  MeasurementActivities,
  NotificationActivities,
  PagingActivities,
  RecordActivities,
  RepositoryActivities,
  SampleActivities,
  SignalingActivities,
  TicketActivities,
  TrafficActivities,
  WatchdogActivities,
} from '../activities/contract.ts';
import { NON_RETRYABLE_FAILURES } from '../domain/failure.ts';
import { clusterTaskQueue } from './ids.ts';

/** First pause after a failure: short, since people wait; it doubles up to the cap. */
const FIRST_RETRY = '500ms';
/** Cap of the pause: a vendor that comes back is used within this time. */
const LONGEST_RETRY = '20s';
/**
 * A worker that was killed is noticed by its missing heartbeats, not by the timeout of the whole wait. Activities that
 * heartbeat do so at least once a second.
 */
const HEARTBEAT_TIMEOUT = '6s';

const FOREVER: ActivityOptions['retry'] = {
  initialInterval: FIRST_RETRY,
  backoffCoefficient: 2,
  maximumInterval: LONGEST_RETRY,
  nonRetryableErrorTypes: NON_RETRYABLE_FAILURES,
};

export type ClusterActivities = KubernetesActivities &
  GitOpsActivities &
  MeasurementActivities &
  TrafficActivities &
  LookActivities;

/** What a runbook's `retry` says of its step's own calls; without it they are repeated until the step's timeout. */
function retryOf(maxAttempts: number | undefined): ActivityOptions['retry'] {
  return maxAttempts === undefined ? FOREVER : { ...FOREVER, maximumAttempts: maxAttempts };
}

/** Reads and quick writes in a cluster: idempotent, so repeated until the step's own timeout ends them. */
export function clusterActivities(cluster: string, maxAttempts?: number): ClusterActivities {
  return proxyActivities<ClusterActivities>({
    taskQueue: clusterTaskQueue(cluster),
    // One API call or query each; a worker killed meanwhile costs this long.
    startToCloseTimeout: '15s',
    retry: retryOf(maxAttempts),
  });
}

/** Waits in a cluster (rollout, diversion): long, and alive as long as they heartbeat. */
export function clusterWaits(cluster: string, timeoutMs: number): ClusterActivities {
  return proxyActivities<ClusterActivities>({
    taskQueue: clusterTaskQueue(cluster),
    startToCloseTimeout: timeoutMs,
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: FOREVER,
  });
}

/**
 * Patches in a cluster: safe to repeat by uid and template tests, so a killed worker is replaced quickly. Cancelled ones
 * are waited for: what was done must be known.
 */
export function clusterMutations(cluster: string): ClusterActivities {
  return proxyActivities<ClusterActivities>({
    taskQueue: clusterTaskQueue(cluster),
    startToCloseTimeout: '10s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: FOREVER,
  });
}

export type VendorActivities = TicketActivities &
  SampleActivities &
  NotificationActivities &
  EndpointActivities &
  ExpressionActivities;

/** A pull request is a help, and people wait for the word that there is none: a host that is away is given up soon. */
export const repositories = proxyActivities<RepositoryActivities>({
  startToCloseTimeout: '60s',
  scheduleToCloseTimeout: '3m',
  retry: FOREVER,
});

/** Vendors people wait for (tickets, samples): slow ones get time, the step's timeout ends the attempts. */
export function vendors(maxAttempts?: number): VendorActivities {
  return proxyActivities<VendorActivities>({ startToCloseTimeout: '60s', retry: retryOf(maxAttempts) });
}

/**
 * Tickets beside the incident, where no step's timeout ends the attempts. Cancelled ones are waited for, 60 s at most: an older
 * status must not be written over a newer one.
 * @param bounds after which of the two is the call given up?
 */
export function tickets(bounds: { attempts: number } | { withinMs: number }): TicketActivities {
  return proxyActivities<TicketActivities>({
    startToCloseTimeout: '60s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...('attempts' in bounds
      ? { retry: retryOf(bounds.attempts) }
      : { retry: FOREVER, scheduleToCloseTimeout: bounds.withinMs }),
  });
}

/**
 * Attempts of a page over a role's channels, until one accepts. Cancelled ones are waited for: nothing may trigger after
 * a resolve was sent.
 */
export const pagers = proxyActivities<PagingActivities>({
  startToCloseTimeout: '60s',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: FOREVER,
});

/** Fed again soon whatever comes of it: an outage of the outside service is not helped by trying harder. */
export const deadMansSwitch = proxyActivities<WatchdogActivities>({
  startToCloseTimeout: '15s',
  scheduleToCloseTimeout: '30s',
  retry: { ...FOREVER, maximumAttempts: 2 },
});

/**
 * Chat is a view, and only the newest one is of use: a second attempt would publish what was true when the first began. The
 * workflow comes again with what is true then (incident/chat.ts).
 */
export const chat = proxyActivities<ChatActivities>({
  // Longer than the calls of one attempt together, so that no attempt is given up while it may still post.
  startToCloseTimeout: '60s',
  retry: { maximumAttempts: 1 },
});

/** A person is told once, by the activity's own care; past this a reminder is of no use any more. */
export const chatOnce = proxyActivities<ChatActivities>({
  startToCloseTimeout: '60s',
  scheduleToCloseTimeout: '15m',
  retry: FOREVER,
});

/**
 * Records must arrive, so nothing ends the attempts: a refused password or a full disk is mended by people, and then the
 * records go on by themselves. Containment never waits for them.
 */
export const records = proxyActivities<RecordActivities>({
  startToCloseTimeout: '20s',
  retry: { ...FOREVER, maximumInterval: '60s', nonRetryableErrorTypes: [] },
});

/** A retention date is a promise: nothing ends the attempts, and a database that is away is asked until it answers. */
export const retention = proxyActivities<EvidenceActivities>({
  startToCloseTimeout: '20s',
  retry: { ...FOREVER, maximumInterval: '10m', nonRetryableErrorTypes: [] },
});

export const signaling = proxyActivities<SignalingActivities>({ startToCloseTimeout: '10s', retry: FOREVER });
