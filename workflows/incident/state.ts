import type { ChatMessageRef } from '../../activities/contract.ts';
import type { AlertRecord, AlertsReceived } from '../../domain/alert.ts';
import type { Breaker } from '../../domain/breaker.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import type { Drill } from '../../domain/drill.ts';
import {
  deriveState,
  type IncidentState,
  type IncidentView,
  type Milestone,
  type Outcome,
  type PendingApproval,
  type SampleSummary,
  type StepState,
  type TimelineEntry,
  type TimelineKind,
} from '../../domain/incident.ts';
import type { UndeliveredPage } from '../../domain/paging.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { sampleKey } from '../../domain/samples/merge.ts';
import {
  countMarks,
  describeReviews,
  findSample,
  type SampleMarks,
  type SampleVerdict,
} from '../../domain/samples/precision.ts';
import type { Severity } from '../../domain/severity.ts';
import { shownLabels, withOnly } from '../../domain/shown-labels.ts';
import type { Mode, TargetFacts, TargetResolution } from '../../domain/target.ts';
import type { TargetReply } from '../../domain/target-command.ts';
import type { Evidence, Prepared } from '../../runbooks/steps/context.ts';
import type { Actor } from '../messages.ts';

export interface IncidentInput {
  runbook: CompiledRunbook;
  correlation: Record<string, string>;
  target: TargetResolution;
  /** The namespace's mode by configuration; the workload's annotation wins once the cluster was read. */
  mode: Mode;
  /** A person opened it, not an alert. */
  declared?: Declaration;
  /** People are paged and asked for practice; nothing is changed that was not asked for. */
  drill?: Drill;
  /** Carried over continue-as-new. */
  data?: IncidentData;
  /** The incident that this one follows, with the alerts that opened it, and what that one, and those before it, had not written down. */
  reopened?: {
    predecessorId: string;
    alerts: AlertsReceived[];
    unfinished?: Unfinished[];
  };
}

/** What an incident could not write down before it had to make room for the next one in its workflow. */
export interface Unfinished {
  view: IncidentView;
  /** Of the timeline, not in the record yet. */
  entries: TimelineEntry[];
  /** There is none yet. */
  postmortem: boolean;
  /** Its ticket has no last words yet. */
  ticket: boolean;
}

/** An incident that a person of the access file declared by hand, authenticated and authorised by the edge. */
export interface Declaration {
  person: string;
  via: Actor['via'];
  reason: string;
  atMs: number;
  /** What its pages are grouped by: there is no alert whose key could be. */
  dedupKey: string;
  /** What was asked for, in our words: `Rollback to the previous revision`; part of the title. */
  asked: string;
  /** Hash of the plan that the person had read; the one that people are asked about may be another. */
  planHash?: string;
}

export interface StepData extends StepState {
  /** Made once, then asked for approval; kept so that a wait can be rebuilt. */
  prepared?: Prepared;
  asked?: { requestedAtMs: number; expiresAtMs: number };
  approvals: SignedDecision[];
  /** The runbook's version approved it; false: it would have, and was not believed, so people are asked. */
  preapproved?: boolean;
  /** Why its condition could not be decided, where it ran all the same. */
  ranOnUnknown?: string;
  rejection?: SignedDecision;
  /** When a wait of the step ends: it is made once, so that a new run goes on waiting for the same moment. */
  waitDeadlineMs?: number;
  /** Chosen by a person when retrying. */
  chosenRevision?: number;
  /** How often it was started: part of the ids of its commands, since a retry is meant to act again. */
  tries: number;
}

/** Everything an incident knows: plain JSON, carried over continue-as-new. */
export interface IncidentData {
  incidentId: string;
  workflowId: string;
  predecessorId?: string;
  facts?: TargetFacts;
  severity: Severity;
  severitySetBy?: string;
  outcome?: Outcome;
  milestones: Partial<Record<Milestone, number>>;
  alerts: AlertRecord[];
  truncatedAlerts: number;
  duplicateDeliveries: number;
  /** SHA-256 of the first groupKey: Alertmanager's own dedup_key. */
  dedupKey: string;
  /** 1, and one more each time a new alert fires after mitigation. */
  round: number;
  steps: StepData[];
  breaker?: Breaker;
  pages: (IncidentView['pages'][number] & { requestId: string })[];
  pageProblems: string[];
  /** Pages that no channel has taken so far. */
  undelivered?: UndeliveredPage[];
  /** Ids of what the pager has told, the latest. */
  pagerEvents?: string[];
  /** The newest of each page that the pager has told of, by its own clock. */
  pagerPages?: { key: string; atMs: number; held: boolean }[];
  /** Requests of which something was given up, as somebody had acknowledged before it was accepted. */
  withdrawnRequests?: string[];
  pagingStarted: boolean;
  commander?: string;
  commanderSinceMs?: number;
  acknowledgedBy?: string;
  acknowledgedAtMs?: number;
  /** The page at the pager that it was acknowledged by; undefined: here. */
  acknowledgedOn?: string;
  evidence: Evidence;
  /** Why a human is needed, and which step it is about: handling that step settles it. */
  humanNeeded: { reason: string; step?: string }[];
  /** Those of them that are over when the breaker is closed. */
  breakerNeeds: string[];
  lastHarmRate?: number;
  timeline: TimelineEntry[];
  /** Timeline entries that the records have. */
  recordedSeq: number;
  chatMessage?: ChatMessageRef;
  /** Its message could not be posted so far. */
  chatFailed?: boolean;
  /** Commands whose answers somebody waits for; other answers are told on the timeline and dropped. */
  awaited: string[];
  /** Answers of the target's actor that nobody has read yet. */
  replies: TargetReply[];
  /** A new round begins once the engine has let go of the steps of the last one. */
  resetting: boolean;
  commandCount: number;
  aborted?: string;
  /** The step whose failure halted the incident: nothing starts until a person retries a step. */
  haltedBy?: string;
  breakGlass?: IncidentView['breakGlass'];
  updates?: IncidentView['updates'];
  updateDueAtMs?: number;
  /** The due time of which somebody was reminded. */
  remindedOfMs?: number;
  /** How often people asked for the next level. */
  escalated?: number;
  /** What reviewers said of samples. */
  sampleMarks?: SampleMarks;
  resolvedBy?: { person: string; reason: string };
  /** A repeat of a still-firing alert after closing was told once. */
  toldQuiet: boolean;
}

/** Timeline entries in the view: older ones are in the records. Keeps views far below Temporal's 2 MB payload limit. */
const VIEW_TIMELINE_ENTRIES = 500;
/** Alerts in the view; a group can hold thousands. */
const VIEW_ALERTS = 100;
/** An alert's summary and name as they are kept; the alert itself is in Alertmanager. */
const MAX_SUMMARY_LENGTH = 300;
/** Characters of an alert's labels that are kept: 2,000 alerts must fit into a workflow's input (2 MB). */
const MAX_LABELS_LENGTH = 600;
/** Updates of stakeholders in the view; all of them are on the timeline. */
const KEPT_UPDATES = 10;
/** Different alerts remembered by one incident. */
const MAX_ALERTS = 2_000;

/** Milestones that a step reaches: running it again means reaching them again. */
const MILESTONES_OF: Record<string, Milestone[]> = {
  divert: ['contained'],
  rollback: ['approved', 'rolledBack', 'mitigated'],
  verify: ['recovered', 'mitigated'],
  restore: ['restored', 'mitigated'],
};

/** The first labels that fit: what is dropped is not needed, since target and correlation were resolved before. */
function boundedLabels(labels: Record<string, string>): Record<string, string> {
  const kept: Record<string, string> = {};
  let left = MAX_LABELS_LENGTH;
  for (const [name, value] of Object.entries(labels)) {
    left -= name.length + value.length;
    if (left < 0) continue;
    kept[name] = value;
  }
  return kept;
}

function freshStep(step: StepPlan): StepData {
  return { id: step.id, uses: step.uses, status: 'pending', approvals: [], tries: 0 };
}

/** Step types that a new firing alert after mitigation runs again; the ticket and the evidence of the first round stay. */
const KEPT_IN_NEXT_ROUND = new Set(['ticket']);

/** The state of an incident. Message handlers are one-line calls of it; time is passed in by the workflow. */
export class Incident {
  readonly input: IncidentInput;
  readonly data: IncidentData;
  /** Grows with each change: what chat and search attributes wait for. Not carried over. */
  version = 0;
  /** Names of the labels that views have; found out once. */
  private shown: ReadonlySet<string> | undefined;

  constructor(input: IncidentInput, data: IncidentData) {
    this.input = input;
    this.data = data;
  }

  static open(input: IncidentInput, ids: { incidentId: string; workflowId: string }): Incident {
    const incident = new Incident(input, {
      ...ids,
      predecessorId: input.reopened?.predecessorId,
      // Unknown until judged: the highest.
      severity: 'SEV1',
      milestones: {},
      alerts: [],
      truncatedAlerts: 0,
      duplicateDeliveries: 0,
      dedupKey: '',
      round: 1,
      steps: input.runbook.steps.map(freshStep),
      pages: [],
      pageProblems: [],
      pagingStarted: false,
      evidence: {},
      humanNeeded: [],
      breakerNeeds: [],
      timeline: [],
      recordedSeq: 0,
      awaited: [],
      replies: [],
      resetting: false,
      commandCount: 0,
      toldQuiet: false,
    });
    if (input.declared) incident.declare(input.declared);
    for (const alerts of input.reopened?.alerts ?? []) incident.receiveAlerts(alerts, alerts.receivedAtMs);
    return incident;
  }

  // --- what is known ---

  plan(id: string): StepPlan | undefined {
    return this.input.runbook.steps.find((step) => step.id === id);
  }

  step(id: string): StepData | undefined {
    return this.data.steps.find((step) => step.id === id);
  }

  get firing(): AlertRecord[] {
    return this.data.alerts.filter((alert) => alert.status === 'firing');
  }

  get mode(): Mode {
    return this.data.facts?.mode ?? this.input.mode;
  }

  get roundDedupKey(): string {
    return this.data.round === 1 ? this.data.dedupKey : `${this.data.dedupKey}-${this.data.round}`;
  }

  get state(): IncidentState {
    const running = (uses: string) =>
      this.data.steps.some((step) => step.uses === uses && step.status === 'running');
    return deriveState({
      milestones: this.data.milestones,
      humanNeeded: this.data.humanNeeded.map(({ reason }) => reason),
      verifying: running('verify'),
      remediating: this.data.milestones.approved !== undefined,
    });
  }

  get title(): string {
    const { target } = this.input;
    const where = target.ok ? `${target.target.namespace}/${target.target.name}` : 'no usable target';
    const what = this.input.declared?.asked ?? this.input.runbook.name;
    const title = `${this.data.alerts[0]?.alertname ?? what}: ${where}`;
    return this.input.drill ? `DRILL: ${title}` : title;
  }

  // --- changes ---

  touch(): void {
    this.version++;
  }

  record(
    kind: TimelineKind,
    text: string,
    atMs: number,
    data?: Record<string, unknown>,
    actor = 'firebreak',
  ): void {
    const seq = (this.data.timeline.at(-1)?.seq ?? 0) + 1;
    this.data.timeline.push({ seq, atMs, kind, text, actor, data });
    this.touch();
  }

  reach(milestone: Milestone, atMs: number): void {
    const { milestones } = this.data;
    if (milestones[milestone] !== undefined) return;
    milestones[milestone] = atMs;
    this.record('milestone', milestone, atMs);
    const { recovered, restored, mitigated } = milestones;
    if (mitigated === undefined && recovered !== undefined && restored !== undefined) {
      this.data.outcome = 'recovered';
      this.reach('mitigated', Math.max(recovered, restored));
    }
  }

  /** Opened by a person: who, why and what for stand first in the timeline. */
  private declare({ person, via, reason, atMs, dedupKey, asked, planHash }: Declaration): void {
    this.data.dedupKey = dedupKey;
    this.record(
      'decision',
      `declared the incident by hand: ${asked}`,
      atMs,
      { reason, via, planHash },
      person,
    );
  }

  needHuman(reason: string, nowMs: number, step?: string): void {
    if (this.data.humanNeeded.some((need) => need.reason === reason)) return;
    this.data.humanNeeded.push({ reason, step });
    this.record('needs-human', reason, nowMs);
  }

  /** What was needed of a human for these steps, or for this reason, is settled. */
  settle(settled: { steps?: ReadonlySet<string>; reason?: string }): void {
    this.data.humanNeeded = this.data.humanNeeded.filter(
      ({ step, reason }) => reason !== settled.reason && !(step !== undefined && settled.steps?.has(step)),
    );
    this.touch();
  }

  /**
   * Merges alerts by fingerprint. A repeat changes a counter only.
   * @returns the alerts that fire anew: never seen, or seen resolved before.
   */
  receiveAlerts(received: AlertsReceived, nowMs: number): AlertRecord[] {
    const { data } = this;
    if (data.dedupKey === '') data.dedupKey = received.dedupKey;
    data.truncatedAlerts = Math.max(data.truncatedAlerts, received.truncatedAlerts);
    const anew: AlertRecord[] = [];
    let changed = false;
    for (const alert of received.alerts) {
      const known = data.alerts.find((entry) => entry.fingerprint === alert.fingerprint);
      if (!known) {
        if (data.alerts.length >= MAX_ALERTS) {
          // The oldest resolved one makes room: what fires is never forgotten for what does not.
          const resolved = data.alerts.findIndex((entry) => entry.status === 'resolved');
          if (resolved < 0) {
            data.truncatedAlerts++;
            changed = true;
            continue;
          }
          data.alerts.splice(resolved, 1);
        }
        const entry: AlertRecord = {
          fingerprint: alert.fingerprint,
          status: alert.status,
          alertname: (alert.labels.alertname ?? 'unnamed alert').slice(0, MAX_SUMMARY_LENGTH),
          labels: boundedLabels(alert.labels),
          summary: (alert.annotations.summary ?? '').slice(0, MAX_SUMMARY_LENGTH),
          startsAt: alert.startsAt,
          firstReceivedAtMs: received.receivedAtMs,
          lastReceivedAtMs: received.receivedAtMs,
          deliveries: 1,
        };
        data.alerts.push(entry);
        changed = true;
        if (alert.status === 'firing') anew.push(entry);
        continue;
      }
      known.deliveries++;
      known.lastReceivedAtMs = received.receivedAtMs;
      if (known.status === alert.status) continue;
      changed = true;
      known.status = alert.status;
      if (alert.status === 'resolved') {
        known.resolvedAtMs = received.receivedAtMs;
      } else {
        known.resolvedAtMs = undefined;
        known.startsAt = alert.startsAt;
        anew.push(known);
      }
    }
    if (!changed) {
      data.duplicateDeliveries++;
      return anew;
    }
    const resolved = received.alerts.filter((alert) => alert.status === 'resolved').length;
    this.record(
      'alert',
      `${received.alerts.length - resolved} firing and ${resolved} resolved alert(s) received; ${this.firing.length} firing now`,
      nowMs,
      {
        alerts: received.alerts
          .slice(0, 10)
          .map((alert) => ({ alertname: alert.labels.alertname, status: alert.status })),
      },
    );
    return anew;
  }

  /** A new alert after mitigation: the same incident, from its conditions on. */
  startNextRound(nowMs: number): void {
    const { data } = this;
    data.round++;
    for (const milestone of [
      'contained',
      'approved',
      'rolledBack',
      'recovered',
      'restored',
      'mitigated',
      'acknowledged',
    ] as const) {
      delete data.milestones[milestone];
    }
    data.acknowledgedBy = undefined;
    for (const page of data.pagerPages ?? []) page.held = false;
    data.outcome = undefined;
    data.pages = [];
    data.resetting = true;
    this.record('alert', `A new alert fired after mitigation: round ${data.round} starts`, nowMs);
  }

  /** Second half of a new round, once no step is active: steps go back to pending, in place. */
  resetSteps(): void {
    this.data.resetting = false;
    this.data.haltedBy = undefined;
    for (const step of this.data.steps) {
      const plan = this.plan(step.id);
      if (plan && !KEPT_IN_NEXT_ROUND.has(step.uses)) this.renew(step, plan);
    }
    this.touch();
  }

  private renew(step: StepData, plan: StepPlan, chosenRevision?: number): void {
    Object.assign(step, {
      ...freshStep(plan),
      tries: step.tries,
      startedAtMs: undefined,
      endedAtMs: undefined,
      reason: undefined,
      outputs: undefined,
      prepared: undefined,
      asked: undefined,
      preapproved: undefined,
      ranOnUnknown: undefined,
      rejection: undefined,
      waitDeadlineMs: undefined,
      chosenRevision,
    });
  }

  /** The steps that follow a step, directly or not, without those that run always. */
  dependentsOf(id: string): Set<string> {
    const found = new Set([id]);
    for (const step of this.input.runbook.steps) {
      if (!step.always && step.needs.some((need) => found.has(need))) found.add(step.id);
    }
    found.delete(id);
    return found;
  }

  acknowledge(person: string, nowMs: number): boolean {
    if (this.data.acknowledgedBy !== undefined) return false;
    this.data.acknowledgedBy = person;
    this.record('decision', 'acknowledged', nowMs, undefined, person);
    this.reach('acknowledged', nowMs);
    return true;
  }

  /** What stakeholders were told, and when the next of it is due. */
  inform(person: string, text: string, remindAfterMs: number | undefined, nowMs: number): void {
    const { data } = this;
    data.updates = [...(data.updates ?? []), { atMs: nowMs, by: person, text }].slice(-KEPT_UPDATES);
    data.updateDueAtMs = remindAfterMs === undefined ? undefined : nowMs + remindAfterMs;
    this.record('note', 'updated the stakeholders', nowMs, { text }, person);
  }

  /** A reviewer's word about a sample; the last one of a person counts. @returns the count so far, in words. */
  reviewSample(person: string, named: string, verdict: SampleVerdict, nowMs: number): string {
    const { data } = this;
    const sample = findSample(data.evidence.samples, named);
    const id = sample === undefined ? named : sampleKey(sample);
    data.sampleMarks = { ...data.sampleMarks, [id]: { ...data.sampleMarks?.[id], [person]: verdict } };
    const reviewed = countMarks(data.sampleMarks);
    const soFar = reviewed ? describeReviews(reviewed) : '';
    this.record('evidence', `called a sample ${verdict}`, nowMs, { sample: id, soFar }, person);
    return soFar;
  }

  approve(signed: SignedDecision, nowMs: number): { approvals: number; needed: number } {
    const { decision } = signed;
    const step = this.step(decision.step);
    const needed = decision.breakGlass ? 1 : (this.plan(decision.step)?.approval?.count ?? 1);
    step?.approvals.push(signed);
    this.record(
      'decision',
      `approved step ${decision.step}${decision.breakGlass ? ' alone, by break-glass' : ''}`,
      nowMs,
      { planHash: decision.planHash, via: decision.via, reason: decision.reason },
      decision.person,
    );
    if (decision.breakGlass) {
      const { person, reason = '' } = decision;
      this.data.breakGlass = [
        ...(this.data.breakGlass ?? []),
        { person, step: decision.step, atMs: nowMs, reason },
      ];
    }
    return { approvals: step?.approvals.length ?? 0, needed };
  }

  reject(signed: SignedDecision, nowMs: number): void {
    const { decision } = signed;
    const step = this.step(decision.step);
    if (step) step.rejection = signed;
    this.record(
      'decision',
      `rejected step ${decision.step}`,
      nowMs,
      { planHash: decision.planHash, reason: decision.reason, via: decision.via },
      decision.person,
    );
  }

  /** Puts a step, and what follows it, back to pending; `always` steps keep what they have written. */
  retry(id: string, person: string, reason: string, toRevision: number | undefined, nowMs: number): void {
    const again = new Set([id, ...this.dependentsOf(id)]);
    for (const step of this.data.steps) {
      const plan = this.plan(step.id);
      if (!plan || !again.has(step.id)) continue;
      this.renew(step, plan, step.id === id ? toRevision : undefined);
      for (const milestone of MILESTONES_OF[step.uses] ?? []) delete this.data.milestones[milestone];
    }
    this.settle({ steps: again });
    this.data.haltedBy = undefined;
    // Trying the samples again, say, takes no verdict back.
    const decides = (step: StepPlan) => step.uses in MILESTONES_OF || step.approval !== undefined;
    if (this.input.runbook.steps.some((step) => again.has(step.id) && decides(step))) {
      this.data.outcome = undefined;
    }
    this.record('decision', `retries step ${id}`, nowMs, { reason, toRevision }, person);
  }

  end(step: StepData, status: StepData['status'], nowMs: number, reason?: string): void {
    step.status = status;
    step.endedAtMs = nowMs;
    step.reason = reason;
    this.record('step', `${step.id}: ${status}${reason ? ` (${reason})` : ''}`, nowMs);
  }

  // --- what is shown ---

  private pendingApprovals(): PendingApproval[] {
    return this.data.steps
      .filter((step) => step.status === 'awaiting-approval' && step.asked && step.prepared)
      .map((step) => {
        const plan = step.prepared?.plan;
        const spec = this.plan(step.id)?.approval;
        const changes = this.data.steps.find((other) => other.uses === 'changes')?.outputs?.changes;
        return {
          step: step.id,
          planHash: step.prepared?.planHash ?? '',
          summary: this.withPrecision(step.prepared?.summary ?? ''),
          warnings: step.prepared?.warnings ?? [],
          diff: step.prepared?.diff,
          fromRevision: plan?.from.revision,
          toRevision: plan?.to.revision,
          fromImage: plan?.from.images.join(', '),
          toImage: plan?.to.images.join(', '),
          fromServed: plan?.from.served,
          toServed: plan?.to.served,
          changes: Array.isArray(changes)
            ? changes.filter((line): line is string => typeof line === 'string')
            : [],
          groups: spec?.from ?? [],
          count: spec?.count ?? 1,
          breakGlass: spec?.breakGlass ?? false,
          approvedBy: step.approvals.map((signed) => signed.decision.person),
          requestedAtMs: step.asked?.requestedAtMs ?? 0,
          expiresAtMs: step.asked?.expiresAtMs ?? 0,
        };
      });
  }

  /** How far people agree with the classifier so far stands beside what they are asked to approve. */
  private withPrecision(summary: string): string {
    const reviewed = countMarks(this.data.sampleMarks);
    return reviewed === undefined ? summary : `${summary}; ${describeReviews(reviewed)}`;
  }

  private samples(): SampleSummary | undefined {
    const { evidence, sampleMarks } = this.data;
    const reviewed = countMarks(sampleMarks);
    return evidence.samples && { ...evidence.samples, ...(reviewed && { reviewed }) };
  }

  view(): IncidentView {
    const { data, input } = this;
    this.shown ??= shownLabels(input.runbook);
    const { shown } = this;
    return {
      incidentId: data.incidentId,
      workflowId: data.workflowId,
      predecessorId: data.predecessorId,
      dedupKey: data.dedupKey === '' ? undefined : data.dedupKey,
      declaredBy: input.declared?.person,
      drill: input.drill,
      chatShown: data.chatMessage !== undefined ? true : data.chatFailed ? false : undefined,
      title: this.title,
      state: this.state,
      outcome: data.outcome,
      severity: data.severity,
      mode: this.mode,
      runbook: {
        name: input.runbook.name,
        version: input.runbook.version,
        hash: input.runbook.hash,
        owner: input.runbook.owner,
      },
      target: input.target.ok ? input.target.target : undefined,
      targetProblem: input.target.ok ? undefined : input.target.reason,
      correlation: input.correlation,
      milestones: data.milestones,
      alerts: data.alerts
        .slice(0, VIEW_ALERTS)
        .map((alert) => ({ ...alert, labels: withOnly(shown, alert.labels) })),
      truncatedAlerts: data.truncatedAlerts,
      duplicateDeliveries: data.duplicateDeliveries,
      steps: data.steps.map(({ id, uses, status, startedAtMs, endedAtMs, reason, outputs }) => ({
        id,
        uses,
        status,
        startedAtMs,
        endedAtMs,
        reason,
        outputs,
      })),
      pendingApprovals: this.pendingApprovals(),
      breaker: data.breaker && {
        state: data.breaker.state,
        share: data.breaker.share,
        reason: data.breaker.reason,
        fallback: data.breaker.fallback,
      },
      pages: data.pages.map(({ role, channel, acceptedAtMs }) => ({ role, channel, acceptedAtMs })),
      undelivered: data.undelivered?.map(({ role, sinceMs }) => ({ role, sinceMs })),
      commander: data.commander,
      commanderSinceMs: data.commanderSinceMs,
      acknowledgedBy: data.acknowledgedBy,
      acknowledgedAtMs: data.acknowledgedBy === undefined ? undefined : data.acknowledgedAtMs,
      ticketUrl: data.evidence.ticketUrl,
      samples: this.samples(),
      rollback: data.evidence.rollback,
      verification: data.evidence.verification,
      actionItems: data.evidence.actionItems ?? [],
      harmHistory: data.evidence.harmHistory,
      breakGlass: data.breakGlass,
      updates: data.updates,
      updateDueAtMs: data.updateDueAtMs,
      humanNeeded: data.humanNeeded.map(({ reason }) => reason),
      lastHarmRate: data.lastHarmRate,
      timeline: data.timeline.slice(-VIEW_TIMELINE_ENTRIES),
    };
  }
}
