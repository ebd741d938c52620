import { ApplicationFailure, CancelledFailure, type RetryState, TimeoutFailure } from '@temporalio/common';
import type { coresdk } from '@temporalio/proto';
import type { ActivityTask } from './activity-task.ts';
import type { Execution } from './execution.ts';
import type { Host } from './host.ts';
import { activityFailure, decode, durationMs, encodeOne, eventBytes, type Failure } from './payloads.ts';
import { readRetryPolicy, retryAfter } from './retry.ts';
import { type ActivityHandler, FailsAfter } from './types.ts';

type Scheduled = coresdk.workflow_commands.IScheduleActivity;
type Resolution = coresdk.activity_result.IActivityResolution;

// coresdk.workflow_commands.ActivityCancellationType
const WAIT_CANCELLATION_COMPLETED = 1;
const ABANDON = 2;

/** What came of an attempt. */
type Outcome = { result: unknown } | { error: Error };

/** Activities as server and worker run them together: attempts, timeouts, retries, cancellation. */
export class Activities {
  private readonly host: Host;
  private readonly handler: ActivityHandler;

  constructor(host: Host, handler: ActivityHandler) {
    this.host = host;
    this.handler = handler;
  }

  schedule(execution: Execution, command: Scheduled): void {
    const { clock } = this.host;
    const scheduleToCloseMs = durationMs(command.scheduleToCloseTimeout);
    const task: ActivityTask = {
      execution,
      seq: command.seq ?? 0,
      activityId: command.activityId ?? '',
      type: command.activityType ?? '',
      taskQueue: command.taskQueue || this.host.taskQueue,
      input: command.arguments ?? [],
      cancellationType: command.cancellationType ?? 0,
      startToCloseMs: durationMs(command.startToCloseTimeout) ?? scheduleToCloseMs,
      closesAtMs: scheduleToCloseMs === undefined ? undefined : clock.nowMs + scheduleToCloseMs,
      heartbeats: durationMs(command.heartbeatTimeout) !== undefined,
      policy: readRetryPolicy(command.retryPolicy),
      attempt: 0,
      started: false,
      due: undefined,
      timeout: undefined,
      cancelRequested: false,
      abort: new AbortController(),
      settled: false,
    };
    execution.activities.set(task.seq, task);
    this.host.count(execution, 1, eventBytes(task.input));
    this.startAt(task, clock.nowMs);
  }

  cancel(execution: Execution, seq: number): void {
    const task = execution.activities.get(seq);
    if (!task || task.cancelRequested) return;
    task.cancelRequested = true;
    if (task.cancellationType === ABANDON) {
      // It goes on, unheard.
      this.resolveCancelled(task);
      return;
    }
    this.host.count(execution, 1, eventBytes([]));
    if (!task.started) {
      // The server cancels what no worker has taken yet, whether it is waited for or not.
      this.stop(task);
      this.resolveCancelled(task);
      return;
    }
    if (task.cancellationType !== WAIT_CANCELLATION_COMPLETED) this.resolveCancelled(task);
    if (task.heartbeats) task.abort.abort(new CancelledFailure('CANCELLED'));
  }

  /** The workflow has closed: attempts under way go on unheard, and nothing is tried again. */
  forget(execution: Execution): void {
    for (const task of execution.activities.values()) {
      task.settled = true;
      this.stop(task);
    }
    execution.activities.clear();
  }

  private stop(task: ActivityTask): void {
    if (task.due) task.due.cancelled = true;
    if (task.timeout) task.timeout.cancelled = true;
  }

  private startAt(task: ActivityTask, atMs: number): void {
    task.started = false;
    task.due = this.host.clock.at(atMs, () => this.start(task));
  }

  private async start(task: ActivityTask): Promise<void> {
    const { clock, turns, stats } = this.host;
    task.due = undefined;
    // An abandoned one ends with its workflow, too.
    if (task.execution.status !== 'running') return;
    task.started = true;
    const attempt = ++task.attempt;
    const startedMs = clock.nowMs;
    stats.activities++;
    let answered = false;
    /** An attempt ends once: by its answer or by its timeout, whichever is due first. */
    const endsAt = (atMs: number, outcome: Outcome) => {
      answered = true;
      if (task.attempt !== attempt || !task.started) return;
      const end = () => this.end(task, outcome);
      const limit = this.limitOf(task, startedMs);
      if (limit !== undefined && atMs > limit.atMs) {
        task.timeout ??= clock.at(limit.atMs, () => this.end(task, { error: limit.error }));
      } else if (Number.isFinite(atMs)) {
        task.due = clock.at(atMs, end);
      }
    };
    await turns.take(async () => {
      try {
        const { result, tookMs = 0 } = await this.handler({
          type: task.type,
          taskQueue: task.taskQueue,
          input: decode(task.input)[0],
          workflowId: task.execution.workflowId,
          attempt,
          nowMs: startedMs,
          cancelled: task.abort.signal,
        });
        endsAt(Math.max(startedMs + tookMs, clock.nowMs), { result });
      } catch (error) {
        const tookMs = error instanceof FailsAfter ? error.tookMs : 0;
        const failure = error instanceof FailsAfter ? error.failure : error;
        // Anything else is a mistake in the handler, which retries would hide.
        if (!(failure instanceof ApplicationFailure || failure instanceof CancelledFailure)) throw error;
        endsAt(Math.max(startedMs + tookMs, clock.nowMs), { error: failure });
      }
    });
    if (answered || task.settled) return;
    // The handler waits in virtual time: its attempt ends at its limit, if it does not before.
    const limit = this.limitOf(task, startedMs);
    if (limit) task.timeout = clock.at(limit.atMs, () => this.end(task, { error: limit.error }));
  }

  private limitOf(
    task: ActivityTask,
    startedMs: number,
  ): { atMs: number; error: TimeoutFailure } | undefined {
    const startToClose =
      task.startToCloseMs === undefined ? Number.POSITIVE_INFINITY : startedMs + task.startToCloseMs;
    const scheduleToClose = task.closesAtMs ?? Number.POSITIVE_INFINITY;
    const atMs = Math.min(startToClose, scheduleToClose);
    if (!Number.isFinite(atMs)) return undefined;
    const error =
      startToClose < scheduleToClose
        ? new TimeoutFailure('activity StartToClose timeout', undefined, 'START_TO_CLOSE')
        : new TimeoutFailure('activity ScheduleToClose timeout', undefined, 'SCHEDULE_TO_CLOSE');
    return { atMs, error };
  }

  private end(task: ActivityTask, outcome: Outcome): void {
    this.stop(task);
    task.due = undefined;
    task.timeout = undefined;
    task.started = false;
    if ('result' in outcome) {
      this.resolve(task, { completed: { result: encodeOne(outcome.result) } });
      return;
    }
    const { error } = outcome;
    if (error instanceof CancelledFailure && task.cancelRequested) {
      this.resolveCancelled(task);
      return;
    }
    const abandoned = task.cancelRequested && task.cancellationType === ABANDON;
    const failure =
      error instanceof CancelledFailure
        ? ApplicationFailure.retryable(error.message, 'CancelledFailure')
        : error;
    const next =
      task.cancelRequested && !abandoned
        ? ({ again: false, retryState: 'CANCEL_REQUESTED' } as const)
        : retryAfter(task.policy, task.attempt, failure);
    const startMs = this.host.clock.nowMs + (next.again ? next.delayMs : 0);
    if (!next.again) {
      this.fail(task, next.retryState, failure);
    } else if (task.closesAtMs !== undefined && startMs >= task.closesAtMs) {
      // The server does not wait for the limit when the next attempt would be beyond it.
      this.fail(task, 'TIMEOUT', failure);
    } else {
      this.startAt(task, startMs);
    }
  }

  private fail(task: ActivityTask, retryState: RetryState, error: Error): void {
    this.resolve(task, { failed: { failure: activityFailure(task, retryState, error) } });
  }

  private resolveCancelled(task: ActivityTask): void {
    const failure: Failure = activityFailure(
      task,
      'CANCEL_REQUESTED',
      new CancelledFailure('Activity cancelled'),
    );
    this.resolve(task, { cancelled: { failure } });
  }

  private resolve(task: ActivityTask, result: Resolution): void {
    if (task.settled) return;
    task.settled = true;
    task.execution.activities.delete(task.seq);
    const payloads = result.completed?.result ? [result.completed.result] : [];
    // Started and ended.
    this.host.count(task.execution, 1, eventBytes([]));
    this.host.deliver(task.execution, { resolveActivity: { seq: task.seq, result } }, eventBytes(payloads));
  }
}
