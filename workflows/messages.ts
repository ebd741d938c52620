/** The names and payloads of every message between edges, workflows and peers: one place, imported by both sides. */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Ledger } from '../activities/contract.ts';
import type { AlertsReceived } from '../domain/alert.ts';
import type { Breaker } from '../domain/breaker.ts';
import type { Override } from '../domain/breaker-machine.ts';
import type { SignedDecision } from '../domain/decision.ts';
import type { IncidentView } from '../domain/incident.ts';
import type { PageReport, PageRequest } from '../domain/paging.ts';
import type { Severity } from '../domain/severity.ts';
import type { TargetCommand, TargetReply } from '../domain/target-command.ts';

/** Who sends a message: a person of the access file, authenticated and authorised by the edge. */
export interface Actor {
  person: string;
  via: 'api' | 'cli' | 'slack';
}

export const INCIDENT_WORKFLOW = 'incident';
export const TARGET_WORKFLOW = 'target';
export const PAGING_WORKFLOW = 'paging';
export const ROLLBACK_WORKFLOW = 'rollback';
export const VERIFICATION_WORKFLOW = 'verification';
export const AFTERCARE_WORKFLOW = 'aftercare';
export const PLANNING_WORKFLOW = 'planning';

export const alertsReceivedSignal = defineSignal<[AlertsReceived]>('alertsReceived');

/** Every update answers with the sentence to show to the person who sent it. */
export interface Answer {
  message: string;
}

export const acknowledgeUpdate = defineUpdate<Answer, [{ actor: Actor }]>('acknowledge');
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
export const pagesResolvedSignal = defineSignal('pagesResolved');
/** From the paging workflow to its incident. */
export const pageReportedSignal = defineSignal<[PageReport]>('pageReported');
