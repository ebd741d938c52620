import { defineSearchAttributeKey, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  sleep,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { AlertsReceived } from '../../domain/alert.ts';
import type { Drill } from '../../domain/drill.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { targetKey } from '../../domain/target.ts';
import { chatOnce, records } from '../activities.ts';
import type { aftercare } from '../aftercare/workflow.ts';
import { readFailure } from '../failure.ts';
import { aftercareWorkflowId, incidentId, pagingWorkflowId } from '../ids.ts';
import { AFTERCARE_WORKFLOW, pagesResolvedSignal, SEARCH_ATTRIBUTES } from '../messages.ts';
import { keepChat } from './chat.ts';
import { Engine } from './engine.ts';
import { giveTrafficBack } from './false-positive.ts';
import { type Inbox, registerHandlers } from './handlers.ts';
import { recordTargetChanges } from './observed.ts';
import { settleUndelivered } from './pages.ts';
import { IncidentServices } from './services.ts';
import { Incident, type IncidentInput, type Unfinished } from './state.ts';
import { isUnderWay, keepTicket, ticketKey } from './ticket.ts';
import { LAST_WORDS_WITHIN_MS, tellTheEnd } from './ticket-end.ts';

/** Paging waits this long for severity to be judged; then it goes out with the highest. */
const SEVERITY_WAIT_MS = 3_000;
/** Alert names are untrusted and can be long; Temporal limits a search attribute to 2 KB. */
const MAX_ATTRIBUTE_LENGTH = 200;
/** After a refusal that only people can mend. */
const TRY_AGAIN_AFTER_MS = 30_000;
/** A step that is being ended (taking a share away, say) gets this long before the postmortem is written without it. */
const STEPS_END_WITHIN_MS = 60_000;
/** A record that is being written when a run ends gets this long; what is left is written by the next run. */
const RESTART_GRACE_MS = 5_000;
/** An update of the ticket that is being sent when the incident closes. */
const TICKET_GRACE_MS = 5_000;
/** Signals of one run before it starts anew: well below the server's 10,000. */
const MAX_SIGNALS_PER_RUN = 2_000;
/** Incidents whose end is handed on to the next run, each with its view: far below Temporal's limit of a payload, 2 MB. */
const MAX_UNFINISHED = 4;
/** Entries of the timeline in one record write: far below Temporal's payload limit. */
const RECORD_BATCH = 100;

/** The guide's least number of requests before a rate says anything. */
const WATCH_ON_MIN_EXPOSURE = 100;
/** Harm that a verification did not see shows with the traffic of a whole day. */
const WATCH_ON_FOR_MS = 24 * 3_600_000;

interface Background {
  scope: CancellationScope;
  /** Resolves when the work has ended, however it ended. */
  ended: Promise<void>;
}

/** One incident: runs the plan, keeps the timeline, takes the messages; lingers for `quietFor` after its end. */
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
  /** Keeps the ticket up to date; ends before its last words are written. */
  private ticket: Background | undefined;
  /** The ticket has its last words, or they were given up. */
  private ticketTold = false;
  /** Nothing of the end is left to do, whatever became of it. */
  private closeEnded = false;
  /** What the incidents before this one, in the same workflow, have not written down yet; oldest first. */
  private owed: Unfinished[];

  constructor(
    input: IncidentInput,
    state: Incident,
    services: IncidentServices,
    engine: Engine,
    inbox: Inbox,
  ) {
    this.input = input;
    this.owed = [...(input.reopened?.unfinished ?? [])];
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
    const background = [
      this.detached(() => this.keepRecords()),
      this.detached(() => keepChat(state, () => this.ending)),
      this.detached(() => this.services.loadFacts()),
      this.detached(() => this.watchSeverity()),
      this.detached(() => this.finishPredecessors()),
    ];
    this.ticket = this.detached(() =>
      keepTicket(
        state,
        () => services.nowMs(),
        () => this.ending,
      ),
    );
    background.push(this.ticket);
    const loops = [this.keepAlerts(), this.keepSearchAttributes(), this.keepReminders()];
    await condition(() => this.severityJudged, SEVERITY_WAIT_MS);

    const driving = engine.drive();
    const resolving = this.resolve();
    await condition(() => this.data.milestones.resolved !== undefined || this.mayRestart());
    if (this.data.milestones.resolved === undefined) {
      this.ending = true;
      await engine.drain();
      await Promise.all([driving, resolving, ...loops]);
      const { reopened } = this.input;
      await this.restart(background, {
        ...this.input,
        reopened:
          reopened && this.owed.length > 0 ? { ...reopened, alerts: [], unfinished: this.owed } : undefined,
        data: this.data,
      });
    }

    // From here on nothing may keep new alerts from being looked at: what is left to do goes on beside.
    const closing = this.detached(() => this.close([driving, resolving]));
    void closing.ended.then(() => {
      this.closeEnded = true;
    });
    background.push(closing);
    const reopened = await this.linger();
    this.ending = true;
    await Promise.all(loops);
    const alerts = [...reopened, ...this.firingIn(this.inbox.alerts.splice(0))];
    if (alerts.length > 0) {
      // A linked incident. What this one could not write down yet, the next run does.
      const entries = this.data.timeline.filter((entry) => entry.seq > this.data.recordedSeq);
      const postmortem = this.data.milestones.closed === undefined;
      const ticket = !this.ticketTold && (ticketKey(this.data) !== undefined || isUnderWay(this.data));
      const unfinished = [...this.owed];
      if (entries.length > 0 || postmortem || ticket)
        unfinished.push({ view: state.view(), entries, postmortem, ticket });
      const dropped = unfinished.splice(0, Math.max(0, unfinished.length - MAX_UNFINISHED));
      for (const { view } of dropped) {
        log.error('the end of an incident was not written down', { incidentId: view.incidentId });
      }
      await this.restart(background, {
        ...this.input,
        data: undefined,
        reopened: { predecessorId: this.data.incidentId, alerts, unfinished },
      });
    }
    for (const task of background) task.scope.cancel();
    await Promise.all(background.map((task) => task.ended));
    await condition(allHandlersFinished);
    // What arrived while the last of it ended opens a linked incident too: no answered alert is lost.
    const late = this.firingIn(this.inbox.alerts.splice(0));
    if (late.length > 0) {
      await this.restart([], {
        ...this.input,
        data: undefined,
        reopened: { predecessorId: this.data.incidentId, alerts: late },
      });
    }
  }

  /** What is under way gets a moment to end by itself: a call that is cut off may have been taken all the same. */
  private async endWithin(tasks: readonly Background[], graceMs: number): Promise<void> {
    await Promise.race([Promise.all(tasks.map((task) => task.ended)), sleep(graceMs)]);
    for (const task of tasks) task.scope.cancel();
  }

  /** Goes on in a new run. What is being written gets a moment to end; messages that arrive meanwhile go along. */
  private async restart(background: Background[], next: IncidentInput): Promise<never> {
    await this.endWithin(background, RESTART_GRACE_MS);
    if (next.data) this.takeAlerts();
    else next.reopened?.alerts.push(...this.inbox.alerts.splice(0));
    return continueAsNew<typeof incident>(next);
  }

  /** The server suggests it, and nothing is under way that could not be begun again from state. */
  private mayRestart(): boolean {
    return (
      (workflowInfo().continueAsNewSuggested || this.signals >= MAX_SIGNALS_PER_RUN) &&
      this.engine.restartable &&
      !this.data.resetting &&
      this.data.awaited.length === 0 &&
      this.services.pagesUnderWay === 0 &&
      allHandlersFinished()
    );
  }

  private detached(work: () => Promise<void>): Background {
    const scope = new CancellationScope();
    const ended = scope.run(work).catch((error: unknown) => {
      if (isCancellation(error)) return;
      log.error('a background task of the incident ended', { problem: readFailure(error).message });
    });
    return { scope, ended };
  }

  /** Runs work until it succeeds: after a refusal that only people can mend, too. */
  private async untilDone<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isCancellation(error)) throw error;
        log.warn(`${what} did not succeed; it is tried again`, { problem: readFailure(error).message });
        await sleep(TRY_AGAIN_AFTER_MS);
      }
    }
  }

  // --- alerts ---

  private signals = 0;

  private takeAlerts(): void {
    while (this.inbox.alerts.length > 0) {
      const alerts = this.inbox.alerts.shift();
      if (!alerts) continue;
      this.signals++;
      const anew = this.state.receiveAlerts(alerts, this.services.nowMs());
      if (
        anew.length > 0 &&
        this.data.milestones.mitigated !== undefined &&
        this.data.milestones.resolved === undefined
      ) {
        settleUndelivered(this.state);
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

  private async watchSeverity(): Promise<void> {
    let first = this.data.timeline.every((entry) => !entry.text.startsWith('Severity '));
    if (this.services.constantSeverity !== undefined) {
      // Nothing to measure, and nothing that could change.
      if (first) await this.services.judgeSeverity(true);
      this.severityJudged = true;
      return;
    }
    const { data } = this;
    const over = () => data.milestones.resolved !== undefined || this.ending;
    while (!over()) {
      await this.services.judgeSeverity(first);
      first = false;
      this.severityJudged = true;
      await condition(over, this.input.runbook.watchEveryMs);
      // Mitigated: nothing to judge, until an alert fires anew.
      await condition(
        () => data.milestones.mitigated === undefined || data.milestones.resolved !== undefined,
      );
    }
  }

  /** Whoever promised stakeholders another update is reminded of it once. */
  private async keepReminders(): Promise<void> {
    const { data, state, services } = this;
    const over = () => this.ending || data.milestones.resolved !== undefined;
    while (!over()) {
      const dueAtMs = data.updateDueAtMs;
      const changed = () => over() || data.updateDueAtMs !== dueAtMs;
      if (dueAtMs === undefined || dueAtMs === data.remindedOfMs) {
        await condition(changed);
        continue;
      }
      const leftMs = dueAtMs - services.nowMs();
      if (leftMs > 0 && (await condition(changed, leftMs))) continue;
      if (over()) return;
      state.record('note', 'An update for the stakeholders is due', services.nowMs(), { dueAtMs });
      data.remindedOfMs = dueAtMs;
      this.remind(`update-due-${dueAtMs}`);
    }
  }

  /** Whoever gave the last update, directly, without waiting for it: the note is there for everybody. */
  private remind(key: string): void {
    const { data, state, services } = this;
    const { incidentId } = data;
    const person = data.updates?.at(-1)?.by;
    if (person === undefined) return;
    const text = `The next update for the stakeholders of ${state.title} is due. To give it: /firebreak update ${incidentId} TEXT`;
    chatOnce.remindPerson({ incidentId, key, person, text }).catch((error: unknown) => {
      const { message: problem } = readFailure(error);
      state.record('note', `${person} could not be reminded in chat`, services.nowMs(), { problem });
    });
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
      this.input.target.ok &&
      this.state.mode === 'observe' &&
      data.humanNeeded.length === 0 &&
      this.state.firing.length === 0 &&
      data.steps.every((step) => step.endedAtMs !== undefined || step.status === 'watching');
    const over = () => quiet() || observed();
    if (this.input.drill) return this.endDrill(this.input.drill);
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

  /** A drill is over when every step has ended and somebody has acknowledged, or when its time is. */
  private async endDrill({ forMs }: Drill): Promise<void> {
    const { data, state, services } = this;
    const done = () =>
      data.resolvedBy !== undefined ||
      this.ending ||
      (data.milestones.acknowledged !== undefined &&
        data.steps.every(({ endedAtMs }) => endedAtMs !== undefined));
    const leftMs = (data.milestones.triggered ?? services.nowMs()) + forMs - services.nowMs();
    const inTime = await condition(done, Math.max(1, leftMs));
    if (this.ending) return;
    data.outcome = 'drill';
    state.record('note', inTime ? 'The drill is over' : 'The time of the drill is over', services.nowMs());
    state.reach('resolved', services.nowMs());
  }

  /**
   * The last words: pages end and the target is let go at once; the postmortem closes the incident; the ticket is told.
   * @param before what has to end first, so that the postmortem is about all of it.
   */
  private async close(before: Promise<void>[]): Promise<void> {
    const { data, input, state, services } = this;
    const stepsEnded = Promise.race([Promise.all(before), sleep(STEPS_END_WITHIN_MS)]);
    if (data.outcome === 'false-positive' || input.drill) {
      // Before the pages end: where it does not succeed, somebody is called.
      await stepsEnded;
      await giveTrafficBack(state, services);
    }
    await condition(() => services.pagesUnderWay === 0);
    if (data.pagingStarted) {
      await getExternalWorkflowHandle(pagingWorkflowId(data.incidentId))
        .signal(pagesResolvedSignal)
        .catch(() => undefined);
    }
    await stepsEnded;
    await services.release();
    await recordTargetChanges(state, services);
    await services.keepHarmHistory();
    const written = await this.untilDone('the postmortem', () =>
      records.writePostmortem({ view: state.view(), draft: false, atMs: services.nowMs() }),
    );
    data.evidence.actionItems = written.actionItems;
    state.record(
      'evidence',
      `Postmortem written with ${written.actionItems.length} action items`,
      services.nowMs(),
      {
        sha256: written.sha256,
      },
    );
    state.reach('closed', services.nowMs());
    await this.watchOn();
    await this.tellTicket(state.view());
  }

  /** The ticket's last words. Its system may be away for hours; then they are given up, and that is told. */
  private async tellTicket(view: IncidentView): Promise<void> {
    const { state, services } = this;
    if (ticketKey(view) === undefined && !isUnderWay(view)) return;
    // An update can wait for an hour, where a rate limit asks for it; what it says is out of date.
    if (this.ticket !== undefined) await this.endWithin([this.ticket], TICKET_GRACE_MS);
    await this.ticket?.ended;
    const problem = await this.writeLastWords(view);
    this.ticketTold = true;
    if (problem === undefined) state.record('evidence', 'The ticket has the outcome', services.nowMs());
    else
      state.record('evidence', 'The outcome could not be added to the ticket', services.nowMs(), { problem });
  }

  /** @returns what could not be written, and why; undefined where all of it was. */
  private async writeLastWords(view: IncidentView): Promise<string | undefined> {
    const nowMs = () => this.services.nowMs();
    const untilMs = (view.milestones.closed ?? nowMs()) + LAST_WORDS_WITHIN_MS;
    const problems = new Map<string, string>();
    try {
      await tellTheEnd(view, this.input.runbook, { untilMs, nowMs, problems });
    } catch (error) {
      if (isCancellation(error)) throw error;
      problems.set('the ticket', readFailure(error).message);
    }
    if (problems.size === 0) return undefined;
    return [...problems].map(([what, problem]) => `${what}: ${problem}`).join('; ');
  }

  /** A recovery that was proved is looked at for another day: harm that returns opens a linked incident. */
  private async watchOn(): Promise<void> {
    const { data, input, services } = this;
    const [alert] = data.alerts;
    const proof = input.runbook.steps.find(({ uses }) => uses === 'verify')?.with;
    if (data.milestones.recovered === undefined || !input.target.ok || !alert || !proof) return;
    const started = startChild<typeof aftercare>(AFTERCARE_WORKFLOW, {
      workflowId: aftercareWorkflowId(data.incidentId),
      // It outlives the incident, and ends by itself.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      args: [
        {
          target: input.target.target,
          incidentId: data.incidentId,
          labels: alert.labels,
          alertname: alert.alertname,
          runbook: input.runbook.name,
          metrics: input.runbook.metrics,
          limits: { harmRate: Number(proof.harmRateBelow), minExposure: WATCH_ON_MIN_EXPOSURE },
          sinceMs: services.nowMs(),
          untilMs: services.nowMs() + WATCH_ON_FOR_MS,
        },
      ],
    });
    try {
      await started;
    } catch (error) {
      // Begun by the run before this one.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      return;
    }
    const hours = WATCH_ON_FOR_MS / 3_600_000;
    this.state.record(
      'verification',
      `Watched for another ${hours} h: harm that returns opens a linked incident`,
      services.nowMs(),
    );
  }

  /** What the incidents before this one could not write down before they had to make room: the records of all first. */
  private async finishPredecessors(): Promise<void> {
    for (const [at, { view, entries, postmortem, ticket }] of this.owed.entries()) {
      let { actionItems } = view;
      if (entries.length > 0) {
        await this.untilDone('the record of the incident before', () =>
          records.appendRecord({ incidentId: view.incidentId, view, entries }),
        );
      }
      if (postmortem) {
        const written = await this.untilDone('the postmortem of the incident before', () =>
          records.writePostmortem({ view, draft: false, atMs: this.services.nowMs() }),
        );
        actionItems = written.actionItems;
      }
      this.owed[at] = { view: { ...view, actionItems }, entries: [], postmortem: false, ticket };
    }
    for (const { view, ticket } of [...this.owed]) {
      const problem = ticket ? await this.writeLastWords(view) : undefined;
      if (problem !== undefined) {
        this.state.record(
          'evidence',
          'The outcome of the incident before could not be added to its ticket',
          this.services.nowMs(),
          { incidentId: view.incidentId, problem },
        );
      }
      this.owed.shift();
    }
  }

  private firingIn(received: AlertsReceived[]): AlertsReceived[] {
    return received.filter((delivery) => delivery.alerts.some((alert) => alert.status === 'firing'));
  }

  /**
   * For `quietFor` after closing, repeats of an alert that never stopped are counted and told once; an alert that fires
   * anew opens a new, linked incident. It stays until the end of the incident is written down, also in its ticket; what fires after
   * `quietFor` opens a linked incident then as well, as it would if this one were gone.
   * @returns the deliveries that open it, or none when the time is over.
   */
  private async linger(): Promise<AlertsReceived[]> {
    const { data, state } = this;
    const resolvedMs = data.milestones.resolved ?? this.services.nowMs();
    const untilMs = resolvedMs + this.input.runbook.quietForMs;
    const finished = () =>
      data.milestones.closed !== undefined &&
      this.closeEnded &&
      this.owed.length === 0 &&
      data.recordedSeq >= (data.timeline.at(-1)?.seq ?? 0);
    for (;;) {
      const leftMs = untilMs - this.services.nowMs();
      const arrived = () => this.inbox.alerts.length > 0;
      if (leftMs > 0) await condition(arrived, leftMs);
      // Time is over, but something is still to be written down: it stays, and goes on looking at what arrives.
      else await condition(() => arrived() || finished());
      const received = this.inbox.alerts.shift();
      if (!received) {
        if (this.services.nowMs() >= untilMs && finished()) return [];
        continue;
      }
      const anew = state.receiveAlerts(received, this.services.nowMs());
      const quiet = this.services.nowMs() < untilMs;
      if (anew.length > 0 || (!quiet && this.firingIn([received]).length > 0))
        return [received, ...this.inbox.alerts.splice(0)];
      if (!data.toldQuiet && received.alerts.some((alert) => alert.status === 'firing')) {
        data.toldQuiet = true;
        state.record(
          'alert',
          'An alert of this incident is still firing after it was resolved; repeats are only counted',
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
      const opened = await this.untilDone('opening the record', () =>
        records.openRecord({ incidentId: data.incidentId, workflowId: data.workflowId, view: state.view() }),
      );
      data.predecessorId ??= opened.predecessorId;
    }
    for (;;) {
      await condition(() => behind() || this.ending);
      if (!behind()) return;
      const entries = data.timeline.filter((entry) => entry.seq > data.recordedSeq).slice(0, RECORD_BATCH);
      const view = { ...state.view(), timeline: entries };
      await this.untilDone('the record', () =>
        records.appendRecord({ incidentId: data.incidentId, view, entries }),
      );
      data.recordedSeq = entries.at(-1)?.seq ?? data.recordedSeq;
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
