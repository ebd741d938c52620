/** What a scenario is made of: a world, what changes in it and when, and how the incident must end. */
import type { BreakerState } from '../../domain/breaker.ts';
import type { IncidentState, Outcome } from '../../domain/incident.ts';
import type { RolloutResult } from '../../domain/rollback-plan.ts';
import type { ImageBehaviour, TrafficChange } from '../traffic/options.ts';
import type { RollingUpdate } from './models.ts';
import type { PodBehaviour } from './pod-lifecycle.ts';
import type { ScenarioName } from './scenario-names.ts';

/** What the driver sees of an incident. */
export type IncidentEvent =
  /** It waits for the approval of its rollback. */
  | 'approval-asked'
  /** The diversion was measured in traffic. */
  | 'contained'
  /** The fallback failed as well: nobody is served. */
  | 'blocked'
  /** Alertmanager has told that the alert is resolved, with the incident still open. */
  | 'alert-resolved'
  /** And that it fires again. */
  | 'alert-fired-again';

/** What the driver sees happen; a scenario may change the world at each, once. */
export type WorldEvent =
  /** v2 has rolled out; of a canary, its first pod serves. */
  'v2-shipped' | IncidentEvent;

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
  /** How its Deployment replaces pods; absent: Kubernetes' own way. */
  rollingUpdate?: RollingUpdate;
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
  /** Pods of v2 that got any request, by Prometheus' counters. */
  v2PodsServing: number;
  /** Users were once refused because the breaker named no fallback, by the gateway's counter. */
  blocked: boolean;
  /** The image whose outputs were far more harmful than any other revision's, as the plan showed it; null: not looked at. */
  blames: string | null;
  /** Somebody above the first responders was paged. */
  commanderPaged: boolean;
  /** One for each runbook and Deployment that an alert is about, however often it fires. */
  incidents: 1 | 2;
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
  /** How pods of an image start from the beginning; others are ready in a moment. */
  pods?: Record<string, PodBehaviour>;
  /** The rollout of v2 is held at this many pods of it that serve; absent: it goes through. */
  canaryPods?: number;
  /** The answer of a rollback's plan is looked at for what each revision served. */
  looksAtRevisions?: boolean;
  /** A second team answers the same harm with an alert and a runbook of its own: its incident is followed as well. */
  secondTeam?: boolean;
  on: Partial<Record<WorldEvent, WorldChange>>;
  /** What the approver says, and after which events, waited for in this order; the approval is asked for before. */
  decision: { verdict: 'approve' | 'reject'; after: IncidentEvent[] };
  expected: Expectation;
}
