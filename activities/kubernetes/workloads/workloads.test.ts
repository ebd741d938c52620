import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RawRevision, type RawWorkload, REVISION_ANNOTATION, revisionOf } from '../raw-objects.ts';
import { workloadTypeOf } from './index.ts';

const NO_PODS = { wanted: [], others: [] };

function metadata(name: string, second = 0, rest: object = {}) {
  const creationTimestamp = new Date(second * 1_000).toISOString();
  return { name, namespace: 'ai', uid: name, creationTimestamp, ...rest };
}

function revision(name: string, number: number, second = number): RawRevision {
  return { metadata: metadata(name, second), revision: number, template: {}, replicas: 0 };
}

function workload(spec: object, status: object = {}): RawWorkload {
  return {
    metadata: metadata('llm', 0, { generation: 3 }),
    spec: { selector: { matchLabels: { app: 'llm' } }, template: {}, replicas: 2, ...spec },
    status: { observedGeneration: 3, ...status },
  };
}

function pod(name: string, ready: boolean) {
  const status = ready ? 'True' : 'False';
  return { metadata: { name }, status: { phase: 'Running', conditions: [{ type: 'Ready', status }] } };
}

describe('the revision that an undo goes back to', () => {
  it.each(['Deployment', 'StatefulSet', 'Rollout'] as const)(
    'is the second-highest number of a %s, whatever the order',
    (kind) => {
      const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { minLength: 2, maxLength: 9 });
      fc.assert(
        fc.property(numbers, fc.infiniteStream(fc.nat(50)), (wanted, seconds) => {
          const all = wanted.map((number) => revision(`r${number}`, number, Number(seconds.next().value)));
          const current = all.find(({ revision: number }) => number === Math.max(...wanted));
          const previous = workloadTypeOf(kind).previousOf(all, current);
          expect(previous?.revision).toBe([...wanted].sort((a, b) => a - b).at(-2));
        }),
      );
    },
  );

  it('is none where there is one revision, or none with a number that can be read', () => {
    const type = workloadTypeOf('Deployment');
    const current = revision('current', 4);
    expect(type.previousOf([current], current)).toBeUndefined();
    expect(type.previousOf([revision('junk', -1), current], current)).toBeUndefined();
    expect(workloadTypeOf('StatefulSet').previousOf([current], current)).toBeUndefined();
  });

  it('is, of adopted ones without a number, the oldest, as kubectl takes it', () => {
    const current = revision('current', 4);
    const adopted = [revision('b', 0, 2), revision('a', 0, 1)];
    expect(workloadTypeOf('Deployment').previousOf([...adopted, current], current)?.metadata.name).toBe('a');
  });
});

describe('a revision`s number', () => {
  it.each([
    [undefined, 0],
    ['7', 7],
    ['+7', 7],
    ['-3', -1],
    ['junk', -1],
    ['', -1],
    ['1e3', -1],
  ])('reads %j as %d', (text, number) => {
    const annotations: Record<string, string> = text === undefined ? {} : { [REVISION_ANNOTATION]: text };
    expect(revisionOf({ ...metadata('rs'), annotations })).toBe(number);
  });
});

describe('a StatefulSet', () => {
  const type = workloadTypeOf('StatefulSet');

  it('warns of every pod that a partition keeps on another template, and of no other', () => {
    const others = [pod('llm-0', true), pod('llm-1', true), pod('llm-9', true)];
    const set = workload({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } });
    const text = type.warnings(set, revision('to', 1), { wanted: [], others }).join('\n');
    expect(text).toContain('llm-0, llm-1 run another template');
    expect(text).not.toContain('llm-9');
  });

  it('counts pods that are stuck only where the controller waits for them', () => {
    const pods = { wanted: [], others: [pod('llm-0', true), pod('llm-1', false)] };
    expect(type.advice(workload({}), pods)).toMatch(/^llm-1 is not ready/);
    expect(type.advice(workload({ podManagementPolicy: 'Parallel' }), pods)).toBeUndefined();
  });

  it('is complete only when all wanted pods are updated and available by the newest generation', () => {
    const whole = { replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
    expect(type.isComplete(workload({}, whole), 3)).toBe(true);
    expect(type.isComplete(workload({}, { ...whole, observedGeneration: 2 }), 2)).toBe(false);
    expect(type.isComplete(workload({}, { ...whole, updatedReplicas: 1 }), 3)).toBe(false);
    expect(type.isComplete(workload({}, { ...whole, availableReplicas: 1 }), 3)).toBe(false);
    expect(type.isComplete(workload({}, { ...whole, replicas: 3 }), 3)).toBe(false);
  });
});

describe('a Rollout', () => {
  const type = workloadTypeOf('Rollout');
  const counts = { observedGeneration: '3', replicas: 2, updatedReplicas: 2, availableReplicas: 2 };

  it('is complete only when its controller calls this generation healthy', () => {
    const strategy = { canary: {} };
    expect(type.isComplete(workload({ strategy }, { ...counts, phase: 'Healthy' }), 3)).toBe(true);
    expect(type.isComplete(workload({ strategy }, { ...counts, phase: 'Progressing' }), 3)).toBe(false);
    expect(type.isComplete(workload({ strategy }, { ...counts, phase: 'Healthy' }), 4)).toBe(false);
  });

  it('waits for people at a pause without an end, or an analysis that decided nothing', () => {
    const steps = [{ pause: {} }, { pause: { duration: '5m' } }];
    const at = (currentStepIndex: number, rest: object = {}) =>
      workload(
        { strategy: { canary: { steps } } },
        { ...counts, phase: 'Paused', currentStepIndex, ...rest },
      );
    expect(type.waitsForPeople(at(0))).toMatch(/until a person promotes it/);
    expect(type.waitsForPeople(at(1))).toBeUndefined();
    const pauseConditions = [{ reason: 'InconclusiveAnalysisRun' }];
    expect(type.waitsForPeople(at(1, { pauseConditions }))).toMatch(/until a person promotes it/);
    // A pause of the generation before.
    expect(type.waitsForPeople(at(0, { observedGeneration: '2' }))).toBeUndefined();
  });

  it('warns of what stands between the patch and the traffic', () => {
    const warn = (strategy: object) =>
      type.warnings(workload({ strategy }), revision('to', 1), NO_PODS).join('\n');
    expect(warn({ canary: { steps: [{ setWeight: 5 }] } })).toMatch(/canary's 1 steps:/);
    expect(warn({ blueGreen: { autoPromotionEnabled: false } })).toMatch(/only when a person promotes/);
    expect(warn({ blueGreen: { prePromotionAnalysis: {} } })).toMatch(/own analysis/);
    expect(warn({ blueGreen: {} })).toBe('');
  });

  it('shows of its controller`s message one line without control characters', () => {
    const failed = workload({}, { ...counts, phase: 'Degraded', message: 'a\u001b[31m\n\u202eb' });
    expect(type.failure(failed, 3)?.detail).toBe('the Rollout is Degraded (a [31m b)');
  });
});
