import type { BreakerState } from '../../domain/breaker.ts';
import type { IncidentState, Outcome } from '../../domain/incident.ts';
import type { RolloutResult } from '../../domain/rollback-plan.ts';
import type { ImageBehaviour, TrafficChange } from '../traffic/options.ts';
import type { PodBehaviour } from './pod-lifecycle.ts';

export const SCENARIO_NAMES = [
  'rollback',
  'reject',
  'bad-previous',
  'no-traffic',
  'never-ready',
  'flap',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** What the driver sees happen; a scenario may change the world at each, once. */
export type WorldEvent =
  /** v2 has rolled out. */
  | 'v2-shipped'
  /** The incident waits for the approval of its rollback. */
  | 'approval-asked'
  /** Alertmanager has told that the alert is resolved, with the incident still open. */
  | 'alert-resolved'
  /** And that it fires again. */
  | 'alert-fired-again';

export interface WorldChange {
  /** For the story: what happens, in a few words. */
  why: string;
  traffic?: TrafficChange;
  /** Pods of an image that are not ready yet, and those to come. */
  pods?: Record<string, PodBehaviour>;
}

export interface ScenarioModel {
  deployment: string;
  image: string;
  replicas: number;
}

export interface Expectation {
  state: IncidentState;
  outcome: Outcome;
  /** What the Deployment's template names at the end. */
  image: string;
  /** In the ConfigMap that gateways read; `closed` also where no breaker was ever written. */
  breaker: BreakerState;
  /** Where an open breaker sends the traffic; null: it is not open. */
  fallback: string | null;
  /** Who gets the users' requests at the end, by Prometheus' counters. */
  servedBy: 'target' | 'fallback';
  /** Whether the target was once without any request before a share was let back, by the same counters. */
  divertedWhole: boolean;
  /** Changes of the Deployment's spec, and revisions, since v2 rolled out. */
  specChanges: 0 | 1;
  revisionsMade: 0 | 1;
  /** How the rollout of the rollback ended; `none`: nothing was patched. */
  rollout: RolloutResult['outcome'] | 'none';
  verification: 'recovered' | 'not-recovered' | 'insufficient-evidence' | 'none';
  /** Somebody above the first responders was paged. */
  commanderPaged: boolean;
  /** Always one, however often the alert fires. */
  incidents: 1;
}

export interface Scenario {
  name: ScenarioName;
  /** One line for --help and the story's head. */
  title: string;
  v1: ScenarioModel;
  v2: ScenarioModel;
  fallback: ScenarioModel;
  /** Of the model's Deployment; absent: Kubernetes' own. */
  progressDeadlineSeconds?: number;
  traffic: {
    deployments: { name: string; rps?: number }[];
    rps: number;
    images: Record<string, ImageBehaviour>;
  };
  on: Partial<Record<WorldEvent, WorldChange>>;
  /** What the approver says, and when; never before the approval is asked for. */
  decision: { verdict: 'approve' | 'reject'; after: WorldEvent };
  expected: Expectation;
}

const MODEL = 'llm-api';
const FALLBACK = 'llm-fallback';
const V1_IMAGE = 'demo.invalid/llm:v1';
const V2_IMAGE = 'demo.invalid/llm:v2';
const FALLBACK_IMAGE = 'demo.invalid/llm-small:v1';

/** At a share of 10%, enough for a verdict within seconds: 500 classified outputs are its minimum exposure. */
const USERS_RPS = 600;
/** The fallback's own users: what is known of its harm comes from them before anything is diverted to it. */
const FALLBACK_RPS = 20;

/** A tenth of the threshold of alert and verification (1%). */
const HEALTHY = 0.001;
/** Its own users are few: one harmful output among the first hundred must stay rare, or its alert fires too. */
const HEALTHY_FALLBACK = 0.0001;
/** Far above the runbook's limit for diverting at once (5%). */
const HARMFUL = 0.12;
/** Between the alert's 1% and the 5% above which traffic is diverted. */
const MILDLY_HARMFUL = 0.03;

/** Short against the rest of the demo; long against the fraction of a second that pods need where they get ready. */
const SHORT_PROGRESS_DEADLINE_SECONDS = 10;

const RECOVERED: Expectation = {
  state: 'closed',
  outcome: 'recovered',
  image: V1_IMAGE,
  breaker: 'closed',
  fallback: null,
  servedBy: 'target',
  divertedWhole: true,
  specChanges: 1,
  revisionsMade: 1,
  rollout: 'complete',
  verification: 'recovered',
  commanderPaged: false,
  incidents: 1,
};
const CONTAINED: Omit<Expectation, 'outcome' | 'verification'> = {
  state: 'needs-human',
  image: V1_IMAGE,
  breaker: 'open',
  fallback: FALLBACK,
  servedBy: 'fallback',
  divertedWhole: true,
  specChanges: 1,
  revisionsMade: 1,
  rollout: 'complete',
  commanderPaged: true,
  incidents: 1,
};

const USUAL = {
  v1: { deployment: MODEL, image: V1_IMAGE, replicas: 3 },
  v2: { deployment: MODEL, image: V2_IMAGE, replicas: 3 },
  fallback: { deployment: FALLBACK, image: FALLBACK_IMAGE, replicas: 2 },
  traffic: trafficWith(HARMFUL),
  on: {},
  decision: { verdict: 'approve', after: 'approval-asked' },
} satisfies Partial<Scenario>;

const SCENARIOS: Record<ScenarioName, Scenario> = {
  rollback: {
    ...USUAL,
    name: 'rollback',
    title: 'v2 is harmful: diverted, rolled back to v1 with approval, proved, restored',
    expected: RECOVERED,
  },
  reject: {
    ...USUAL,
    name: 'reject',
    title: 'the approver says no: nothing is rolled back, traffic stays diverted, a human decides',
    decision: { verdict: 'reject', after: 'approval-asked' },
    expected: {
      ...CONTAINED,
      outcome: 'rejected',
      image: V2_IMAGE,
      specChanges: 0,
      revisionsMade: 0,
      rollout: 'none',
      verification: 'none',
      // Whoever rejected is at it already.
      commanderPaged: false,
    },
  },
  'bad-previous': {
    ...USUAL,
    name: 'bad-previous',
    title: 'v1 has become harmful too: the rollback does not help, traffic goes back to the fallback',
    on: {
      'v2-shipped': {
        why: 'the retrieval index that v1 and v2 share has gone bad',
        traffic: { images: { [V1_IMAGE]: { harmRate: HARMFUL } } },
      },
    },
    expected: { ...CONTAINED, outcome: 'not-recovered', verification: 'not-recovered' },
  },
  'no-traffic': {
    ...USUAL,
    name: 'no-traffic',
    title: 'nobody uses the share that is let back: no evidence, so traffic stays diverted',
    on: {
      'approval-asked': {
        why: 'the gateway will send nothing to the model while its breaker is half-open',
        traffic: { halfOpenTraffic: false },
      },
    },
    expected: { ...CONTAINED, outcome: 'insufficient-evidence', verification: 'insufficient-evidence' },
  },
  'never-ready': {
    ...USUAL,
    name: 'never-ready',
    title: 'the rolled-back pods never become ready: traffic stays diverted, a human is paged again',
    progressDeadlineSeconds: SHORT_PROGRESS_DEADLINE_SECONDS,
    on: {
      'v2-shipped': {
        why: "v1's weights are no longer to be had: its pods will never become ready",
        pods: { [V1_IMAGE]: { ready: 'never' } },
      },
    },
    expected: { ...CONTAINED, outcome: 'not-recovered', rollout: 'deadline', verification: 'none' },
  },
  flap: {
    ...USUAL,
    name: 'flap',
    title: 'harm of 3% goes away and comes back while the incident is open: it stays one incident',
    traffic: trafficWith(MILDLY_HARMFUL),
    on: {
      'approval-asked': {
        why: 'v2 stops doing harm for a while',
        traffic: { images: { [V2_IMAGE]: { harmRate: 0 } } },
      },
      'alert-resolved': {
        why: 'v2 does harm again',
        traffic: { images: { [V2_IMAGE]: { harmRate: MILDLY_HARMFUL } } },
      },
    },
    decision: { verdict: 'approve', after: 'alert-fired-again' },
    // Below the runbook's limit: nothing is diverted at once.
    expected: { ...RECOVERED, divertedWhole: false },
  },
};

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

function trafficWith(v2HarmRate: number): Scenario['traffic'] {
  return {
    deployments: [{ name: MODEL }, { name: FALLBACK, rps: FALLBACK_RPS }],
    rps: USERS_RPS,
    images: {
      [V1_IMAGE]: { harmRate: HEALTHY },
      [V2_IMAGE]: { harmRate: v2HarmRate },
      [FALLBACK_IMAGE]: { harmRate: HEALTHY_FALLBACK },
    },
  };
}
