import type { MethodId } from './methods/methods.ts';
import type { Cell } from './simulate.ts';

/** Incidents for each cell. */
export const INCIDENTS = 20_000;
/** Enough for `--quick`: a method that is wrong in 5% of all incidents instead of 1% shows. */
export const QUICK_INCIDENTS = 400;

/** True rates in units of the threshold, beside the threshold itself. */
export const RATES_ABOVE = [1.2, 2, 5];
export const RATES_BELOW = [0.8, 0.5, 0.2];

/** The shipped runbook's, on a share that serves 200 outputs a minute. */
const USUAL = { question: { threshold: 0.01, confidence: 0.99 }, outputs: 50 };

/** A method is held to its level only in the scenarios of a claim; what else is simulated is told beside it. */
export const CLAIMED_SCENARIOS = ['independent', 'clusters 0.1', 'clusters 0.3', 'bursts', 'mix shift'];
/** Heavier than what the method assumes. */
const BEYOND = ['sessions 0.1', 'sessions 0.3', 'clusters 0.9'];
/** Where each output has a rate of its own and nothing else, nothing need be assumed. */
export const UNCLUSTERED = ['independent', 'mix shift'];

/** Their rate is at the threshold at times only. */
const MOVING = ['mix shift'];

const OTHERS: MethodId[] = [
  'sleepAndLook',
  'sleepAndLookDiverted',
  'argoStrict',
  'argoLenient',
  'fixedSample',
];

export type Side = 'above' | 'below';

/** A cell, and on which sides of the threshold its rate is: at it, on both, unless it moves away from it. */
export interface PlannedCell extends Cell {
  sides: Side[];
}

type Setting = Pick<Cell, 'question' | 'outputs'>;

function cell(
  scenario: string,
  sides: Side[],
  multiple: number,
  methods: MethodId[],
  setting: Setting = USUAL,
): PlannedCell {
  return { scenario, sides, multiple, methods, ...setting, moves: sides.includes('above') ? 'up' : 'down' };
}

/** Both sides of the threshold itself, where the error is largest. */
function atThreshold(scenario: string, methods: MethodId[], setting: Setting = USUAL): PlannedCell[] {
  if (!MOVING.includes(scenario)) return [cell(scenario, ['above', 'below'], 1, methods, setting)];
  return [cell(scenario, ['above'], 1, methods, setting), cell(scenario, ['below'], 1, methods, setting)];
}

/** All rates of a scenario, on both sides. */
function grid(scenario: string): PlannedCell[] {
  const own: MethodId[] = ['firebreak'];
  if (UNCLUSTERED.includes(scenario)) own.push('independent');
  return [
    // Without a guard only here, where it matters most.
    ...atThreshold(scenario, [...new Set<MethodId>([...own, 'independent', ...OTHERS])]),
    ...RATES_ABOVE.map((multiple) => cell(scenario, ['above'], multiple, [...own, ...OTHERS])),
    ...RATES_BELOW.map((multiple) => cell(scenario, ['below'], multiple, [...own, ...OTHERS])),
  ];
}

/** Other thresholds and confidences; traffic such that half an hour is enough to decide. */
const SETTINGS = [
  { question: { threshold: 0.001, confidence: 0.99 }, outputs: 500 },
  { question: { threshold: 0.05, confidence: 0.99 }, outputs: 10 },
  { question: { threshold: 0.01, confidence: 0.95 }, outputs: 50 },
  { question: { threshold: 0.01, confidence: 0.99 }, outputs: 500 },
];

/** Where medians are compared, in units of the threshold. */
export const MEDIANS_AT = { healthy: 0.1, harmful: 5 };

/** Everything that the study simulates. */
export function plan(): PlannedCell[] {
  return [
    ...CLAIMED_SCENARIOS.flatMap(grid),
    ...CLAIMED_SCENARIOS.map((scenario) =>
      cell(scenario, ['below'], MEDIANS_AT.healthy, ['firebreak', 'independent', ...OTHERS]),
    ),
    cell('independent', ['above'], 10, ['firebreak', 'independent']),
    ...BEYOND.flatMap((scenario) => atThreshold(scenario, ['firebreak', 'wholeClusters'])),
    ...SETTINGS.flatMap((setting) => atThreshold('clusters 0.3', ['firebreak'], setting)),
  ];
}

/** The threshold itself in every claimed scenario, and what the medians need. */
export function quickPlan(): PlannedCell[] {
  return [
    ...CLAIMED_SCENARIOS.flatMap((scenario) =>
      atThreshold(scenario, ['firebreak', 'independent', ...OTHERS]),
    ),
    cell('independent', ['below'], MEDIANS_AT.healthy, ['firebreak', 'independent', ...OTHERS]),
    cell('independent', ['above'], MEDIANS_AT.harmful, ['firebreak', 'independent', ...OTHERS]),
  ];
}
