import { describe, expect, it } from 'vitest';
import type { TrafficChange } from '../traffic/options.ts';
import { trafficOptionsSchema } from '../traffic/options.ts';
import type { PodBehaviour } from './pod-lifecycle.ts';
import { applyEvent, differencesFrom, SCENARIO_NAMES, scenarioOf } from './scenarios.ts';

function recordedWorld() {
  const controlled: TrafficChange[] = [];
  const images: [string, PodBehaviour][] = [];
  const controls = {
    traffic: {
      control: async (change: TrafficChange) => {
        controlled.push(change);
      },
    },
    node: { setImage: (image: string, behaviour: PodBehaviour) => void images.push([image, behaviour]) },
  };
  return { controlled, images, controls };
}

describe('scenarios', () => {
  it.each(SCENARIO_NAMES)('%s starts with options that the traffic accepts and knows every image', (name) => {
    const { traffic, v1, v2, fallback } = scenarioOf(name);
    trafficOptionsSchema.parse({
      kubeconfig: 'admin.kubeconfig',
      namespace: 'ai',
      fallback: fallback.deployment,
      canary: 'canary-canary',
      ...traffic,
    });
    expect(Object.keys(traffic.images).sort()).toEqual([v1.image, v2.image, fallback.image].sort());
  });

  it('are given as copies, so that one run cannot change the next', () => {
    const first = scenarioOf('rollback');
    first.traffic.images = {};
    expect(Object.keys(scenarioOf('rollback').traffic.images)).toHaveLength(3);
  });

  it('change the world only at their events', async () => {
    const scenario = scenarioOf('never-ready');
    const { controlled, images, controls } = recordedWorld();
    expect(await applyEvent(scenario, 'approval-asked', controls)).toBeUndefined();
    expect(images).toEqual([]);
    expect(await applyEvent(scenario, 'v2-shipped', controls)).toContain('never become ready');
    expect(images).toEqual([[scenario.v1.image, { ready: 'never' }]]);
    expect(controlled).toEqual([]);
  });

  it('let the harm of flap go away and come back below the limit for diverting', async () => {
    const scenario = scenarioOf('flap');
    const { controlled, controls } = recordedWorld();
    await applyEvent(scenario, 'approval-asked', controls);
    await applyEvent(scenario, 'alert-resolved', controls);
    const rates = controlled.map(({ images }) => images?.[scenario.v2.image]?.harmRate);
    expect(rates).toEqual([0, scenario.traffic.images[scenario.v2.image]?.harmRate]);
    expect(rates[1]).toBeGreaterThan(0.01);
    expect(rates[1]).toBeLessThan(0.05);
  });
});

describe('decisions', () => {
  it.each(SCENARIO_NAMES)('of %s are made when the approval was asked for, never before', (name) => {
    expect(scenarioOf(name).decision.after[0]).toBe('approval-asked');
  });

  it.each(SCENARIO_NAMES)('of %s come after every event at which its world changes', (name) => {
    const { on, decision } = scenarioOf(name);
    const awaited = new Set<string>(['v2-shipped', ...decision.after]);
    expect(Object.keys(on).filter((event) => !awaited.has(event))).toEqual([]);
  });

  it('of fallback-bad come when nobody is served any more', () => {
    expect(scenarioOf('fallback-bad').decision.after.at(-1)).toBe('blocked');
  });
});

describe('the harm of a canary', () => {
  const { traffic, v1, v2, canaryPods = 0, pods = {}, on } = scenarioOf('canary');

  it('is above the limit of the alert and below the one for diverting, taken over all pods', () => {
    const harmOf = (image: string): number => traffic.images[image]?.harmRate ?? Number.NaN;
    const part = canaryPods / v2.replicas;
    const overall = part * harmOf(v2.image) + (1 - part) * harmOf(v1.image);
    expect(overall).toBeGreaterThan(2 * 0.01);
    expect(overall).toBeLessThan(0.8 * 0.05);
  });

  it('stays at its pods: no further one becomes ready once they serve', () => {
    expect(pods[v2.image]?.ready).toBeGreaterThan(1_000);
    expect(on['v2-shipped']?.pods?.[v2.image]).toEqual({ ready: 'never' });
    expect(v1.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  });
});

describe('the end of an incident', () => {
  it('differs in nothing, or in what is told', () => {
    const { expected } = scenarioOf('rollback');
    expect(differencesFrom(expected, { ...expected })).toEqual([]);
    const { state: _, ...rest } = expected;
    expect(differencesFrom(expected, { ...rest, breaker: 'open' })).toEqual([
      'state is unknown, expected closed',
      'breaker is open, expected closed',
    ]);
  });
});
