/** The names and payloads of every message between edges, workflows and peers: one place, imported by both sides. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Ledger } from '../activities/contract.ts';
import type { AlertsReceived } from '../domain/alert.ts';
import type { Breaker } from '../domain/breaker.ts';
import type { Override } from '../domain/breaker-machine.ts';
import type { SignedDecision } from '../domain/decision.ts';
import type { IncidentView } from '../domain/incident.ts';
import type {
  PageReport,
  PageRequest,
  PagerEvent,
  PagerPage,
  WatchdogSettings,
  WatchdogView,
} from '../domain/paging.ts';
import type { SampleVerdict } from '../domain/samples/precision.ts';
import type { Severity } from '../domain/severity.ts';
import type { TargetCommand, TargetReply } from '../domain/target-command.ts';

/** Who sends a message: a person of the access file, authenticated and authorised by the edge. */
export interface Actor {
  person: string;
  via: 'api' | 'cli' | 'slack' | 'pager';
}

export const INCIDENT_WORKFLOW = 'incident';
export const TARGET_WORKFLOW = 'target';
export const PAGING_WORKFLOW = 'paging';
export const ROLLBACK_WORKFLOW = 'rollback';
export const VERIFICATION_WORKFLOW = 'verification';
export const WATCHDOG_WORKFLOW = 'watchdog';
export const AFTERCARE_WORKFLOW = 'aftercare';
export const PLANNING_WORKFLOW = 'planning';
export const EVIDENCE_WORKFLOW = 'evidence';

export const alertsReceivedSignal = defineSignal<[AlertsReceived]>('alertsReceived');

/** Every update answers with the sentence to show to the person who sent it. */
export interface Answer {
  message: string;
}

/** `page`: of the pager in which it was acknowledged. */
export const acknowledgeUpdate = defineUpdate<Answer, [{ actor: Actor; page?: PagerPage }]>('acknowledge');
/** The edge has signed the decision; the validator checks that step and plan hash are what is waiting. */
export const approveUpdate = defineUpdate<Answer, [{ actor: Actor; signed: SignedDecision }]>('approve');
export const rejectUpdate = defineUpdate<Answer, [{ actor: Actor; signed: SignedDecision }]>('reject');
export const setSeverityUpdate = defineUpdate<Answer, [{ actor: Actor; severity: Severity; reason: string }]>(
  'setSeverity',
);
export const assignCommanderUpdate = defineUpdate<Answer, [{ actor: Actor; commander: string }]>(
  'assignCommander',
);
export const addNoteUpdate = defineUpdate<Answer, [{ actor: Actor; text: string }]>('addNote');
/** The next level is paged now, acknowledged or not; where nobody is left, the commander. */
export const escalateUpdate = defineUpdate<Answer, [{ actor: Actor; reason?: string }]>('escalate');
/** What stakeholders are told; `remindAfterMs`: when the next is due. */
export const informUpdate = defineUpdate<Answer, [{ actor: Actor; text: string; remindAfterMs?: number }]>(
  'inform',
);
/** `to`: for a rollback step, the revision that a person chose. */
export const retryStepUpdate = defineUpdate<
  Answer,
  [{ actor: Actor; step: string; reason: string; toRevision?: number }]
>('retryStep');
export const skipStepUpdate = defineUpdate<Answer, [{ actor: Actor; step: string; reason: string }]>(
  'skipStep',
);
export const abortUpdate = defineUpdate<Answer, [{ actor: Actor; reason: string }]>('abort');
export const overrideBreakerUpdate = defineUpdate<
  Answer,
  [{ actor: Actor; force: 'open' | 'closed' | 'hold' | 'none'; reason: string; forMs: number }]
>('overrideBreaker');
export const markFalsePositiveUpdate = defineUpdate<Answer, [{ actor: Actor; reason: string }]>(
  'markFalsePositive',
);
/** `sampleId`: its id, or the short reference that lists show. The last word of a person counts. */
export const reviewSampleUpdate = defineUpdate<
  Answer,
  [{ actor: Actor; sampleId: string; verdict: SampleVerdict }]
>('reviewSample');
export const resolveUpdate = defineUpdate<Answer, [{ actor: Actor; reason: string }]>('resolve');
export const describeQuery = defineQuery<IncidentView>('describe');

/** Search attributes (Keyword); no personal data in them. */
export const SEARCH_ATTRIBUTES = {
  target: 'FirebreakTarget',
  severity: 'FirebreakSeverity',
  state: 'FirebreakState',
  runbook: 'FirebreakRunbook',
  alertname: 'FirebreakAlertname',
} as const;

// --- between workflows --------------------------------------------------------------------------------------------

/** To the target's actor; always sent by SignalWithStart, which wakes it. */
export const targetCommandSignal = defineSignal<[TargetCommand]>('targetCommand');
/** From the target's actor to the workflow id in the command's `replyTo`. */
export const targetReplySignal = defineSignal<[TargetReply]>('targetReply');
/** The target tells its holders of a change that nobody commanded. */
export const targetNewsSignal =
  defineSignal<[{ text: string; needsHuman: boolean; breaker: Breaker }]>('targetNews');
export const describeTargetQuery = defineQuery<TargetView>('describeTarget');

/** What the actor of a target knows; an actor that does not run knows nothing, and its breaker is closed. */
export interface TargetView {
  breaker: Breaker;
  holders: string[];
  ledger: Ledger;
  override?: Override;
  /** Nothing but containment changes the target until then. */
  frozen?: Frozen;
  watching: boolean;
}

export interface Frozen {
  person: string;
  reason: string;
  untilMs: number;
}

/** To the target's actor, by update-with-start: it may not be running. */
export const freezeUpdate = defineUpdate<Answer, [{ actor: Actor; reason: string; forMs: number }]>('freeze');
export const unfreezeUpdate = defineUpdate<Answer, [{ actor: Actor; reason: string }]>('unfreeze');

export const pageRequestedSignal = defineSignal<[PageRequest]>('pageRequested');
export const pagesAcknowledgedSignal = defineSignal<[{ by: string }]>('pagesAcknowledged');
/** Whoever is the next level of each page is called now. */
export const pagesEscalatedSignal = defineSignal<[{ by: string; id: string }]>('pagesEscalated');
/** The acknowledgement lapsed at the pager: what it had stopped goes on. */
export const pagesUnacknowledgedSignal = defineSignal('pagesUnacknowledged');
export const pagesResolvedSignal = defineSignal('pagesResolved');
/** What happened in the pager itself and is no acknowledgement by a person of the access file. */
export const pagerEventUpdate = defineUpdate<Answer, [{ event: PagerEvent }]>('pagerEvent');
/** From the paging workflow to its incident. */
export const pageReportedSignal = defineSignal<[PageReport]>('pageReported');

/** A key of kept texts, and when it goes (epoch ms). */
export interface KeptKey {
  keyId: string;
  destroyAtMs: number;
}
/** To the timer of an incident's kept texts; always sent by SignalWithStart. */
export const evidenceKeptSignal = defineSignal<[KeptKey]>('evidenceKept');

/** The always-firing alert has arrived (epoch ms of the server that took it). */
export const watchdogSeenSignal = defineSignal<[{ atMs: number }]>('watchdogSeen');
/** What the configuration says now; absent: there is no watchdog any more. */
export const watchdogConfiguredSignal = defineSignal<[{ settings?: WatchdogSettings }]>('watchdogConfigured');
export const describeWatchdogQuery = defineQuery<WatchdogView>('describeWatchdog');
