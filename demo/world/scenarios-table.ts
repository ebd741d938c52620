/** The world of each scenario, what changes in it, and how its incident must end. */
import type { RollingUpdate } from './models.ts';
import type { ScenarioName } from './scenario-names.ts';
import type { Expectation, Scenario } from './scenarios-model.ts';

const MODEL = 'llm-api';
const FALLBACK = 'llm-fallback';
const V1_IMAGE = 'demo.invalid/llm:v1';
const V2_IMAGE = 'demo.invalid/llm:v2';
const FALLBACK_IMAGE = 'demo.invalid/llm-small:v1';

const REPLICAS = 3;
/** A canary on one of four pods: three times v2's harm is diluted, and stays above the alert's limit. */
const CANARY_REPLICAS = 4;

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

/**
 * Between the canary's first pod being ready and its second one being so, had nothing happened meanwhile: the driver holds
 * the rollout in this time.
 */
const CANARY_POD_STARTS_IN_MS = 5_000;

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
  v2PodsServing: REPLICAS,
  blocked: false,
  blames: null,
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
  v2PodsServing: REPLICAS,
  blocked: false,
  blames: null,
  commanderPaged: true,
  incidents: 1,
};

/** A pod more than wanted at most, and never one less. */
const ONE_AT_A_TIME: RollingUpdate = { maxSurge: 1, maxUnavailable: 0 };

const USUAL = {
  v1: { deployment: MODEL, image: V1_IMAGE, replicas: REPLICAS },
  v2: { deployment: MODEL, image: V2_IMAGE, replicas: REPLICAS },
  fallback: { deployment: FALLBACK, image: FALLBACK_IMAGE, replicas: 2 },
  traffic: trafficWith(HARMFUL),
  on: {},
  decision: { verdict: 'approve', after: ['approval-asked'] },
} satisfies Partial<Scenario>;

export const SCENARIOS: Record<ScenarioName, Scenario> = {
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
    decision: { verdict: 'reject', after: ['approval-asked'] },
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
    decision: { verdict: 'approve', after: ['approval-asked', 'alert-resolved', 'alert-fired-again'] },
    // Below the runbook's limit: nothing is diverted at once.
    expected: { ...RECOVERED, divertedWhole: false },
  },
  'no-capacity': {
    ...USUAL,
    name: 'no-capacity',
    title: 'the rolled-back pods fit on no node: traffic stays diverted, a human is paged again',
    progressDeadlineSeconds: SHORT_PROGRESS_DEADLINE_SECONDS,
    on: {
      'v2-shipped': {
        why: 'others have taken the GPUs meanwhile: no node has room for another pod of v1',
        pods: { [V1_IMAGE]: { ready: 'unschedulable' } },
      },
    },
    expected: { ...CONTAINED, outcome: 'not-recovered', rollout: 'unschedulable', verification: 'none' },
  },
  'fallback-bad': {
    ...USUAL,
    name: 'fallback-bad',
    title: 'the fallback turns harmful while it serves: traffic is blocked until v1 is proved',
    on: {
      contained: {
        why: 'the fallback becomes as harmful as v2',
        traffic: { images: { [FALLBACK_IMAGE]: { harmRate: HARMFUL } } },
      },
    },
    decision: { verdict: 'approve', after: ['approval-asked', 'contained', 'blocked'] },
    // The second incident is the fallback's own: its users are harmed as well.
    expected: { ...RECOVERED, blocked: true, commanderPaged: true, incidents: 2 },
  },
  'two-incidents': {
    ...USUAL,
    name: 'two-incidents',
    title: 'two teams answer the same harm: one rollback, and the breaker closes when both have proved it',
    secondTeam: true,
    expected: { ...RECOVERED, incidents: 2 },
  },
  canary: {
    ...USUAL,
    name: 'canary',
    title: 'v2 serves on one pod of four: harm by revision says which, and it is rolled back',
    v1: { deployment: MODEL, image: V1_IMAGE, replicas: CANARY_REPLICAS, rollingUpdate: ONE_AT_A_TIME },
    v2: { deployment: MODEL, image: V2_IMAGE, replicas: CANARY_REPLICAS, rollingUpdate: ONE_AT_A_TIME },
    pods: { [V2_IMAGE]: { ready: CANARY_POD_STARTS_IN_MS } },
    canaryPods: 1,
    looksAtRevisions: true,
    on: {
      'v2-shipped': {
        why: 'the rollout stays at one pod of v2: no other passes its readiness check',
        pods: { [V2_IMAGE]: { ready: 'never' } },
      },
    },
    // A quarter of v2's harm: above the alert's limit, below the one for diverting at once.
    expected: { ...RECOVERED, divertedWhole: false, v2PodsServing: 1, blames: V2_IMAGE },
  },
};

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
