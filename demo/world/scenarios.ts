import type { TrafficChange } from '../traffic/options.ts';
import type { PodBehaviour } from './pod-lifecycle.ts';
import { SCENARIO_NAMES, type ScenarioName } from './scenario-names.ts';
import type { Expectation, Scenario, WorldEvent } from './scenarios-model.ts';
import { SCENARIOS } from './scenarios-table.ts';

export { SCENARIO_NAMES, type ScenarioName } from './scenario-names.ts';
export type { Expectation, IncidentEvent, Scenario } from './scenarios-model.ts';

/** What is to be shown, as data: the world at the start, what changes when, and how the incident must end. */
export function scenarioOf(name: ScenarioName): Scenario {
  return structuredClone(SCENARIOS[name]);
}

export function isScenarioName(text: string): text is ScenarioName {
  return SCENARIO_NAMES.some((name) => name === text);
}

/** What a scenario's changes are made through; RunningTraffic and RunningNode fit. */
export interface WorldControls {
  traffic: { control(change: TrafficChange): Promise<void> };
  node: { setImage(image: string, behaviour: PodBehaviour): void };
}

/** Makes the scenario's change for an event. @returns what happened, for the story; undefined: nothing. */
export async function applyEvent(
  scenario: Scenario,
  event: WorldEvent,
  { traffic, node }: WorldControls,
): Promise<string | undefined> {
  const change = scenario.on[event];
  if (change === undefined) return undefined;
  for (const [image, behaviour] of Object.entries(change.pods ?? {})) node.setImage(image, behaviour);
  if (change.traffic !== undefined) await traffic.control(change.traffic);
  return change.why;
}

/** How an incident ended, compared with what the scenario expects: one line for each difference, none when as expected. */
export function differencesFrom(
  expected: Expectation,
  seen: Partial<Record<keyof Expectation, unknown>>,
): string[] {
  return (Object.keys(expected) as (keyof Expectation)[])
    .filter((key) => seen[key] !== expected[key])
    .map((key) => `${key} is ${String(seen[key] ?? 'unknown')}, expected ${expected[key]}`);
}
