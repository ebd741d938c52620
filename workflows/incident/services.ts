/** What steps and the engine reach the world through: the target's actor, the paging workflow, activities. */

import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  type ExternalWorkflowHandle,
  executeChild,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  sleep,
  startChild,
} from '@temporalio/workflow';
import type { Evaluation, ExpressionFacts, MetricReading } from '../../activities/contract.ts';
import { historyWindow, keepHistory } from '../../domain/harm-history/history.ts';
import { ENDED_STEP } from '../../domain/incident.ts';
import type { PageRequest } from '../../domain/paging.ts';
import type { StepPlan } from '../../domain/runbook.ts';
import { mergeSamples } from '../../domain/samples/merge.ts';
import { isMoreSevere, SEVERITIES, type Severity } from '../../domain/severity.ts';
import type { Mode, Target, TargetFacts } from '../../domain/target.ts';
import { targetKey } from '../../domain/target.ts';
import type { TargetAction, TargetResult } from '../../domain/target-command.ts';
import { fillTemplate, splitTemplate } from '../../domain/template.ts';
import { type StepContext, StepFailure } from '../../runbooks/steps/context.ts';
import { clusterActivities, clusterWaits, records, repositories, signaling, vendors } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { pagingWorkflowId } from '../ids.ts';
import {
  PAGING_WORKFLOW,
  pageRequestedSignal,
  pagesAcknowledgedSignal,
  pagesEscalatedSignal,
  pagesUnacknowledgedSignal,
  VERIFICATION_WORKFLOW,
} from '../messages.ts';
import type { paging } from '../paging/workflow.ts';
import type { verification } from '../verification/workflow.ts';
import { LONGEST_BETWEEN_LOOKS_MS, reasonOfSilence, SILENT_AFTER_MS } from './cluster-silence.ts';
import type { Incident, StepData } from './state.ts';

/** Page role that is called when a step fails and nobody named another one. */
export const COMMANDER_ROLE = 'commander';
/** Two attempts of a measurement that answers nothing: what is not known by then is unknown. */
const MEASURE_WITHIN_MS = 30_000;
/** Around a waiting activity's own deadline. */
const WAIT_MARGIN_MS = 30_000;
const HARM_RATE_METRIC = 'harmRate';
/** After a refusal that only people can mend. */
const READ_AGAIN_AFTER_MS = 30_000;

/** An update is news: after some minutes the next one is. */
const TELL_ATTEMPTS = 8;

export class IncidentServices {
  private readonly incident: Incident;

  constructor(incident: Incident) {
    this.incident = incident;
  }

  nowMs(): number {
    return Date.now();
  }

  /** @throws StepFailure where the labels gave no usable target. */
  target(): Target {
    const { target } = this.incident.input;
    if (target.ok) return target.target;
    throw new StepFailure('InvalidInput', `the alert names no usable target: ${target.reason}`);
  }

  /** Reads the target, however long it takes: everything that changes it, or is measured on it, waits for that. */
  async loadFacts(): Promise<void> {
    if (this.incident.data.facts || !this.incident.input.target.ok) return;
    const { target } = this.incident.input.target;
    const problems = new Set<string>();
    for (;;) {
      try {
        const facts = await this.whileToldOfSilence(target.cluster, problems, () =>
          clusterActivities(target.cluster).readTarget({ target }),
        );
        this.incident.data.facts = facts;
        for (const reason of problems) this.incident.settle({ reason });
        if (!facts.exists) {
          this.incident.needHuman(`${targetKey(target)} does not exist in the cluster`, this.nowMs());
        }
        this.incident.touch();
        return;
      } catch (error) {
        if (isCancellation(error)) throw error;
        // Missing rights and the like are mended by people: then it goes on by itself.
        const reason = `the target could not be read: ${readFailure(error).message}`;
        problems.add(reason);
        this.incident.needHuman(reason, this.nowMs());
        await sleep(READ_AGAIN_AFTER_MS);
      }
    }
  }

  /** Nobody may wait without knowing for what: while the work takes long, people are told who does not answer. */
  private async whileToldOfSilence<T>(
    cluster: string,
    problems: Set<string>,
    work: () => Promise<T>,
  ): Promise<T> {
    const telling = new CancellationScope();
    const told = telling
      .run(() => this.tellOfSilence(cluster, problems))
      .catch((error: unknown) => {
        if (!isCancellation(error)) log.warn('who polls a queue is not known', { problem: String(error) });
      });
    try {
      return await work();
    } finally {
      telling.cancel();
      await told;
    }
  }

  private async tellOfSilence(cluster: string, problems: Set<string>): Promise<never> {
    const waitingSinceMs = this.nowMs();
    let told: string | undefined;
    let lastSeenMs: number | undefined;
    for (let pauseMs = SILENT_AFTER_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_BETWEEN_LOOKS_MS)) {
      await sleep(pauseMs);
      const seen = await signaling.describeQueue({ cluster });
      // Temporal forgets a poller that is gone; when it was last there stays true.
      lastSeenMs = seen.lastSeenMs ?? lastSeenMs;
      const nowMs = this.nowMs();
      const reason = reasonOfSilence(cluster, { ...seen, lastSeenMs }, { waitingSinceMs, nowMs });
      if (reason === told) continue;
      if (told !== undefined) this.incident.settle({ reason: told });
      told = reason;
      problems.add(reason);
      this.incident.needHuman(reason, nowMs);
    }
  }

  async facts(): Promise<TargetFacts> {
    this.target();
    await condition(() => this.incident.data.facts !== undefined);
    const { facts } = this.incident.data;
    if (!facts) throw new StepFailure('Unavailable', 'the target was not read');
    return facts;
  }

  /** The mode by which mutations are decided; without a target nothing is ever mutated. */
  async modeOfTarget(): Promise<Mode> {
    // A runbook without a target has no workload whose mode could be read: it stays as the incident was opened.
    if (this.incident.input.runbook.target === undefined) return this.incident.mode;
    const facts = await this.facts();
    if (!facts.exists)
      throw new StepFailure('NotFound', `${targetKey(this.target())} does not exist in the cluster`);
    return facts.mode;
  }

  /**
   * Measures one condition now; evidence of the harm rate is kept for people to see. What cannot be measured in time is
   * unknown, whatever the reason: a condition must not hold up what has to be done when it is unknown.
   */
  async measure(expression: string): Promise<Evaluation> {
    try {
      return await CancellationScope.withTimeout(MEASURE_WITHIN_MS, async () => {
        const { results } = await this.evaluate({ it: expression });
        return results.it ?? { known: false, reason: 'the expression was not evaluated' };
      });
    } catch (error) {
      if (!isCancellation(error)) return { known: false, reason: readFailure(error).message };
      if (CancellationScope.current().consideredCancelled) throw error;
      return { known: false, reason: `not measured within ${MEASURE_WITHIN_MS / 1_000} s` };
    }
  }

  /** Evaluates expressions together, over one measurement. */
  async evaluate(
    expressions: Record<string, string>,
    maxAttempts?: number,
  ): Promise<{ results: Record<string, Evaluation>; evidence: Record<string, MetricReading> }> {
    const { input, data } = this.incident;
    if (!input.target.ok) {
      const context = this.expressionFacts();
      return {
        ...(await vendors(maxAttempts).evaluateUntargeted({ expressions, context })),
        evidence: {},
      };
    }
    const facts = await this.facts();
    const { target } = input.target;
    const measured = await clusterActivities(target.cluster, maxAttempts).evaluate({
      target,
      facts,
      metrics: input.runbook.metrics,
      expressions,
      context: this.expressionFacts(),
    });
    const harmRate = measured.evidence[HARM_RATE_METRIC]?.value;
    if (harmRate !== undefined) data.lastHarmRate = harmRate;
    this.incident.touch();
    return measured;
  }

  /** Keeps the harm rate over time for ticket and postmortem. Nothing waits for it for long. */
  async keepHarmHistory(): Promise<void> {
    const { input, data } = this.incident;
    if (!input.target.ok) return;
    const { target } = input.target;
    const range = historyWindow(this.incident.view(), this.nowMs());
    try {
      const reading = await CancellationScope.withTimeout(MEASURE_WITHIN_MS, () =>
        clusterActivities(target.cluster, 2).readHarmHistory({
          target,
          metrics: input.runbook.metrics,
          ...(data.facts && { facts: data.facts }),
          ...range,
        }),
      );
      data.evidence.harmHistory = keepHistory(data.evidence.harmHistory, reading);
      this.incident.touch();
    } catch (error) {
      if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
      log.warn('the harm rate over time could not be read', { problem: readFailure(error).message });
    }
  }

  /** Fills `${{ expression }}` in a text with values, as plain text on one line each. */
  async fill(text: string, maxAttempts?: number): Promise<string> {
    const parts = splitTemplate(text);
    const expressions = Object.fromEntries(
      parts.flatMap((part, index) => ('expression' in part ? [[String(index), part.expression]] : [])),
    );
    if (Object.keys(expressions).length === 0) return text;
    const { results } = await this.evaluate(expressions, maxAttempts);
    return fillTemplate(parts, results);
  }

  /** What expressions read beside metrics and target, as it stands now. */
  private expressionFacts(): ExpressionFacts {
    const { input, data } = this.incident;
    const steps: Record<string, Record<string, unknown>> = {};
    for (const step of data.steps) if (step.outputs) steps[step.id] = step.outputs;
    return {
      steps,
      inputs: input.runbook.inputs,
      incident: {
        severity: data.severity,
        round: data.round,
        acknowledged: data.acknowledgedBy !== undefined,
        firing: this.incident.firing.length,
      },
      alert: { labels: data.alerts[0]?.labels ?? {} },
    };
  }

  /** The severity where the runbook names one outright. */
  get constantSeverity(): Severity | undefined {
    const named = /^\s*["'](SEV[1-4])["']\s*$/.exec(this.incident.input.runbook.severity)?.[1];
    return SEVERITIES.find((severity) => severity === named);
  }

  /** Judges severity; unknown counts as the highest. It only ever rises, unless a person has set it. */
  async judgeSeverity(first: boolean): Promise<void> {
    const { data, input } = this.incident;
    const constant = this.constantSeverity;
    const judged: Evaluation =
      constant === undefined ? await this.measure(input.runbook.severity) : { known: true, value: constant };
    if (data.severitySetBy !== undefined) return;
    const severity: Severity =
      judged.known && SEVERITIES.includes(judged.value as Severity) ? (judged.value as Severity) : 'SEV1';
    if (!first && !(judged.known && isMoreSevere(severity, data.severity))) return;
    if (severity === data.severity && !first) return;
    data.severity = severity;
    this.incident.record(
      'step',
      judged.known ? `Severity ${severity}` : `Severity ${severity}: ${judged.reason}`,
      this.nowMs(),
    );
  }

  /** Asks the target's actor and waits for its answer. */
  async command(step: StepPlan | undefined, tries: number, action: TargetAction): Promise<TargetResult> {
    const { data } = this.incident;
    const target = this.target();
    const id = `${data.incidentId}.${data.round}.${step?.id ?? 'incident'}.${tries}.${++data.commandCount}.${action.kind}`;
    const answer = () => data.replies.find((reply) => reply.commandId === id);
    data.awaited.push(id);
    try {
      await signaling.commandTarget({
        target,
        command: { id, target, incidentId: data.incidentId, replyTo: data.workflowId, action },
      });
      await condition(() => answer() !== undefined);
    } catch (error) {
      if (isCancellation(error)) this.withdraw(id, action);
      throw error;
    } finally {
      data.awaited = data.awaited.filter((other) => other !== id);
    }
    const reply = answer();
    data.replies = data.replies.filter((other) => other.commandId !== id);
    if (!reply) throw new StepFailure('Unavailable', 'the target did not answer');
    if (!reply.ok) throw new StepFailure(reply.failure.type, reply.failure.message);
    if ('breaker' in reply.result) {
      data.breaker = reply.result.breaker;
      // What was wrong with the breaker, or its fallback, matters no more.
      if (data.breaker.state === 'closed')
        for (const reason of data.breakerNeeds.splice(0)) this.incident.settle({ reason });
      this.incident.touch();
    }
    return reply.result;
  }

  /**
   * A command whose step was stopped, skipped or timed out must not be carried out later. A diversion is left: stopping
   * never makes things less contained.
   */
  private withdraw(commandId: string, { kind }: TargetAction): void {
    if (kind === 'divert' || kind === 'release' || kind === 'withdraw') return;
    const { data } = this.incident;
    const target = this.target();
    CancellationScope.nonCancellable(() =>
      signaling.commandTarget({
        target,
        command: {
          id: `${commandId}.withdraw`,
          target,
          incidentId: data.incidentId,
          action: { kind: 'withdraw', commandId },
        },
      }),
    ).catch(() => undefined);
  }

  /** Lets go of the target; nobody waits for the answer. */
  async release(): Promise<void> {
    const { data, input } = this.incident;
    if (!input.target.ok) return;
    const { target } = input.target;
    await signaling.commandTarget({
      target,
      command: {
        id: `${data.incidentId}.release`,
        target,
        incidentId: data.incidentId,
        action: { kind: 'release' },
      },
    });
  }

  /** Pages one after another: the second must find the paging workflow that the first starts. */
  private paging: Promise<void> = Promise.resolve();

  /** Pages on their way to the paging workflow: a run does not end before they are there. */
  pagesUnderWay = 0;

  requestPage(request: PageRequest): Promise<void> {
    this.pagesUnderWay++;
    // Whoever asked may be stopped meanwhile; somebody is needed all the same.
    const sent = this.paging.then(() =>
      CancellationScope.nonCancellable(() => this.sendPageRequest(request)),
    );
    this.paging = sent
      .catch(() => undefined)
      .then(() => {
        this.pagesUnderWay--;
      });
    return sent;
  }

  private async sendPageRequest(request: PageRequest): Promise<void> {
    const { data } = this.incident;
    const workflowId = pagingWorkflowId(data.incidentId);
    if (!data.pagingStarted) {
      try {
        await startChild<typeof paging>(PAGING_WORKFLOW, {
          workflowId,
          // It outlives continue-as-new of the incident, and ends by being told to.
          parentClosePolicy: ParentClosePolicy.ABANDON,
          args: [{ incidentId: data.incidentId, replyTo: data.workflowId, requests: [request] }],
        });
        data.pagingStarted = true;
        return;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        data.pagingStarted = true;
      }
    }
    await getExternalWorkflowHandle(workflowId).signal(pageRequestedSignal, request);
  }

  /** Has the next level of every page called now; nothing where nobody was paged. */
  escalatePages(by: string, id: string): void {
    this.tellPages((pages) => pages.signal(pagesEscalatedSignal, { by, id }));
  }

  /** Has nobody else called who was asked for before this. */
  acknowledgePages(by: string): void {
    this.tellPages((pages) => pages.signal(pagesAcknowledgedSignal, { by }));
  }

  /** Has those called again whom an acknowledgement had spared. */
  unacknowledgePages(): void {
    this.tellPages((pages) => pages.signal(pagesUnacknowledgedSignal));
  }

  /** After the pages before it: one that is on its way is meant as well. Nothing where nobody was paged. */
  private tellPages(tell: (pages: ExternalWorkflowHandle) => Promise<void>): void {
    const { data } = this.incident;
    this.pagesUnderWay++;
    this.paging = this.paging
      .then(async () => {
        if (!data.pagingStarted) return;
        const pages = getExternalWorkflowHandle(pagingWorkflowId(data.incidentId));
        await CancellationScope.nonCancellable(() => tell(pages));
      })
      .catch((error: unknown) => {
        log.warn('the pages could not be told', { problem: readFailure(error).message });
      })
      .then(() => {
        this.pagesUnderWay--;
      });
  }

  /** Calls the commander without waiting: a page must never hold up the incident. `key` makes it a page of its own. */
  pageCommander(reason: string, key: string): void {
    const { data, input } = this.incident;
    const request: PageRequest = {
      id: key,
      roles: [COMMANDER_ROLE],
      dedupKey: `${this.incident.roundDedupKey}-${key}`,
      title: `${this.incident.title}: ${reason}`,
      severity: data.severity,
      details: {
        incident: data.incidentId,
        runbook: `${input.runbook.name} v${input.runbook.version}`,
        target: input.target.ok ? targetKey(input.target.target) : 'none',
      },
      links: [],
    };
    this.requestPage(request).catch((error: unknown) => {
      this.incident.record('page', 'The commander could not be paged', this.nowMs(), {
        problem: String(error),
      });
    });
  }

  /** Tells stakeholders without waiting; what could not be told is on the timeline. */
  tellStakeholders(person: string, text: string): void {
    const { data } = this.incident;
    const key = `update-${data.timeline.length}`;
    const problem = (told: string) =>
      this.incident.record('note', 'Not every stakeholder could be told', this.nowMs(), { problem: told });
    vendors(TELL_ATTEMPTS)
      .tellStakeholders({
        incidentId: data.incidentId,
        key,
        title: this.incident.title,
        severity: data.severity,
        text: `${text}\n(${person})`,
      })
      .then(({ problems }) => {
        if (problems.length > 0) problem(problems.join('; '));
      })
      .catch((error: unknown) => problem(readFailure(error).message));
  }

  contextFor(plan: StepPlan, step: StepData): StepContext {
    const services = this;
    const { incident } = this;
    const { data, input } = incident;
    const tries = ++step.tries;
    return {
      step: plan,
      incidentId: data.incidentId,
      runbook: input.runbook,
      dedupKey: incident.roundDedupKey,
      chosenRevision: step.chosenRevision,
      nowMs: () => services.nowMs(),
      view: () => incident.view(),
      target: () => services.target(),
      facts: () => services.facts(),
      async factsWithin(timeoutMs) {
        await condition(() => data.facts !== undefined, timeoutMs);
        return data.facts;
      },
      round: data.round,
      attempt: tries,
      outputsOf: (id) => incident.step(id)?.outputs,
      waitDeadline(forMs) {
        step.waitDeadlineMs ??= services.nowMs() + forMs;
        step.status = 'waiting';
        incident.touch();
        return step.waitDeadlineMs;
      },
      async stepEnded(id) {
        await condition(() => ENDED_STEP.has(incident.step(id)?.status ?? 'skipped'));
        return incident.step(id)?.status ?? 'skipped';
      },
      record: (kind, text, entryData) => incident.record(kind, text, services.nowMs(), entryData),
      reach: (milestone, atMs) => incident.reach(milestone, atMs ?? services.nowMs()),
      keep({ samples, ...evidence }) {
        Object.assign(data.evidence, evidence);
        // Another step, try or round adds to them: people have marked those, and texts of them are kept.
        if (samples) data.evidence.samples = mergeSamples(data.evidence.samples, samples);
        incident.touch();
      },
      keepHarmHistory: () => services.keepHarmHistory(),
      command: (action) => services.command(plan, tries, action),
      async page(request) {
        const dedupKey = incident.roundDedupKey;
        const id = `${data.round}.${plan.id}.${tries}`;
        const accepted = (role: string) =>
          data.pages.some((page) => page.requestId === id && page.role === role);
        await services.requestPage({ ...request, id, dedupKey });
        // Of a policy nobody here knows the roles: it has paged when the first of them was reached.
        const anybody = () => data.pages.some((page) => page.requestId === id);
        const refused = (role: string) =>
          data.undelivered?.some((page) => page.requestId === id && page.role === role && page.refused) ===
          true;
        const done = () => request.roles.every(accepted) && (request.policy === undefined || anybody());
        // Nothing tries what was refused for good: people mend the cause and try the step again.
        const over = () =>
          request.policy === undefined && request.roles.every((role) => accepted(role) || refused(role));
        // Nor is anybody waited for who was spared: somebody is on it.
        const spared = () => data.withdrawnRequests?.includes(id) === true;
        await condition(() => done() || over() || spared());
        if (done() || spared()) return;
        const roles = request.roles.filter(refused).join(', ');
        throw new StepFailure('Refused', `every channel refused the page to ${roles}: see the timeline`);
      },
      async verify(request) {
        return executeChild<typeof verification>(VERIFICATION_WORKFLOW, {
          workflowId: `verification-${data.incidentId}.${data.round}.${plan.id}.${tries}`,
          args: [
            {
              target: services.target(),
              facts: await services.facts(),
              metrics: input.runbook.metrics,
              context: services.expressionFacts(),
              alertedAtMs: data.milestones.triggered,
              ...request,
            },
          ],
        });
      },
      async awaitDiverted(maxShare, timeoutMs) {
        const target = services.target();
        return clusterWaits(target.cluster, timeoutMs + WAIT_MARGIN_MS).awaitDiverted({
          target,
          metrics: input.runbook.metrics,
          maxShare,
          timeoutMs,
        });
      },
      async proposeRevert(git) {
        const { incidentId } = services.incident.data;
        try {
          return await repositories.proposeRevert({ incidentId, target: services.target(), git });
        } catch (error) {
          if (isCancellation(error)) throw error;
          return { state: 'failed', problem: readFailure(error).message };
        }
      },
      evaluate: (expressions) => services.evaluate(expressions, plan.retry?.maxAttempts),
      measure: (expression) => services.measure(expression),
      fill: (text) => services.fill(text, plan.retry?.maxAttempts),
      cluster: input.target.ok
        ? clusterActivities(input.target.target.cluster, plan.retry?.maxAttempts)
        : noCluster(),
      vendors: vendors(plan.retry?.maxAttempts),
      records: { writePostmortem: records.writePostmortem },
    };
  }
}

/** Steps ask for the target before they reach a cluster, so this only guards against one that does not. */
function noCluster(): StepContext['cluster'] {
  const refuse = () => Promise.reject(ApplicationFailure.nonRetryable('there is no target', 'InvalidInput'));
  return {
    takeSnapshot: refuse,
    readTemplateHash: refuse,
    listChanges: refuse,
    judgeHarm: refuse,
    checkFallback: refuse,
  };
}
