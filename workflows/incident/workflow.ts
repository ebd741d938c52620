import { defineSearchAttributeKey } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { AlertsReceived } from '../../domain/alert.ts';
import { targetKey } from '../../domain/target.ts';
import { renderOutcome } from '../../domain/ticket.ts';
import { chat, records, vendors } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { incidentId, pagingWorkflowId } from '../ids.ts';
import { pagesResolvedSignal, SEARCH_ATTRIBUTES } from '../messages.ts';
import { Engine } from './engine.ts';
import { type Inbox, registerHandlers } from './handlers.ts';
import { IncidentServices } from './services.ts';
import { Incident, type IncidentInput } from './state.ts';

/** Paging waits this long for severity to be judged; then it goes out with the highest. */
const SEVERITY_WAIT_MS = 3_000;
/** A target that cannot be read for this long is told to a human; the reading goes on. */
const FACTS_WARNING_MS = 60_000;
/** Pause between two chat updates: Slack allows about one a second in a channel, and changes come in bursts. */
const CHAT_PAUSE_MS = 1_500;
/** Alert names are untrusted and can be long; Temporal limits a search attribute to 2 KB. */
const MAX_ATTRIBUTE_LENGTH = 200;
/** Entries of the timeline in one record write: far below Temporal's payload limit. */
const RECORD_BATCH = 100;

/** One incident: runs the plan, keeps the timeline, takes the messages; lingers for `quietFor` after closing. */
export async function incident(input: IncidentInput): Promise<void> {
  const info = workflowInfo();
  const state = input.data
    ? new Incident(input, input.data)
    : Incident.open(input, {
        incidentId: incidentId(info.workflowId, info.runId),
        workflowId: info.workflowId,
      });
  const services = new IncidentServices(state);
  const engine = new Engine(state, services);
  const inbox: Inbox = { alerts: [] };
  registerHandlers(state, services, engine, inbox);
  await new IncidentRun(input, state, services, engine, inbox).run();
}

class IncidentRun {
  private readonly input: IncidentInput;
  private readonly state: Incident;
  private readonly services: IncidentServices;
  private readonly engine: Engine;
  private readonly inbox: Inbox;
  /** Loops end: the run is over, or goes on in a new one. */
  private ending = false;

  constructor(
    input: IncidentInput,
    state: Incident,
    services: IncidentServices,
    engine: Engine,
    inbox: Inbox,
  ) {
    this.input = input;
    this.state = state;
    this.services = services;
    this.engine = engine;
    this.inbox = inbox;
  }

  private get data() {
    return this.state.data;
  }

  async run(): Promise<void> {
    const { state, services, engine } = this;
    const nowMs = services.nowMs();
    this.takeAlerts();
    if (this.data.milestones.triggered === undefined) {
      const arrivedMs = Math.min(...this.data.alerts.map((alert) => alert.firstReceivedAtMs), nowMs);
      state.reach('triggered', arrivedMs);
      if (!this.input.target.ok) state.needHuman(`no usable target: ${this.input.target.reason}`, nowMs);
    }
    const loops = [this.keepAlerts(), this.keepRecords(), this.keepChat(), this.keepSearchAttributes()];
    const reading = this.detached(() => this.readTarget());
    const watching = this.detached(() => this.watchSeverity());
    await condition(() => this.severityJudged || this.ending, SEVERITY_WAIT_MS);

    const driving = engine.drive();
    const resolving = this.resolve();
    await condition(() => this.data.milestones.resolved !== undefined || this.wantsRestart());
    if (this.data.milestones.resolved === undefined) {
      this.ending = true;
      await engine.drain();
      await this.restart([...loops, driving, resolving], [reading, watching], {
        ...this.input,
        reopened: undefined,
        data: this.data,
      });
    }
    await Promise.all([driving, resolving]);
    if (this.data.milestones.closed === undefined) await this.close();

    const reopened = await this.linger();
    this.ending = true;
    if (reopened.length > 0) {
      await this.restart(loops, [reading, watching], {
        ...this.input,
        data: undefined,
        reopened: { predecessorId: this.data.incidentId, alerts: reopened },
      });
    }
    reading.cancel();
    watching.cancel();
    await Promise.all(loops);
    await condition(allHandlersFinished);
    // What arrived while the loops ended opens a new, linked incident: no answered alert is lost.
    const late = this.firingIn(this.inbox.alerts);
    if (late.length > 0) {
      await continueAsNew<typeof incident>({
        ...this.input,
        data: undefined,
        reopened: { predecessorId: this.data.incidentId, alerts: late },
      });
    }
  }

  /** Ends loops without losing a message, then goes on in a new run. */
  private async restart(
    loops: Promise<void>[],
    scopes: CancellationScope[],
    next: IncidentInput,
  ): Promise<never> {
    for (const scope of scopes) scope.cancel();
    await Promise.all(loops);
    await condition(allHandlersFinished);
    if (next.data) this.takeAlerts();
    else next.reopened?.alerts.push(...this.inbox.alerts);
    return continueAsNew<typeof incident>(next);
  }

  private wantsRestart(): boolean {
    return workflowInfo().continueAsNewSuggested && this.engine.restartable && this.data.replies.length === 0;
  }

  private detached(work: () => Promise<void>): CancellationScope {
    const scope = new CancellationScope();
    scope.run(work).catch((error: unknown) => {
      if (!isCancellation(error))
        log.warn('a background task of the incident ended', { problem: readFailure(error).message });
    });
    return scope;
  }

  // --- alerts ---

  private takeAlerts(): void {
    while (this.inbox.alerts.length > 0) {
      const alerts = this.inbox.alerts.shift();
      if (!alerts) continue;
      const anew = this.state.receiveAlerts(alerts, this.services.nowMs());
      if (
        anew.length > 0 &&
        this.data.milestones.mitigated !== undefined &&
        this.data.milestones.resolved === undefined
      ) {
        this.state.startNextRound(this.services.nowMs());
        // Mitigation once proved, then harm again: somebody is called anew, by the page step of the new round.
      }
    }
  }

  private async keepAlerts(): Promise<void> {
    // From the moment of resolution on, alerts wait for `linger`, which tells a repeat from a new incident.
    const over = () => this.ending || this.data.milestones.resolved !== undefined;
    while (!over()) {
      await condition(() => this.inbox.alerts.length > 0 || over());
      if (!over()) this.takeAlerts();
    }
  }

  // --- the target and the severity ---

  private severityJudged = false;

  private async readTarget(): Promise<void> {
    const warned = this.services.loadFacts().catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      this.state.needHuman(
        `the target could not be read: ${readFailure(error).message}`,
        this.services.nowMs(),
      );
    });
    if (!(await condition(() => this.data.facts !== undefined || !this.input.target.ok, FACTS_WARNING_MS))) {
      const reason = 'the target could not be read for a minute: is the worker of its cluster running?';
      this.state.needHuman(reason, this.services.nowMs());
      await warned;
      this.state.settle({ reason });
    }
    await warned;
  }

  private async watchSeverity(): Promise<void> {
    if (!this.input.target.ok) {
      await this.services.judgeSeverity(true);
      this.severityJudged = true;
      return;
    }
    let first = this.data.timeline.every((entry) => !entry.text.startsWith('Severity '));
    while (this.data.milestones.mitigated === undefined && this.data.milestones.resolved === undefined) {
      await this.services.judgeSeverity(first);
      first = false;
      this.severityJudged = true;
      await condition(() => this.data.milestones.resolved !== undefined, this.input.runbook.watchEveryMs);
    }
  }

  // --- the end ---

  /** Resolved: proved, restored and quiet for long enough; or by a person with a reason. Nothing else. */
  private async resolve(): Promise<void> {
    const { data } = this;
    const quiet = () =>
      data.milestones.mitigated !== undefined &&
      (data.breaker?.state ?? 'closed') === 'closed' &&
      this.state.firing.length === 0 &&
      data.humanNeeded.length === 0;
    const byPerson = () => data.resolvedBy !== undefined;
    // In observe mode people act elsewhere: the alert's end ends the incident too, and says nothing about recovery.
    const observed = () =>
      this.state.mode === 'observe' &&
      this.state.firing.length === 0 &&
      data.steps.every((step) => step.endedAtMs !== undefined || step.status === 'watching');
    const over = () => quiet() || observed();
    for (;;) {
      await condition(() => over() || byPerson() || this.ending);
      if (this.ending) return;
      if (!byPerson()) {
        const disturbed = await condition(
          () => !over() || byPerson() || this.ending,
          this.input.runbook.resolveAfterMs,
        );
        if (disturbed && !byPerson()) continue;
      }
      data.outcome ??= 'handed-over';
      this.state.reach('resolved', this.services.nowMs());
      return;
    }
  }

  /** The last words: final postmortem, pages and ticket closed, the target let go. */
  private async close(): Promise<void> {
    const { data, state, services } = this;
    const ticketStep = data.steps.find((step) => step.uses === 'ticket');
    const written = await records.writePostmortem({
      view: state.view(),
      draft: false,
      atMs: services.nowMs(),
    });
    data.evidence.actionItems = written.actionItems;
    state.record(
      'evidence',
      `Postmortem written with ${written.actionItems.length} action items`,
      services.nowMs(),
      { sha256: written.sha256 },
    );
    if (data.pagingStarted) {
      await getExternalWorkflowHandle(pagingWorkflowId(data.incidentId))
        .signal(pagesResolvedSignal)
        .catch(() => undefined);
    }
    await services.release();
    state.reach('closed', services.nowMs());
    const number = ticketStep?.outputs?.number;
    if (typeof number !== 'number') return;
    const commented = vendors.commentTicket({
      number,
      incidentId: data.incidentId,
      commentKey: 'outcome',
      bodyMarkdown: renderOutcome(state.view()),
    });
    // The ticket's vendor must not keep the incident from being closed.
    await CancellationScope.withTimeout(this.input.runbook.quietForMs, () => commented).catch(
      (error: unknown) => {
        state.record('evidence', 'The outcome could not be added to the ticket', services.nowMs(), {
          problem: readFailure(error).message,
        });
      },
    );
  }

  private firingIn(received: AlertsReceived[]): AlertsReceived[] {
    return received.filter((delivery) => delivery.alerts.some((alert) => alert.status === 'firing'));
  }

  /**
   * For `quietFor` after closing, repeats of an alert that never stopped are counted and told once; an alert that fires
   * anew opens a new, linked incident.
   * @returns the deliveries that open it, or none when the time is over.
   */
  private async linger(): Promise<AlertsReceived[]> {
    const { data, state } = this;
    const untilMs = (data.milestones.closed ?? this.services.nowMs()) + this.input.runbook.quietForMs;
    for (;;) {
      const leftMs = untilMs - this.services.nowMs();
      if (leftMs <= 0 || !(await condition(() => this.inbox.alerts.length > 0, leftMs))) return [];
      const received = this.inbox.alerts.shift();
      if (!received) continue;
      const anew = state.receiveAlerts(received, this.services.nowMs());
      if (anew.length > 0) return [received, ...this.inbox.alerts.splice(0)];
      if (!data.toldQuiet && received.alerts.some((alert) => alert.status === 'firing')) {
        data.toldQuiet = true;
        state.record(
          'alert',
          'An alert of this incident is still firing after it was closed; repeats are only counted',
          this.services.nowMs(),
        );
      }
    }
  }

  // --- what follows the state ---

  /** Writes the timeline to the records, in order; containment never waits for it. */
  private async keepRecords(): Promise<void> {
    const { data, state } = this;
    const behind = () => (data.timeline.at(-1)?.seq ?? 0) > data.recordedSeq;
    if (data.recordedSeq === 0) {
      const opened = await records.openRecord({
        incidentId: data.incidentId,
        workflowId: data.workflowId,
        view: state.view(),
      });
      data.predecessorId ??= opened.predecessorId;
    }
    for (;;) {
      await condition(() => behind() || this.ending);
      if (!behind()) return;
      const entries = data.timeline.filter((entry) => entry.seq > data.recordedSeq).slice(0, RECORD_BATCH);
      const view = { ...state.view(), timeline: entries };
      await records.appendRecord({ incidentId: data.incidentId, view, entries });
      data.recordedSeq = entries.at(-1)?.seq ?? data.recordedSeq;
    }
  }

  private async keepChat(): Promise<void> {
    let shown = -1;
    for (;;) {
      await condition(() => this.state.version !== shown || this.ending);
      if (this.state.version === shown) return;
      shown = this.state.version;
      try {
        const { message } = await chat.publishIncident({
          view: this.state.view(),
          message: this.data.chatMessage,
        });
        // No message: chat is not configured, and will not be while this runs.
        if (!message) return;
        this.data.chatMessage = message;
      } catch (error) {
        log.warn('chat could not be updated', { problem: readFailure(error).message });
      }
      await condition(() => this.ending, CHAT_PAUSE_MS);
    }
  }

  private async keepSearchAttributes(): Promise<void> {
    let shown = '';
    for (;;) {
      const { state, data, input } = this;
      const values = [
        state.state,
        data.severity,
        (data.alerts[0]?.alertname ?? '').slice(0, MAX_ATTRIBUTE_LENGTH),
      ] as const;
      if (values.join(' ') !== shown) {
        shown = values.join(' ');
        upsertSearchAttributes([
          { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.state, 'KEYWORD'), value: values[0] },
          { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.severity, 'KEYWORD'), value: values[1] },
          { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.alertname, 'KEYWORD'), value: values[2] },
          { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.runbook, 'KEYWORD'), value: input.runbook.name },
          {
            key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.target, 'KEYWORD'),
            value: input.target.ok ? targetKey(input.target.target) : 'none',
          },
        ]);
      }
      if (this.ending) return;
      const { version } = this.state;
      await condition(() => this.state.version !== version || this.ending);
    }
  }
}
