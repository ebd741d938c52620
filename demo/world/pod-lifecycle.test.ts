import { createHash } from 'node:crypto';
import type { V1Pod } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import {
  combineBehaviours,
  imageIdOf,
  nextPodStep,
  type PodBehaviour,
  type PodInput,
  type PodStep,
} from './pod-lifecycle.ts';

const NODE = 'node-a';
const NOW_MS = Date.parse('2026-01-01T00:00:00.400Z');

function pod(change: { nodeName?: string; deleted?: boolean; status?: V1Pod['status'] } = {}): V1Pod {
  return {
    metadata: {
      uid: 'uid-1',
      name: 'llm-1',
      deletionTimestamp: change.deleted ? new Date(NOW_MS) : undefined,
    },
    spec: { nodeName: change.nodeName, containers: [{ name: 'model', image: 'demo.invalid/llm:v1' }] },
    status: change.status,
  };
}

function step(input: Partial<PodInput>): PodStep {
  const behaviour: PodBehaviour = { ready: 300 };
  return nextPodStep({
    pod: pod(),
    nodeName: NODE,
    podIp: '10.88.0.1',
    behaviour,
    memory: {},
    nowMs: NOW_MS,
    ...input,
  });
}

/** The pod with the status that the step writes, and what the node then remembers. */
function after(input: Partial<PodInput>): Pick<PodInput, 'pod' | 'memory'> {
  const made = step(input);
  if (made.do !== 'write-status') throw new Error(`expected a status, got ${made.do}`);
  return { pod: pod({ nodeName: NODE, status: made.status }), memory: made.memory ?? input.memory ?? {} };
}

function readyCondition({ pod: { status } }: Pick<PodInput, 'pod'>): string | undefined {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status;
}

describe('the life of a pod on the played node', () => {
  it('is bound, runs without being ready, and is ready once its delay has passed', () => {
    expect(step({})).toEqual({ do: 'bind' });

    const running = after({ pod: pod({ nodeName: NODE }) });
    expect(running.pod.status).toMatchObject({ phase: 'Running', podIP: '10.88.0.1' });
    expect(readyCondition(running)).toBe('False');
    expect(step({ ...running, nowMs: NOW_MS + 100 })).toEqual({ do: 'nothing', recheckInMs: 200 });

    const ready = after({ ...running, nowMs: NOW_MS + 300 });
    expect(readyCondition(ready)).toBe('True');
    expect(ready.pod.status?.containerStatuses?.[0]).toMatchObject({
      ready: true,
      imageID: imageIdOf('demo.invalid/llm:v1'),
    });
    expect(step({ ...ready, nowMs: NOW_MS + 9_000 })).toEqual({ do: 'nothing' });
  });

  it('never becomes ready as long as its image never does, and does once that changes', () => {
    const running = after({ pod: pod({ nodeName: NODE }) });
    expect(step({ ...running, behaviour: { ready: 'never' }, nowMs: NOW_MS + 60_000 })).toEqual({
      do: 'nothing',
    });
    const ready = after({ ...running, behaviour: { ready: 300 }, nowMs: NOW_MS + 60_000 });
    expect(readyCondition(ready)).toBe('True');
  });

  it('stays ready when its image stops becoming ready', () => {
    const running = after({ pod: pod({ nodeName: NODE }) });
    const ready = after({ ...running, nowMs: NOW_MS + 300 });
    expect(step({ ...ready, behaviour: { ready: 'never' } })).toEqual({ do: 'nothing' });
    expect(step({ ...ready, behaviour: { ready: 'crash' } })).toEqual({ do: 'nothing' });
  });

  it('crashes, backs off 10 s, starts again with its count raised, and backs off twice as long', () => {
    const behaviour: PodBehaviour = { ready: 'crash' };
    const running = after({ pod: pod({ nodeName: NODE }), behaviour });
    const crashed = after({ ...running, behaviour, nowMs: NOW_MS + 200 });
    const state = crashed.pod.status?.containerStatuses?.[0];
    expect(state).toMatchObject({ restartCount: 0, state: { waiting: { reason: 'CrashLoopBackOff' } } });
    expect(step({ ...crashed, behaviour, nowMs: NOW_MS + 200 })).toEqual({
      do: 'nothing',
      recheckInMs: 10_000,
    });

    const again = after({ ...crashed, behaviour, nowMs: NOW_MS + 10_200 });
    expect(again.pod.status?.containerStatuses?.[0]?.restartCount).toBe(1);
    expect(readyCondition(again)).toBe('False');
    const crashedAgain = after({ ...again, behaviour, nowMs: NOW_MS + 10_400 });
    expect(crashedAgain.memory.nextRestartAtMs).toBe(NOW_MS + 30_400);
  });

  it('stays Pending and says so once when it is unschedulable', () => {
    const behaviour: PodBehaviour = { ready: 'unschedulable' };
    const told = step({ behaviour });
    if (told.do !== 'write-status') throw new Error(`expected a status, got ${told.do}`);
    expect(told.status).toMatchObject({ phase: 'Pending', conditions: [{ reason: 'Unschedulable' }] });
    const pending = pod({ status: told.status });
    expect(step({ pod: pending, behaviour })).toEqual({ do: 'nothing' });
    expect(step({ pod: pending, behaviour: { ready: 0 } })).toEqual({ do: 'bind' });
  });

  it('is finalised when it is deleted, but only by its own node', () => {
    expect(step({ pod: pod({ nodeName: NODE, deleted: true }) })).toEqual({ do: 'finalise' });
    expect(step({ pod: pod({ nodeName: 'node-b', deleted: true }) })).toEqual({ do: 'nothing' });
    expect(step({ pod: pod({ nodeName: 'node-b' }) })).toEqual({ do: 'nothing' });
  });

  it('keeps the time of a condition that does not change', () => {
    const running = after({ pod: pod({ nodeName: NODE }) });
    const ready = after({ ...running, nowMs: NOW_MS + 5_000 });
    const times = Object.fromEntries(
      (ready.pod.status?.conditions ?? []).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    );
    expect(times.Initialized).toEqual(new Date('2026-01-01T00:00:00Z'));
    expect(times.Ready).toEqual(new Date('2026-01-01T00:00:05Z'));
  });
});

describe('the behaviour of several containers', () => {
  it('is the worst of them, or the slowest', () => {
    expect(combineBehaviours([{ ready: 5 }, { ready: 'never' }, { ready: 'crash' }])).toEqual({
      ready: 'crash',
    });
    expect(combineBehaviours([{ ready: 'crash' }, { ready: 'unschedulable' }])).toEqual({
      ready: 'unschedulable',
    });
    expect(combineBehaviours([{ ready: 5 }, { ready: 50 }])).toEqual({ ready: 50 });
  });
});

describe('the digest of an image', () => {
  it.each([
    ['demo.invalid/llm:v1', 'demo.invalid/llm'],
    ['localhost:5000/llm', 'localhost:5000/llm'],
    ['localhost:5000/a/llm:v1', 'localhost:5000/a/llm'],
    ['llm', 'llm'],
  ])('of %s is under its repository', (image, repository) => {
    const hash = createHash('sha256').update(image).digest('hex');
    expect(imageIdOf(image)).toBe(`${repository}@sha256:${hash}`);
  });

  it('that is named already stays', () => {
    const image = `demo.invalid/llm@sha256:${'a'.repeat(64)}`;
    expect(imageIdOf(image)).toBe(image);
  });
});
