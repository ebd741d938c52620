/** Runs the compiled plan: which step may start, on what condition, with whose approval, and what its failure means. */
import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import { runsInDrill } from '../../domain/drill.ts';
import { ENDED_STEP, SKIPPED_AT_END, type StepStatus } from '../../domain/incident.ts';
import type { ApprovalSpec, StepPlan } from '../../domain/runbook.ts';
import { type Prepared, StepFailure, type StepRunner } from '../../runbooks/steps/context.ts';
import { STEP_RUNNERS } from '../../runbooks/steps/runners.ts';
import { readFailure } from '../failure.ts';
import type { IncidentServices } from './services.ts';
import type { Incident, StepData } from './state.ts';

/** Doing nothing that the next run could not go on with from state. */
const REBUILDABLE: ReadonlySet<StepStatus | undefined> = new Set([
  'watching',
  'awaiting-approval',
  'waiting',
]);
const SUCCEEDED: ReadonlySet<StepStatus> = new Set(['succeeded', 'would-have']);
/** A plan that went stale is made anew and asked for again this often before a human decides what goes on. */
const MAX_PLANS = 5;

/** Step types are in the plan only if the compiler that made it had them: this guards against a worker that is older. */
function runnerOf(plan: StepPlan): StepRunner {
  const runner = STEP_RUNNERS[plan.uses];
  if (!runner) {
    throw new StepFailure(
      'InvalidInput',
      `this worker has no step type ${plan.uses}: is it older than the runbook?`,
    );
  }
  return runner;
}

/** It waits, measures or asks: nothing was done yet. */
const NOT_STARTED: ReadonlySet<StepStatus> = new Set(['pending', 'watching', 'awaiting-approval']);

type Approval = 'approved' | 'rejected' | 'interrupted';

export class Engine {
  private readonly incident: Incident;
  private readonly services: IncidentServices;
  private readonly active = new Map<string, CancellationScope>();
  /** Set to rebuild the waits in a new run: waits return, nothing new starts. */
  private draining = false;

  constructor(incident: Incident, services: IncidentServices) {
    this.incident = incident;
    this.services = services;
  }

  /** Starts steps as they become ready, until the incident is resolved, aborted or drained. */
  async drive(): Promise<void> {
    const { data, input } = this.incident;
    while (!this.stopped()) {
      if (data.resetting) await this.startRound();
      for (const step of input.runbook.steps) {
        if (this.isReady(step)) this.start(step);
      }
      await condition(
        () => this.stopped() || data.resetting || input.runbook.steps.some((step) => this.isReady(step)),
      );
    }
    await this.letGo();
    if (!this.draining) this.skipTheRest();
  }

  /** No step is doing anything that could not be rebuilt from state. */
  get restartable(): boolean {
    return [...this.active.keys()].every((id) => REBUILDABLE.has(this.incident.step(id)?.status));
  }

  /** Waits are interrupted at once, activities under way included: the next run makes them again. */
  async drain(): Promise<void> {
    this.draining = true;
    await this.letGo();
  }

  private async letGo(): Promise<void> {
    for (const scope of this.active.values()) scope.cancel();
    await condition(() => this.active.size === 0);
  }

  private async startRound(): Promise<void> {
    await this.letGo();
    this.incident.resetSteps();
  }

  /** Lets go of a step at once, whatever it waits for: it was ended, or is to start anew. */
  cancelStep(id: string): void {
    const scope = this.active.get(id);
    this.active.delete(id);
    scope?.cancel();
  }

  private stopped(): boolean {
    const { data } = this.incident;
    return this.draining || data.aborted !== undefined || data.milestones.resolved !== undefined;
  }

  private skipTheRest(): void {
    const reason = this.incident.data.aborted ?? SKIPPED_AT_END;
    for (const step of this.incident.data.steps) {
      if (!ENDED_STEP.has(step.status)) this.incident.end(step, 'skipped', this.services.nowMs(), reason);
    }
  }

  private isReady(plan: StepPlan): boolean {
    const step = this.incident.step(plan.id);
    if (!step || this.active.has(plan.id) || ENDED_STEP.has(step.status)) return false;
    return plan.needs.every((need) => ENDED_STEP.has(this.incident.step(need)?.status ?? 'pending'));
  }

  private start(plan: StepPlan): void {
    const step = this.incident.step(plan.id);
    if (!step) return;
    const scope = new CancellationScope();
    this.active.set(plan.id, scope);
    // Something else may end the step, or start it anew, while it waits: then what comes back is nobody's any more.
    const mine = () => this.active.get(plan.id) === scope && !ENDED_STEP.has(step.status);
    void scope
      .run(() => this.runStep(plan, step, mine))
      .catch((error: unknown) => {
        if (this.active.get(plan.id) === scope) this.fail(plan, step, error);
      })
      .finally(() => {
        if (this.active.get(plan.id) === scope) this.active.delete(plan.id);
      });
  }

  private async runStep(plan: StepPlan, step: StepData, mine: () => boolean): Promise<void> {
    const unmet = plan.needs.find((need) => !SUCCEEDED.has(this.incident.step(need)?.status ?? 'pending'));
    if (unmet !== undefined && !plan.always) {
      this.incident.end(
        step,
        'skipped',
        this.services.nowMs(),
        `needs ${unmet}, which was ${this.incident.step(unmet)?.status}`,
      );
      return;
    }
    const decided = step.asked !== undefined || step.waitDeadlineMs !== undefined;
    if (!decided && !(await this.conditionsHold(plan, step))) return;
    for (let made = 0; ; made++) {
      if (!mine() || this.wasHalted(step)) return;
      const prepared = await this.prepare(plan, step);
      const mode = plan.mutates ? await this.services.modeOfTarget() : undefined;
      if (!mine() || this.wasHalted(step)) return;
      const { drill } = this.incident.input;
      if (drill && !runsInDrill(plan.uses, drill)) return this.rehearse(plan, step, prepared, mine);
      if (mode === 'observe') {
        this.incident.record(
          'would-have',
          `${plan.id}: would have run${prepared ? `: ${prepared.summary}` : ''}`,
          this.services.nowMs(),
          {
            step: plan.id,
            uses: plan.uses,
            with: plan.with,
            summary: prepared?.summary,
            planHash: prepared?.planHash,
            fromRevision: prepared?.plan?.from.revision,
            toRevision: prepared?.plan?.to.revision,
            unknown: step.ranOnUnknown,
          },
        );
        this.incident.end(step, 'would-have', this.services.nowMs(), 'observe mode changes nothing');
        return;
      }
      if (plan.approval && !(await this.preapproves(plan, step, plan.approval))) {
        const answer = await this.askPeople(plan, step, plan.approval);
        if (answer !== 'approved') return;
      }
      if (!mine() || this.wasHalted(step)) return;
      try {
        this.begin(step);
        step.outputs = await this.runWithTimeout(plan, step, prepared);
        this.incident.end(step, 'succeeded', this.services.nowMs());
        return;
      } catch (error) {
        if (step.preapproved && readStepFailure(error).type === 'Unauthorized') {
          this.askPeopleInstead(plan, step, readStepFailure(error).message);
          continue;
        }
        // Drift: what was approved is not what would be done. The approval is void; a fresh plan is asked for.
        const stale =
          plan.approval !== undefined &&
          made < MAX_PLANS &&
          readStepFailure(error).type === 'PreconditionFailed' &&
          plan.uses === 'rollback';
        if (!stale) throw error;
        this.incident.record(
          'decision',
          `The approval of ${plan.id} is void: ${readStepFailure(error).message}. A fresh plan follows`,
          this.services.nowMs(),
        );
        Object.assign(step, {
          prepared: undefined,
          asked: undefined,
          approvals: [],
          preapproved: undefined,
          tries: step.tries + 1,
        });
      }
    }
  }

  /** In a drill: people are asked as they would be, and what can be tried without changing anything is tried. */
  private async rehearse(
    plan: StepPlan,
    step: StepData,
    prepared: Prepared | undefined,
    mine: () => boolean,
  ): Promise<void> {
    if (plan.approval && (await this.askPeople(plan, step, plan.approval)) !== 'approved') return;
    const { rehearse } = runnerOf(plan);
    const seen =
      rehearse === undefined
        ? prepared?.summary
        : await CancellationScope.withTimeout(plan.timeoutMs, () =>
            rehearse(this.services.contextFor(plan, step)),
          );
    if (!mine()) return;
    const nowMs = this.services.nowMs();
    const what = seen === undefined ? 'would have run' : seen;
    this.incident.record('would-have', `${plan.id}: a drill changes nothing; ${what}`, nowMs, {
      step: plan.id,
      uses: plan.uses,
      summary: prepared?.summary,
      planHash: prepared?.planHash,
    });
    const approved = plan.approval ? 'approved; ' : '';
    this.incident.end(step, 'would-have', nowMs, `${approved}a drill changes nothing; ${what}`);
  }

  /** Another step has halted the incident while this one was on its way to start: it does not. */
  private wasHalted(step: StepData): boolean {
    const by = this.incident.data.haltedBy;
    if (by === undefined) return false;
    this.incident.end(step, 'skipped', this.services.nowMs(), `halted by step ${by}`);
    return true;
  }

  private begin(step: StepData): void {
    step.status = 'running';
    step.startedAtMs ??= this.services.nowMs();
    this.incident.touch();
  }

  private async prepare(plan: StepPlan, step: StepData): Promise<Prepared | undefined> {
    if (step.prepared) return step.prepared;
    const runner = runnerOf(plan);
    if (runner.prepare) {
      this.begin(step);
      const make = runner.prepare;
      step.prepared = await CancellationScope.withTimeout(plan.timeoutMs, () =>
        make(this.services.contextFor(plan, step)),
      );
    } else if (plan.approval) {
      // Steps without a plan of their own are approved as the runbook's version has them.
      step.prepared = {
        planHash: this.incident.input.runbook.hash,
        summary: `Run step ${plan.id} (${plan.uses})`,
        warnings: [],
      };
    }
    return step.prepared;
  }

  /** Ended and cancelled work both surface here; a step that a human skipped was ended by that. */
  private runWithTimeout(
    plan: StepPlan,
    step: StepData,
    prepared: Prepared | undefined,
  ): Promise<Record<string, unknown>> {
    return CancellationScope.withTimeout(plan.timeoutMs, () =>
      runnerOf(plan).run(this.services.contextFor(plan, step), {
        prepared,
        decisions: step.approvals,
        preapproved: step.preapproved
          ? { runbookHash: this.incident.input.runbook.hash, step: plan.id }
          : undefined,
      }),
    );
  }

  /** @returns false when the step was skipped, or its wait was interrupted. */
  private async conditionsHold(plan: StepPlan, step: StepData): Promise<boolean> {
    // Nothing is wrong in a drill, so no condition would hold: it is about what would follow.
    if (this.incident.input.drill) return true;
    if (plan.when !== undefined) {
      const measured = await this.services.measure(plan.when);
      const holds = measured.known ? measured.value === true : plan.whenUnknown === 'run';
      step.ranOnUnknown = holds && !measured.known ? measured.reason : undefined;
      if (!holds) {
        this.incident.end(
          step,
          'skipped',
          this.services.nowMs(),
          measured.known ? `not the case: ${plan.when}` : `unknown: ${measured.reason}`,
        );
        return false;
      }
    }
    if (plan.whenever === undefined) return true;
    step.status = 'watching';
    this.incident.touch();
    let unknownSinceMs: number | undefined;
    for (;;) {
      const measured = await this.services.measure(plan.whenever);
      if (measured.known && measured.value === true) return true;
      if (!measured.known && plan.whenUnknown === 'run') {
        // One failed query right after the alert is no reason to act; a metric that stays unknown is.
        unknownSinceMs ??= this.services.nowMs();
        if (this.services.nowMs() - unknownSinceMs >= this.incident.input.runbook.watchEveryMs) {
          step.ranOnUnknown = measured.reason;
          return true;
        }
      } else {
        unknownSinceMs = undefined;
      }
      if (await condition(() => this.draining, this.incident.input.runbook.watchEveryMs)) return false;
    }
  }

  /**
   * Whether the runbook's version approves by itself: only where the target's mode is auto and the condition is known to
   * hold, and never for a rollback while traffic is diverted, since nothing is urgent any more.
   */
  private async preapproves(plan: StepPlan, step: StepData, spec: ApprovalSpec): Promise<boolean> {
    if (step.preapproved) return true;
    const condition = spec.preapprovedWhen;
    if (condition === undefined || step.asked !== undefined || step.preapproved === false) return false;
    if ((await this.services.modeOfTarget()) !== 'auto') return false;
    const { data, input } = this.incident;
    if (plan.uses === 'rollback' && (data.breaker?.state ?? 'closed') !== 'closed') return false;
    const measured = await this.services.measure(condition);
    if (!measured.known || measured.value !== true) {
      const why = measured.known ? `it is not the case that ${condition}` : measured.reason;
      this.incident.record('decision', `${plan.id} is not pre-approved: ${why}`, this.services.nowMs());
      return false;
    }
    // It may have been diverted while it was measured.
    if (plan.uses === 'rollback' && (data.breaker?.state ?? 'closed') !== 'closed') return false;
    step.preapproved = true;
    this.incident.reach('approved', this.services.nowMs());
    this.incident.record(
      'decision',
      `${plan.id} is approved by ${input.runbook.name} v${input.runbook.version}: ${condition}`,
      this.services.nowMs(),
      { planHash: step.prepared?.planHash, runbookHash: input.runbook.hash },
    );
    return true;
  }

  /** What has to believe the runbook's approval did not: nothing was changed, and people decide on the same plan. */
  private askPeopleInstead(plan: StepPlan, step: StepData, why: string): void {
    step.preapproved = false;
    delete this.incident.data.milestones.approved;
    this.incident.record(
      'decision',
      `The pre-approval of ${plan.id} does not count: ${why}`,
      this.services.nowMs(),
    );
  }

  private async askPeople(plan: StepPlan, step: StepData, spec: ApprovalSpec): Promise<Approval> {
    step.status = 'awaiting-approval';
    if (!step.asked) {
      const nowMs = this.services.nowMs();
      step.asked = { requestedAtMs: nowMs, expiresAtMs: nowMs + spec.timeoutMs };
      this.incident.record('decision', `Approval of ${plan.id} asked from ${spec.from.join(' or ')}`, nowMs, {
        planHash: step.prepared?.planHash,
        count: spec.count,
      });
    }
    for (;;) {
      const approved = () =>
        step.approvals.length >= spec.count || step.approvals.some(({ decision }) => decision.breakGlass);
      const decided = () => step.rejection !== undefined || approved() || this.draining;
      const answered = await condition(decided, Math.max(1, step.asked.expiresAtMs - this.services.nowMs()));
      if (step.rejection !== undefined) {
        this.incident.data.outcome = 'rejected';
        this.incident.end(
          step,
          'rejected',
          this.services.nowMs(),
          `rejected by ${step.rejection.decision.person}`,
        );
        this.incident.needHuman(
          `step ${plan.id} was rejected: decide what happens instead`,
          this.services.nowMs(),
          plan.id,
        );
        return 'rejected';
      }
      if (approved()) {
        this.incident.reach('approved', this.services.nowMs());
        return 'approved';
      }
      if (answered) return 'interrupted';
      const nowMs = this.services.nowMs();
      if (spec.onTimeout === 'reject') {
        this.incident.end(step, 'rejected', nowMs, 'nobody approved in time');
        this.incident.needHuman(`step ${plan.id} was not approved in time`, nowMs, plan.id);
        this.services.pageCommander(
          `step ${plan.id} was not approved in time`,
          `rejected-${plan.id}-${step.tries}`,
        );
        return 'rejected';
      }
      // Expired is not rejected: the question stays open, and somebody else is woken.
      step.asked = { requestedAtMs: step.asked.requestedAtMs, expiresAtMs: nowMs + spec.timeoutMs };
      this.incident.record('decision', `Nobody has decided on ${plan.id} yet: escalated`, nowMs);
      const id = `approval-${plan.id}-${nowMs}`;
      this.services.escalatePages('firebreak', id);
      this.services.pageCommander(`approval of ${plan.id} is overdue`, id);
    }
  }

  private fail(plan: StepPlan, step: StepData, error: unknown): void {
    if (ENDED_STEP.has(step.status)) return;
    // Interrupted to be made again: by the next run, or in the next round.
    if (isCancellation(error) && (this.draining || this.incident.data.resetting)) return;
    const nowMs = this.services.nowMs();
    const cancelledByUs = isCancellation(error) && this.stopped();
    if (cancelledByUs) {
      this.incident.end(step, 'skipped', nowMs, this.incident.data.aborted ?? SKIPPED_AT_END);
      return;
    }
    const failure = isCancellation(error)
      ? new StepFailure('Unavailable', `not done within ${Math.round(plan.timeoutMs / 1_000)} s`)
      : readStepFailure(error);
    this.incident.end(step, 'failed', nowMs, failure.message);
    if (failure.outcome) this.incident.data.outcome = failure.outcome;
    if (plan.onFailure === 'continue') return;
    this.incident.needHuman(
      `step ${plan.id} failed: ${failure.message.replace(/\.$/, '')}. Next: fix the cause and retry the step, skip it, or resolve the incident`,
      nowMs,
      plan.id,
    );
    this.services.pageCommander(`step ${plan.id} failed`, `failed-${plan.id}-${step.tries}`);
    if (plan.onFailure === 'halt') this.halt(plan.id);
  }

  /** What has not started does not start any more; steps whose plan is being made look at it before they go on. */
  private halt(by: string): void {
    this.incident.data.haltedBy = by;
    for (const other of this.incident.data.steps) {
      if (!NOT_STARTED.has(other.status)) continue;
      this.incident.end(other, 'skipped', this.services.nowMs(), `halted by step ${by}`);
      this.cancelStep(other.id);
    }
  }
}

function readStepFailure(error: unknown): {
  type: string;
  message: string;
  outcome?: StepFailure['outcome'];
} {
  if (error instanceof StepFailure) return error;
  return readFailure(error);
}
