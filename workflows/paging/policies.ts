import { condition, isCancellation } from '@temporalio/workflow';
import { type PageRequest, policyAsRole } from '../../domain/paging.ts';
import { pagers, vendors } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { Sender } from './sender.ts';
import { MAX_ESCALATIONS, type PagingState, type PolicyRun, titleAgain } from './state.ts';

/** A fall-over that is not told by then is no way out either. */
const FALL_OVER_ATTEMPTS = 8;

/**
 * Calls the levels of escalation policies one after another, as often as they say, until somebody acknowledges.
 *
 * Who is called when is decided by an activity (resolvePolicy) at the start of each round, never here: time zone rules come
 * with the runtime, and a replay under newer ones would decide otherwise. So a round that begins at 16:58 keeps its levels
 * over the end of the working day, and the next round has those of the night.
 */
export class PolicyRuns {
  private readonly state: PagingState;
  private readonly sender: Sender;
  private over = false;

  constructor(state: PagingState, sender: Sender) {
    this.state = state;
    this.sender = sender;
    for (const run of state.policies) this.drive(run);
  }

  start(request: PageRequest, name: string): void {
    const run: PolicyRun = {
      request,
      name,
      round: 0,
      level: 0,
      calls: 0,
      dueMs: Date.now(),
      armed: true,
      accepted: false,
      fellOver: false,
      ended: false,
    };
    this.state.policies.push(run);
    this.drive(run);
  }

  /** Somebody has acknowledged: nobody else is called. */
  disarm(): void {
    for (const run of this.state.policies) {
      if (run.armed && !run.ended && !run.accepted) {
        const about = { requestId: run.request.id, role: policyAsRole(run.name), level: run.calls };
        void this.sender.guarded(() => this.sender.report({ ...about, withdrawn: true }));
      }
      run.armed = false;
      run.escalated = undefined;
    }
  }

  /** The acknowledgement lapsed: whoever gave it is called by the pager itself, so the level after the first is next. */
  rearm(nowMs: number): void {
    for (const run of this.state.policies) {
      if (run.armed) continue;
      run.armed = true;
      run.ended = false;
      run.round = 0;
      const last = Math.max(0, (run.plan?.levels.length ?? 1) - 1);
      run.level = run.accepted ? Math.min(1, last) : 0;
      run.dueMs = run.accepted ? nowMs + (run.plan?.levels[0]?.afterMs ?? 0) : nowMs;
    }
  }

  /** A person wants the next level now; where there is none left, the policy begins again. */
  hurry(nowMs: number): void {
    for (const run of this.state.policies) {
      const { plan } = run;
      const calledToItsEnd =
        plan !== undefined && run.level >= plan.levels.length && run.round >= plan.repeats;
      if (run.ended || calledToItsEnd) {
        run.ended = false;
        run.round = 0;
        run.level = 0;
        run.plan = undefined;
      }
      run.armed = true;
      run.escalated = true;
      run.dueMs = nowMs;
    }
  }

  stop(): void {
    this.over = true;
  }

  private drive(run: PolicyRun): void {
    void this.run(run);
  }

  private async run(run: PolicyRun): Promise<void> {
    while (!this.over) {
      if (!run.armed || run.ended) {
        await condition(() => this.over || (run.armed && !run.ended));
        continue;
      }
      const dueMs = run.dueMs;
      if (dueMs > Date.now()) {
        // A timer, or whatever changes the plan: an acknowledgement, a level that refuses, a person in a hurry.
        await condition(() => this.over || !run.armed || run.dueMs !== dueMs, dueMs - Date.now());
        continue;
      }
      if (run.plan !== undefined && run.level >= run.plan.levels.length) await this.endRound(run);
      else await this.callLevel(run);
    }
  }

  private async callLevel(run: PolicyRun): Promise<void> {
    const { request } = run;
    if (run.plan === undefined) {
      try {
        run.plan = await this.sender.guarded(() => pagers.resolvePolicy({ policy: run.name }));
      } catch (error) {
        run.ended = true;
        if (isCancellation(error)) return;
        const problem = readFailure(error).message;
        await this.sender.report({ requestId: request.id, role: policyAsRole(run.name), level: 0, problem });
        return;
      }
      if (this.over || !run.armed) return;
    }
    const level = run.plan.levels[run.level];
    if (level === undefined) return;
    const page = this.pageOf(run);
    const number = run.calls;
    run.level++;
    run.calls++;
    if (run.calls >= MAX_ESCALATIONS) run.ended = true;
    run.dueMs = Date.now() + level.afterMs;
    const dueMs = run.dueMs;
    const more = run.escalated && { escalated: run.escalated };
    const results = level.roles.map((role) => this.sender.send(page, role, number, more));
    for (const result of results) {
      void result.then((outcome) => {
        if (outcome === 'accepted') run.accepted = true;
      });
    }
    // Nobody of this level can be reached: the next one is not kept waiting.
    void Promise.all(results).then((outcomes) => {
      if (this.over || run.dueMs !== dueMs || !outcomes.every((outcome) => outcome === 'refused')) return;
      if (run.plan !== undefined && run.level < run.plan.levels.length) run.dueMs = Date.now();
      else void this.fallOver(run);
    });
  }

  private async endRound(run: PolicyRun): Promise<void> {
    const { plan, request } = run;
    void this.fallOver(run);
    if (plan === undefined || run.round >= plan.repeats) {
      run.ended = true;
      await this.sender.report({
        requestId: request.id,
        role: policyAsRole(run.name),
        level: run.calls,
        exhausted: true,
        problem: run.escalated
          ? `nobody has taken over after ${run.calls} calls`
          : `nobody has acknowledged after ${run.calls} calls`,
      });
      return;
    }
    run.round++;
    run.level = 0;
    run.plan = undefined;
  }

  /** Once, where nobody was reached: at the end of a round, or as soon as the last level has refused. */
  private async fallOver(run: PolicyRun): Promise<void> {
    const fallOver = run.plan?.fallOver;
    if (fallOver === undefined || run.accepted || run.fellOver || !run.armed) return;
    run.fellOver = true;
    const page = this.pageOf(run);
    if ('role' in fallOver) {
      const sending = this.sender.send(page, fallOver.role, run.calls, { fallOver: true });
      void sending.then((outcome) => {
        if (outcome === 'accepted') run.accepted = true;
      });
      return;
    }
    const about = { requestId: run.request.id, role: `channel ${fallOver.channel}`, level: run.calls };
    try {
      const { reference } = await this.sender.guarded(() =>
        vendors(FALL_OVER_ATTEMPTS).sendNotification({
          incidentId: this.sender.incidentId,
          key: `${page.dedupKey}-fall-over`,
          channel: fallOver.channel,
          title: `Nobody could be paged: ${run.request.title}`,
          severity: page.severity,
          text: Object.entries(page.details)
            .map(([name, value]) => `${name}: ${value}`)
            .join('\n'),
        }),
      );
      const accepted = { channel: fallOver.channel, atMs: Date.now(), reference };
      await this.sender.report({ ...about, fallOver: true, accepted });
    } catch (error) {
      if (isCancellation(error)) return;
      await this.sender.report({ ...about, fallOver: true, problem: readFailure(error).message });
    }
  }

  /** A key of its own for each call but the first: a vendor that dedupes would wake nobody again. */
  private pageOf({ request, calls, escalated }: PolicyRun): PageRequest {
    if (calls === 0) return request;
    return {
      ...request,
      title: titleAgain(request, escalated === true),
      dedupKey: `${request.dedupKey}-${request.id}-again-${calls}`,
    };
  }
}
