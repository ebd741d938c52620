import type { IncidentState, Outcome } from '../incident.ts';
import type { Severity } from '../severity.ts';

/** Something that Firebreak recorded instead of doing it. `text` is ours; values in it may come from the cluster. */
export interface WouldHave {
  step: string;
  uses: string;
  /** `ask-contain`: a diversion that would have waited for people, so it counts as no containment. */
  kind: 'contain' | 'ask-contain' | 'rollback' | 'follow-up' | 'other';
  /** Since the alert was received. Absent for what would have followed a change that was never made. */
  afterMs?: number;
  text: string;
  fallback?: string;
  planHash?: string;
  fromRevision?: number;
  toRevision?: number;
  /** Why its condition could not be measured; the runbook says to act then. */
  unknown?: string;
}

/** A diversion or rollback that would not have happened either, and why. */
export interface NotDone {
  step: string;
  uses: string;
  why: 'condition-unknown' | 'condition-not-met' | 'failed' | 'skipped' | 'not-yet';
  reason: string;
}

/** Something that people, or others than Firebreak, did: as far as it was seen. */
export interface Done {
  afterMs: number;
  kind: 'decision' | 'note' | 'target-change' | 'alert-ended';
  /** Ours, except for a change of the target, which names what the cluster names. */
  text: string;
  who?: string;
  /** What the person wrote. */
  words?: string;
}

export const SIGNS = [
  'would-contain',
  'would-plan-rollback',
  'would-do-nothing',
  'condition-unknown',
  'harm-rate-not-measured',
  'target-changed',
  'changes-not-known',
  'ended-by-itself',
  'false-positive',
  'still-open',
] as const;
/** What kind of incident it was, for the totals; several can hold. */
export type Sign = (typeof SIGNS)[number];

export interface ObservedIncident {
  incidentId: string;
  title: string;
  target?: string;
  severity: Severity;
  state: IncidentState;
  outcome?: Outcome;
  runbook: { name: string; version: number };
  triggeredAtMs: number;
  wouldHave: WouldHave[];
  notDone: NotDone[];
  done: Done[];
  /** From the alert's arrival to the first diversion that would have begun. */
  containAfterMs?: number;
  /** From the alert's arrival to the first change of the target that was seen. */
  firstChangeAfterMs?: number;
  /** From the alert's arrival until none of its alerts fired any more. */
  alertEndedAfterMs?: number;
  lastHarmRate?: number;
  signs: Sign[];
  /** What this incident does not tell. */
  notKnown: string[];
}

/** A median and how many incidents it is over. */
export interface Median {
  medianMs?: number;
  count: number;
}

export interface ObserveTotals {
  incidents: number;
  /** Incidents by sign. */
  signs: Record<Sign, number>;
  /** Of those that Firebreak would have contained: how many nobody would have wanted contained, as far as is known. */
  containedFalsePositives: number;
  containedEndedByItself: number;
  /** Over the incidents that Firebreak would have contained, so that like is compared with like. */
  toContainment: Median;
  toFirstChange: Median;
  toAlertEnd: Median;
  /** Where both are known: the diversion would have begun before the target was first changed. */
  containedBeforeFirstChange: { count: number; of: number };
}

export interface ObserveReport {
  sinceMs: number;
  untilMs: number;
  /** There are more incidents than `incidents` has: those are the newest. */
  truncated: boolean;
  totals: ObserveTotals;
  /** Newest first. */
  incidents: ObservedIncident[];
  /** What no number here says. */
  caveats: string[];
}
