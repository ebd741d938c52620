import { createHash } from 'node:crypto';
import type { V1ContainerStatus, V1Pod, V1PodCondition, V1PodStatus } from '@kubernetes/client-node';

/** What becomes of a pod, by the image it runs. */
export type PodBehaviour =
  /** Ready this many milliseconds after its containers started. */
  | { ready: number }
  /** `never`: runs and never passes its readiness check; `crash`: exits again and again; `unschedulable`: no node. */
  | { ready: 'never' | 'crash' | 'unschedulable' };

/** What this node itself knows of a pod: its status holds whole seconds only. */
export interface PodMemory {
  startedAtMs?: number;
  nextRestartAtMs?: number;
}

/** The one thing to do next for a pod; `recheckInMs` where time alone brings the next. */
export type PodStep =
  | { do: 'nothing'; recheckInMs?: number }
  | { do: 'bind' }
  | { do: 'finalise' }
  | { do: 'write-status'; status: V1PodStatus; memory?: PodMemory };

export interface PodInput {
  pod: V1Pod;
  nodeName: string;
  podIp: string;
  behaviour: PodBehaviour;
  memory: PodMemory;
  nowMs: number;
}

/** How long a crashing container runs before it exits. */
const CRASH_AFTER_MS = 200;
/** The kubelet's back-off of restarts: 10 s, doubled each time, up to 5 minutes. */
const FIRST_BACK_OFF_MS = 10_000;
const MAX_BACK_OFF_MS = 300_000;

/** The worst of the behaviours of a pod's images; of delays the longest. */
export function combineBehaviours(behaviours: readonly PodBehaviour[]): PodBehaviour {
  for (const ready of ['unschedulable', 'crash', 'never'] as const) {
    if (behaviours.some((behaviour) => behaviour.ready === ready)) return { ready };
  }
  return { ready: Math.max(0, ...behaviours.map(({ ready }) => (typeof ready === 'number' ? ready : 0))) };
}

/** Decides from what the API says of a pod, so that nothing is lost when an event is. */
export function nextPodStep(input: PodInput): PodStep {
  const { pod, behaviour, memory, nowMs } = input;
  const assigned = pod.spec?.nodeName;
  if (pod.metadata?.deletionTimestamp !== undefined) {
    return assigned === input.nodeName ? { do: 'finalise' } : { do: 'nothing' };
  }
  if (assigned === undefined || assigned === '') return placePod(pod, behaviour, nowMs);
  if (assigned !== input.nodeName) return { do: 'nothing' };

  const [container] = pod.status?.containerStatuses ?? [];
  if (container === undefined) {
    const status = runningStatus(input, { restartCount: 0, ready: false, startedAtMs: nowMs });
    return { do: 'write-status', status, memory: { startedAtMs: nowMs } };
  }
  // A pod that has become ready stays so: a change of behaviour is for those that are on their way.
  if (container.ready) return { do: 'nothing' };
  const startedAtMs = memory.startedAtMs ?? startOf(container) ?? nowMs;
  if (behaviour.ready === 'crash') return crashPod(input, container, startedAtMs);
  if (typeof behaviour.ready !== 'number') return { do: 'nothing' };
  const waitMs = startedAtMs + behaviour.ready - nowMs;
  if (waitMs > 0) return { do: 'nothing', recheckInMs: waitMs };
  const { restartCount } = container;
  return { do: 'write-status', status: runningStatus(input, { restartCount, ready: true, startedAtMs }) };
}

/** `demo.invalid/llm:v1` -> `demo.invalid/llm@sha256:<of the image's text>`: one text, one digest. */
export function imageIdOf(image: string): string {
  if (image.includes('@sha256:')) return image;
  // A colon after the last slash starts the tag; one before it is the registry's port.
  const name = image.slice(image.lastIndexOf('/') + 1);
  const tagLength = name.includes(':') ? name.length - name.indexOf(':') : 0;
  const repository = image.slice(0, image.length - tagLength);
  return `${repository}@sha256:${createHash('sha256').update(image).digest('hex')}`;
}

function placePod(pod: V1Pod, behaviour: PodBehaviour, nowMs: number): PodStep {
  if (behaviour.ready !== 'unschedulable') return { do: 'bind' };
  const told = pod.status?.conditions?.some(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (told) return { do: 'nothing' };
  const condition: V1PodCondition = {
    type: 'PodScheduled',
    status: 'False',
    reason: 'Unschedulable',
    message: '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.',
    lastTransitionTime: wholeSeconds(nowMs),
  };
  return { do: 'write-status', status: { phase: 'Pending', conditions: [condition] } };
}

function crashPod(input: PodInput, container: V1ContainerStatus, startedAtMs: number): PodStep {
  const { memory, nowMs } = input;
  const { restartCount } = container;
  if (container.state?.waiting === undefined) {
    const leftMs = startedAtMs + CRASH_AFTER_MS - nowMs;
    if (leftMs > 0) return { do: 'nothing', recheckInMs: leftMs };
    const backOffMs = Math.min(FIRST_BACK_OFF_MS * 2 ** restartCount, MAX_BACK_OFF_MS);
    const status = runningStatus(input, { restartCount, ready: false, startedAtMs });
    for (const one of status.containerStatuses ?? []) {
      one.started = false;
      one.state = { waiting: { reason: 'CrashLoopBackOff', message: `back-off ${backOffMs / 1_000}s` } };
      one.lastState = {
        terminated: {
          exitCode: 1,
          reason: 'Error',
          startedAt: wholeSeconds(startedAtMs),
          finishedAt: wholeSeconds(nowMs),
        },
      };
    }
    return { do: 'write-status', status, memory: { startedAtMs, nextRestartAtMs: nowMs + backOffMs } };
  }
  const leftMs = (memory.nextRestartAtMs ?? nowMs) - nowMs;
  if (leftMs > 0) return { do: 'nothing', recheckInMs: leftMs };
  const status = runningStatus(input, { restartCount: restartCount + 1, ready: false, startedAtMs: nowMs });
  return { do: 'write-status', status, memory: { startedAtMs: nowMs } };
}

function runningStatus(
  { pod, podIp, nowMs }: PodInput,
  { restartCount, ready, startedAtMs }: { restartCount: number; ready: boolean; startedAtMs: number },
): V1PodStatus {
  const known = new Map((pod.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const condition = (type: string, holds: boolean): V1PodCondition => {
    const status = holds ? 'True' : 'False';
    const before = known.get(type);
    // As in the kubelet: the time of the change, not of the last look.
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : wholeSeconds(nowMs);
    return { type, status, lastTransitionTime, ...(holds ? {} : { reason: 'ContainersNotReady' }) };
  };
  return {
    phase: 'Running',
    hostIP: '127.0.0.1',
    hostIPs: [{ ip: '127.0.0.1' }],
    podIP: pod.status?.podIP ?? podIp,
    podIPs: [{ ip: pod.status?.podIP ?? podIp }],
    startTime: pod.status?.startTime ?? wholeSeconds(startedAtMs),
    conditions: [
      condition('PodScheduled', true),
      condition('PodReadyToStartContainers', true),
      condition('Initialized', true),
      condition('ContainersReady', ready),
      condition('Ready', ready),
    ],
    containerStatuses: (pod.spec?.containers ?? []).map(({ name, image = '' }) => ({
      name,
      image,
      imageID: imageIdOf(image),
      containerID: `demo://${createHash('sha256').update(`${pod.metadata?.uid}/${name}/${restartCount}`).digest('hex')}`,
      ready,
      started: true,
      restartCount,
      state: { running: { startedAt: wholeSeconds(startedAtMs) } },
    })),
  };
}

function startOf(container: V1ContainerStatus): number | undefined {
  const startedAt = container.state?.running?.startedAt;
  return startedAt === undefined ? undefined : new Date(startedAt).getTime();
}

function wholeSeconds(atMs: number): Date {
  return new Date(Math.floor(atMs / 1_000) * 1_000);
}
