import type { AlertRecord } from './alert.ts';
import type { BreakerState } from './breaker.ts';
import type { Drill } from './drill.ts';
import type { HarmHistory } from './harm-history/types.ts';
import type { RolloutResult } from './rollback-plan.ts';
import type { SamplesReviewed } from './samples/precision.ts';
import type { Severity } from './severity.ts';
import type { Mode, Target } from './target.ts';

/** Moments of an incident, independent of one another; each holds epoch milliseconds once reached. */
export const MILESTONES = [
  'triggered',
  'paged',
  'acknowledged',
  'contained',
  'approved',
  'rolledBack',
  'recovered',
  'restored',
  'mitigated',
  'resolved',
  'closed',
] as const;
export type Milestone = (typeof MILESTONES)[number];

export type IncidentState =
  | 'triggered'
  | 'contained'
  | 'remediating'
  | 'verifying'
  | 'mitigated'
  | 'resolved'
  | 'closed'
  | 'needs-human';

export type Outcome =
  | 'recovered'
  | 'not-recovered'
  | 'insufficient-evidence'
  | 'rejected'
  | 'false-positive'
  | 'handed-over'
  | 'drill';

export type TimelineKind =
  | 'alert'
  | 'milestone'
  | 'step'
  | 'page'
  | 'decision'
  | 'breaker'
  | 'rollback'
  | 'verification'
  | 'evidence'
  | 'note'
  | 'would-have'
  | 'needs-human';

/** One line of the timeline. `text` is written by us; text of alerts, models or people only ever goes into `data`. */
export interface TimelineEntry {
  seq: number;
  atMs: number;
  kind: TimelineKind;
  text: string;
  /** Person id, or `firebreak`. */
  actor: string;
  data?: Record<string, unknown>;
}

export type StepStatus =
  | 'pending'
  | 'watching' // a `whenever` condition does not hold yet
  | 'awaiting-approval'
  | 'waiting' // for a time to pass: a `wait` step
  | 'running'
  | 'succeeded'
  | 'would-have' // observe mode: a mutation that was recorded instead of made
  | 'failed'
  | 'rejected'
  | 'skipped';

/** A step that does nothing any more, however it ended. */
export const ENDED_STEP: ReadonlySet<StepStatus> = new Set([
  'succeeded',
  'would-have',
  'failed',
  'rejected',
  'skipped',
]);

export interface StepState {
  id: string;
  uses: string;
  status: StepStatus;
  startedAtMs?: number;
  endedAtMs?: number;
  /** Why it was skipped, failed or rejected. */
  reason?: string;
  outputs?: Record<string, unknown>;
}

/** Outputs of one revision while it ran. */
export interface Served {
  classified: number;
  harmful: number;
  seconds: number;
}

/** Why a step that had not ended when the incident did was skipped. */
export const SKIPPED_AT_END = 'the incident was resolved';

/** An approval that waits for people. */
export interface PendingApproval {
  step: string;
  planHash: string;
  summary: string;
  warnings: string[];
  diff?: string;
  fromRevision?: number;
  toRevision?: number;
  fromImage?: string;
  toImage?: string;
  /** What Prometheus counted while the revisions served, where that was asked. */
  fromServed?: Served;
  toServed?: Served;
  changes: string[];
  groups: string[];
  count: number;
  /** One person with the break-glass right may approve alone. */
  breakGlass: boolean;
  /** Person ids that have approved this plan so far. */
  approvedBy: string[];
  requestedAtMs: number;
  expiresAtMs: number;
}

export type ActionLane = 'control' | 'assurance' | 'safety-debt' | 'exception';

export interface ActionItem {
  id: string;
  lane: ActionLane;
  title: string;
  owner: string;
  /** ISO date (YYYY-MM-DD). */
  due: string;
  /** When accepted risk must be renewed or closed (safety-debt). */
  expires?: string;
  /** When a temporary deviation ends (exception). */
  retires?: string;
  /** NIST AI RMF function this item serves. */
  rmfFunction: 'GOVERN' | 'MAP' | 'MEASURE' | 'MANAGE';
  evidence?: string;
  /** The step of the runbook that made it; absent where it follows from the incident's facts. */
  step?: string;
}

export interface VerificationSummary {
  outcome: 'recovered' | 'not-recovered' | 'insufficient-evidence';
  harmful: number;
  classified: number;
  threshold: number;
  confidence: number;
  interval: [low: number, high: number];
  designEffect: number;
  seconds: number;
  share: number;
  /** Names of gates and guards that were not satisfied. */
  unmet: string[];
}

export interface SampleSummary {
  count: number;
  from: string;
  byCategory: Record<string, number>;
  /** Never text: ids, hashes, lengths, categories. */
  items: {
    id: string;
    sha256: string;
    length: number;
    categories: string[];
    requestId: string;
    link?: string;
    /** Short, for people to type: `s-` and 10 hex digits. */
    ref?: string;
    /** Near-duplicates that this one stands for. */
    similar?: number;
    /** Its text is kept, redacted and encrypted, beside the records. */
    kept?: boolean;
  }[];
  /** Rows of the source that were not as configured, and were left out. */
  malformed?: number;
  /** What is kept of texts is destroyed then (epoch ms). */
  keptUntilMs?: number;
  /** Why texts that should have been kept were not. */
  textsProblem?: string;
  /** What reviewers said so far. */
  reviewed?: SamplesReviewed;
}

export interface StakeholderUpdate {
  atMs: number;
  by: string;
  /** A person's words: shown as plain text. */
  text: string;
}

/** What `describe`, the API, chat and the records all show. Plain JSON. */
export interface IncidentView {
  incidentId: string;
  workflowId: string;
  predecessorId?: string;
  /** What its pages go by at the vendors: keys of later rounds and levels begin with it. */
  dedupKey?: string;
  /** It is practised only. */
  drill?: Drill;
  /** Whether its message is in chat; absent: chat is not configured, or not known yet. */
  chatShown?: boolean;
  /** Person who declared it by hand; absent: alerts opened it. Does not approve alone. */
  declaredBy?: string;
  title: string;
  state: IncidentState;
  outcome?: Outcome;
  severity: Severity;
  mode: Mode;
  runbook: { name: string; version: number; hash: string; owner: string };
  target?: Target;
  targetProblem?: string;
  correlation: Record<string, string>;
  milestones: Partial<Record<Milestone, number>>;
  alerts: AlertRecord[];
  truncatedAlerts: number;
  duplicateDeliveries: number;
  steps: StepState[];
  pendingApprovals: PendingApproval[];
  breaker?: { state: BreakerState; share: number; reason: string; fallback?: string };
  pages: { role: string; channel: string; acceptedAtMs: number }[];
  /** Pages that no channel has taken so far, and since when. */
  undelivered?: { role: string; sinceMs: number }[];
  commander?: string;
  commanderSinceMs?: number;
  acknowledgedBy?: string;
  /** When they did: milestones keep when somebody did first. */
  acknowledgedAtMs?: number;
  ticketUrl?: string;
  samples?: SampleSummary;
  rollback?: {
    fromRevision: number;
    toRevision: number;
    fromImage: string;
    toImage: string;
    planHash: string;
    rollout?: RolloutResult;
  };
  verification?: VerificationSummary;
  /** Harm over time around the incident, as it was last read. */
  harmHistory?: HarmHistory;
  actionItems: ActionItem[];
  /** What stakeholders were told, oldest first; the latest are kept. */
  updates?: StakeholderUpdate[];
  /** When the next update is due, by the word of whoever gave the last. */
  updateDueAtMs?: number;
  /** Approvals that somebody gave alone. */
  breakGlass?: { person: string; step: string; atMs: number; reason: string }[];
  /** Why a human is needed; empty when nobody is. */
  humanNeeded: string[];
  lastHarmRate?: number;
  timeline: TimelineEntry[];
}

/**
 * The state that people see, derived from milestones, never stored. A need for a human outranks progress: an incident
 * that waits for somebody must not look as if it were on its way.
 */
export function deriveState(input: {
  milestones: Partial<Record<Milestone, number>>;
  humanNeeded: readonly string[];
  verifying: boolean;
  remediating: boolean;
}): IncidentState {
  const { milestones } = input;
  if (milestones.closed !== undefined) return 'closed';
  if (milestones.resolved !== undefined) return 'resolved';
  if (input.humanNeeded.length > 0) return 'needs-human';
  if (milestones.mitigated !== undefined) return 'mitigated';
  if (input.verifying) return 'verifying';
  if (input.remediating || milestones.rolledBack !== undefined) return 'remediating';
  if (milestones.contained !== undefined) return 'contained';
  return 'triggered';
}
