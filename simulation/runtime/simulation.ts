import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  defaultPayloadConverter,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import proto, { type coresdk, type temporal } from '@temporalio/proto';
import { failureConverter } from '../../worker/codec/failure-converter.ts';
import { Clock, type Due } from './clock.ts';
import { type Job, Sandbox, type SandboxedRun, timestamp } from './sandbox.ts';

type Payload = temporal.api.common.v1.IPayload;
type Failure = temporal.api.failure.v1.IFailure;
type Command = coresdk.workflow_commands.IWorkflowCommand;
type ScheduleActivity = coresdk.workflow_commands.IScheduleActivity;

/** What an activity is asked, each time that it is tried. */
export interface ActivityCall {
  type: string;
  taskQueue: string;
  /** Its only argument. */
  input: unknown;
  workflowId: string;
  attempt: number;
  nowMs: number;
}

interface ActivityAnswer {
  result?: unknown;
  /** Virtual time that it took; 0 where it is not given. */
  tookMs?: number;
}

/** Answers activities. Fails by throwing an ApplicationFailure, or `FailsAfter` where failing takes time. */
export type ActivityHandler = (call: ActivityCall) => Promise<ActivityAnswer>;

/** A failure that is known only after some virtual time. */
export class FailsAfter extends Error {
  readonly tookMs: number;
  readonly failure: ApplicationFailure;
  constructor(tookMs: number, failure: ApplicationFailure) {
    super(failure.message);
    this.tookMs = tookMs;
    this.failure = failure;
  }
}

export interface SimulationOptions {
  bundlePath: string;
  startMs: number;
  taskQueue?: string;
  activities: ActivityHandler;
}

/** Workflow code went wrong: in production its task would be retried for ever. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}

// Values of enums in the protocol (temporal/sdk/core/*.proto).
const WAIT_CANCELLATION_COMPLETED = 1;
const CLOSE_POLICY = { terminate: 1, abandon: 2, requestCancel: 3 } as const;
const CHILD_ALREADY_EXISTS = 1;
/** The server's defaults where a retry policy leaves them out. */
const DEFAULT_RETRY = { initialMs: 1_000, backoff: 2, maxFactor: 100 };
/** Length of a run's history at which the server suggests to continue as new. */
const SUGGEST_CONTINUE_AT = 4_096;
/** Events of a history that one activation stands for on average; only decides when continue-as-new is suggested. */
const EVENTS_AN_ACTIVATION = 5;

interface Activity {
  command: ScheduleActivity;
  scheduledMs: number;
  due: Due | undefined;
}

interface Run {
  workflowId: string;
  runId: string;
  workflowType: string;
  args: Payload[];
  sandboxed: SandboxedRun | undefined;
  jobs: Job[];
  queued: boolean;
  open: boolean;
  historyLength: number;
  timers: Map<number, Due>;
  activities: Map<number, Activity>;
  children: Map<number, Run>;
  parent: { run: Run; seq: number; closePolicy: number } | undefined;
  updates: Map<
    string,
    { accept: () => void; resolve: (value: unknown) => void; reject: (error: unknown) => void }
  >;
}

interface SimulationStats {
  activations: number;
  activities: number;
}

/**
 * Runs workflows in Temporal's own sandbox with the part of server and SDK core that they need: timers, activities with
 * their retries and timeouts, children, signals, updates, queries, continue-as-new, all over virtual time. One thing
 * happens after the other, so that the same input always gives the same output.
 */
export class Simulation {
  readonly stats: SimulationStats = { activations: 0, activities: 0 };
  private readonly clock: Clock;
  private readonly sandbox: Sandbox;
  private readonly answer: ActivityHandler;
  private readonly taskQueue: string;
  /** The latest run of each workflow id. */
  private readonly runs = new Map<string, Run>();
  private readonly ready: Run[] = [];
  private readonly everyRun: Run[] = [];
  private runCount = 0;
  private updateCount = 0;
  /** Actions that have not ended: they wait for an update, say. */
  private unfinished = 0;
  private problem: SimulationError | undefined;

  constructor(options: SimulationOptions) {
    this.clock = new Clock(options.startMs);
    this.sandbox = Sandbox.load(options.bundlePath);
    this.answer = options.activities;
    this.taskQueue = options.taskQueue ?? 'firebreak';
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  /** Calls back at this virtual time; what is due at the same time happens in the order in which it was asked for. */
  at(timeMs: number, action: () => void | Promise<void>): void {
    this.clock.at(timeMs, async () => {
      const ended = action();
      if (!ended) return;
      // It may wait for what only happens later, so it is not waited for; a failing one ends the simulation.
      this.unfinished++;
      ended
        .catch((error: unknown) => {
          const message = error instanceof Error ? error.message : String(error);
          this.problem ??= new SimulationError(message, { cause: error });
        })
        .finally(() => {
          this.unfinished--;
        });
      await macrotask();
    });
  }

  /** Starts the workflow unless it runs, then signals it. */
  signalWithStart(start: {
    workflowType: string;
    workflowId: string;
    args: unknown[];
    signal: string;
    signalArgs: unknown[];
  }): void {
    const running = this.running(start.workflowId);
    const run =
      running ?? this.start(start.workflowId, start.workflowType, toPayloads(start.args), undefined);
    this.push(run, {
      signalWorkflow: { signalName: start.signal, input: toPayloads(start.signalArgs), headers: {} },
    });
  }

  /** @returns false where no such workflow runs. */
  signal(workflowId: string, name: string, args: unknown[]): boolean {
    const run = this.running(workflowId);
    if (!run) return false;
    this.push(run, { signalWorkflow: { signalName: name, input: toPayloads(args), headers: {} } });
    return true;
  }

  /** Sends an update, validator first. @throws the failure with which the workflow refused it or it ended. */
  update(workflowId: string, name: string, args: unknown[]): Promise<unknown> {
    const run = this.running(workflowId);
    if (!run)
      return Promise.reject(
        ApplicationFailure.nonRetryable(`workflow ${workflowId} does not run`, 'NotFound'),
      );
    const id = `update-${++this.updateCount}`;
    return new Promise((resolve, reject) => {
      run.updates.set(id, { accept: () => undefined, resolve, reject });
      this.push(run, {
        doUpdate: {
          id,
          protocolInstanceId: id,
          name,
          input: toPayloads(args),
          headers: {},
          meta: { identity: 'simulation', updateId: id },
          runValidator: true,
        },
      });
    });
  }

  /** Asks the latest run of a workflow, running or ended. */
  async query(workflowId: string, name: string, args: unknown[] = []): Promise<unknown> {
    const run = this.runs.get(workflowId);
    if (!run?.sandboxed) throw new SimulationError(`there is no workflow ${workflowId} to ask`);
    const completion = await run.sandboxed.activate(
      // Only a message of its own class knows which kind of job it holds.
      proto.coresdk.workflow_activation.WorkflowActivation.fromObject({
        runId: run.runId,
        timestamp: timestamp(this.nowMs),
        jobs: [
          { queryWorkflow: { queryId: 'q', queryType: name, arguments: toPayloads(args), headers: {} } },
        ],
      }),
    );
    const answer = completion.successful?.commands?.[0]?.respondToQuery;
    if (answer?.succeeded?.response) return defaultPayloadConverter.fromPayload(answer.succeeded.response);
    throw new SimulationError(
      `${workflowId} did not answer ${name}: ${answer?.failed?.message ?? 'no answer'}`,
    );
  }

  isRunning(workflowId: string): boolean {
    return this.running(workflowId) !== undefined;
  }

  /**
   * Lets time pass until `done` says so (it is asked after each moment in which something happened), nothing is left to
   * happen, or `untilMs` is reached.
   * @throws SimulationError where workflow code went wrong.
   */
  async run(options: {
    untilMs: number;
    done?: () => boolean | Promise<boolean>;
  }): Promise<'done' | 'idle' | 'limit'> {
    for (;;) {
      await this.settle();
      const next = this.clock.peekMs();
      if (next !== this.nowMs && options.done && (await options.done())) return 'done';
      if (next === undefined) return 'idle';
      if (next > options.untilMs) {
        this.clock.nowMs = Math.max(this.nowMs, options.untilMs);
        return 'limit';
      }
      await this.clock.next()?.run();
    }
  }

  async dispose(): Promise<void> {
    for (const run of this.everyRun) await run.sandboxed?.dispose();
    await this.sandbox.destroy();
  }

  // --- what happens ---

  /** Activates workflows until none has anything to do at this moment. */
  private async settle(): Promise<void> {
    for (;;) {
      if (this.problem) throw this.problem;
      const run = this.ready.shift();
      if (!run) {
        if (this.unfinished === 0) return;
        // What was just answered may go on and ask for more.
        await macrotask();
        if (this.ready.length === 0) {
          if (this.problem) throw this.problem;
          return;
        }
        continue;
      }
      run.queued = false;
      await this.activate(run);
    }
  }

  private push(run: Run, job: Job): void {
    if (!run.open) return;
    run.jobs.push(job);
    if (run.queued) return;
    run.queued = true;
    this.ready.push(run);
  }

  private async activate(run: Run): Promise<void> {
    if (!run.open) return;
    const jobs = run.jobs.splice(0);
    if (jobs.length === 0) return;
    run.sandboxed ??= await this.sandbox.create({
      workflowId: run.workflowId,
      runId: run.runId,
      workflowType: run.workflowType,
      taskQueue: this.taskQueue,
      startMs: this.nowMs,
      ...(run.parent
        ? { parent: { workflowId: run.parent.run.workflowId, runId: run.parent.run.runId } }
        : {}),
    });
    this.stats.activations++;
    run.historyLength += EVENTS_AN_ACTIVATION;
    const completion = await run.sandboxed.activate({
      runId: run.runId,
      timestamp: timestamp(this.nowMs),
      isReplaying: false,
      historyLength: run.historyLength,
      continueAsNewSuggested: run.historyLength >= SUGGEST_CONTINUE_AT,
      jobs,
    } as never);
    await run.sandboxed.getAndResetSinkCalls();
    if (completion.failed) {
      const { failure } = completion.failed;
      const error = failure ? failureConverter.failureToError(failure, defaultPayloadConverter) : undefined;
      throw new SimulationError(
        `workflow ${run.workflowId} went wrong: ${error?.message ?? 'unknown reason'}`,
        {
          cause: error,
        },
      );
    }
    for (const command of completion.successful?.commands ?? []) await this.execute(run, command);
  }

  private async execute(run: Run, command: Command): Promise<void> {
    if (command.startTimer) {
      const { seq, startToFireTimeout } = command.startTimer;
      const id = seq ?? 0;
      run.timers.set(
        id,
        this.clock.at(this.nowMs + durationMs(startToFireTimeout), () => {
          run.timers.delete(id);
          this.push(run, { fireTimer: { seq: id } });
        }),
      );
    } else if (command.cancelTimer) {
      cancel(run.timers, command.cancelTimer.seq ?? 0);
    } else if (command.scheduleActivity) {
      this.schedule(run, command.scheduleActivity);
    } else if (command.requestCancelActivity) {
      this.cancelActivity(run, command.requestCancelActivity.seq ?? 0);
    } else if (command.startChildWorkflowExecution) {
      this.startChild(run, command.startChildWorkflowExecution);
    } else if (command.cancelChildWorkflowExecution) {
      const child = run.children.get(command.cancelChildWorkflowExecution.childWorkflowSeq ?? 0);
      if (child) this.push(child, { cancelWorkflow: { reason: 'cancelled by its parent' } });
    } else if (command.signalExternalWorkflowExecution) {
      this.signalExternal(run, command.signalExternalWorkflowExecution);
    } else if (command.requestCancelExternalWorkflowExecution) {
      const { seq, workflowExecution } = command.requestCancelExternalWorkflowExecution;
      const other = this.running(workflowExecution?.workflowId ?? '');
      if (other) this.push(other, { cancelWorkflow: { reason: 'cancelled by another workflow' } });
      this.push(run, {
        resolveRequestCancelExternalWorkflow: {
          seq,
          ...(other ? {} : { failure: notFound(workflowExecution?.workflowId) }),
        },
      });
    } else if (command.updateResponse) {
      this.answerUpdate(run, command.updateResponse);
    } else if (command.completeWorkflowExecution) {
      this.close(run, { completed: { result: command.completeWorkflowExecution.result } });
    } else if (command.failWorkflowExecution) {
      const failure = command.failWorkflowExecution.failure ?? {};
      this.close(run, { failed: { failure } });
      if (!run.parent) {
        const error = failureConverter.failureToError(failure, defaultPayloadConverter);
        throw new SimulationError(`workflow ${run.workflowId} failed: ${error.message}`, { cause: error });
      }
    } else if (command.cancelWorkflowExecution) {
      this.close(run, { cancelled: { failure: toFailure(new CancelledFailure('cancelled')) } });
    } else if (command.continueAsNewWorkflowExecution) {
      this.continueAsNew(run, command.continueAsNewWorkflowExecution);
    }
    // Search attributes, memos and patch markers are for the server's lists and for replay: nothing to do here.
  }

  // --- workflows ---

  private running(workflowId: string): Run | undefined {
    const run = this.runs.get(workflowId);
    return run?.open ? run : undefined;
  }

  private start(workflowId: string, workflowType: string, args: Payload[], parent: Run['parent']): Run {
    const number = String(++this.runCount).padStart(12, '0');
    const run: Run = {
      workflowId,
      workflowType,
      args,
      // A UUID as the server makes them, with the number at its end: incident ids show the end.
      runId: `01900000-0000-7000-8000-${number}`,
      sandboxed: undefined,
      jobs: [],
      queued: false,
      open: true,
      historyLength: 0,
      timers: new Map(),
      activities: new Map(),
      children: new Map(),
      parent,
      updates: new Map(),
    };
    this.runs.set(workflowId, run);
    this.everyRun.push(run);
    this.push(run, {
      initializeWorkflow: {
        workflowId,
        workflowType,
        arguments: args,
        headers: {},
        attempt: 1,
        firstExecutionRunId: run.runId,
        startTime: timestamp(this.nowMs),
      } as never,
    });
    return run;
  }

  private startChild(parent: Run, command: coresdk.workflow_commands.IStartChildWorkflowExecution): void {
    const seq = command.seq ?? 0;
    const workflowId = command.workflowId ?? '';
    if (this.running(workflowId)) {
      this.push(parent, {
        resolveChildWorkflowExecutionStart: {
          seq,
          failed: { workflowId, workflowType: command.workflowType, cause: CHILD_ALREADY_EXISTS as never },
        },
      });
      return;
    }
    const closePolicy = Number(command.parentClosePolicy ?? CLOSE_POLICY.terminate);
    const child = this.start(workflowId, command.workflowType ?? '', command.input ?? [], {
      run: parent,
      seq,
      closePolicy,
    });
    parent.children.set(seq, child);
    this.push(parent, { resolveChildWorkflowExecutionStart: { seq, succeeded: { runId: child.runId } } });
  }

  private close(run: Run, result: coresdk.child_workflow.IChildWorkflowResult): void {
    this.end(run);
    for (const child of [...run.children.values()]) {
      if (!child.open || child.parent?.run !== run) continue;
      const { closePolicy } = child.parent;
      if (closePolicy === CLOSE_POLICY.requestCancel) {
        this.push(child, { cancelWorkflow: { reason: 'its parent has ended' } });
      } else if (closePolicy !== CLOSE_POLICY.abandon) {
        this.close(child, { failed: { failure: toFailure(new TerminatedFailure('its parent has ended')) } });
      }
    }
    this.tellParent(run, result);
  }

  private tellParent(run: Run, result: coresdk.child_workflow.IChildWorkflowResult): void {
    const { parent } = run;
    if (!parent?.run.open || parent.run.children.get(parent.seq) !== run) return;
    parent.run.children.delete(parent.seq);
    const told = result.failed
      ? { failed: { failure: childFailure(run, result.failed.failure) } }
      : result.cancelled
        ? { cancelled: { failure: childFailure(run, result.cancelled.failure) } }
        : result;
    this.push(parent.run, { resolveChildWorkflowExecution: { seq: parent.seq, result: told } });
  }

  private end(run: Run): void {
    run.open = false;
    for (const due of run.timers.values()) due.cancelled = true;
    for (const { due } of run.activities.values()) if (due) due.cancelled = true;
    for (const waiting of run.updates.values()) {
      waiting.reject(ApplicationFailure.nonRetryable('the workflow ended before it answered', 'NotFound'));
    }
  }

  private continueAsNew(run: Run, command: coresdk.workflow_commands.IContinueAsNewWorkflowExecution): void {
    const later = run.jobs.filter((job) => job.signalWorkflow);
    this.end(run);
    const next = this.start(
      run.workflowId,
      command.workflowType || run.workflowType,
      command.arguments ?? [],
      run.parent,
    );
    if (run.parent) run.parent.run.children.set(run.parent.seq, next);
    for (const job of later) this.push(next, job);
  }

  private signalExternal(
    run: Run,
    command: coresdk.workflow_commands.ISignalExternalWorkflowExecution,
  ): void {
    const workflowId = command.workflowExecution?.workflowId ?? command.childWorkflowId ?? '';
    const other = this.running(workflowId);
    if (other) {
      this.push(other, {
        signalWorkflow: { signalName: command.signalName, input: command.args ?? [], headers: {} },
      });
    }
    this.push(run, {
      resolveSignalExternalWorkflow: {
        seq: command.seq,
        ...(other ? {} : { failure: notFound(workflowId) }),
      },
    });
  }

  private answerUpdate(run: Run, response: coresdk.workflow_commands.IUpdateResponse): void {
    const id = response.protocolInstanceId ?? '';
    const waiting = run.updates.get(id);
    if (!waiting || response.accepted) return;
    run.updates.delete(id);
    if (response.rejected) {
      waiting.reject(failureConverter.failureToError(response.rejected, defaultPayloadConverter));
    } else if (response.completed) {
      waiting.resolve(defaultPayloadConverter.fromPayload(response.completed));
    }
  }

  // --- activities ---

  private schedule(run: Run, command: ScheduleActivity): void {
    const activity: Activity = { command, scheduledMs: this.nowMs, due: undefined };
    run.activities.set(command.seq ?? 0, activity);
    this.attempt(run, activity, 1, this.nowMs);
  }

  private attempt(run: Run, activity: Activity, attempt: number, startMs: number): void {
    activity.due = this.clock.at(startMs, async () => {
      this.stats.activities++;
      const { command } = activity;
      const startToCloseMs = durationMs(command.startToCloseTimeout) || Number.POSITIVE_INFINITY;
      let tookMs = 0;
      let outcome: { result: unknown } | { failure: Error };
      try {
        const answer = await this.answer({
          type: command.activityType ?? '',
          taskQueue: command.taskQueue ?? '',
          input: fromPayload(command.arguments?.[0]),
          workflowId: run.workflowId,
          attempt,
          nowMs: this.nowMs,
        });
        tookMs = answer.tookMs ?? 0;
        outcome = { result: answer.result };
      } catch (error) {
        if (error instanceof FailsAfter) {
          tookMs = error.tookMs;
          outcome = { failure: error.failure };
        } else if (error instanceof ApplicationFailure) outcome = { failure: error };
        else throw error;
      }
      if (tookMs > startToCloseMs) {
        tookMs = startToCloseMs;
        outcome = {
          failure: new TimeoutFailure('activity StartToClose timeout', undefined, 'START_TO_CLOSE'),
        };
      }
      // It was cancelled while it was answering.
      if (!run.open || !run.activities.has(command.seq ?? 0)) return;
      activity.due = this.clock.at(this.nowMs + tookMs, () => this.finish(run, activity, attempt, outcome));
    });
  }

  private finish(
    run: Run,
    activity: Activity,
    attempt: number,
    outcome: { result: unknown } | { failure: Error },
  ): void {
    const { command } = activity;
    const seq = command.seq ?? 0;
    if ('result' in outcome) {
      run.activities.delete(seq);
      const [result] = toPayloads([outcome.result]);
      this.push(run, { resolveActivity: { seq, result: { completed: { result } } } });
      return;
    }
    const delayMs = retryDelayMs(command, activity.scheduledMs, attempt, outcome.failure, this.nowMs);
    if (delayMs !== undefined) {
      this.attempt(run, activity, attempt + 1, this.nowMs + delayMs);
      return;
    }
    run.activities.delete(seq);
    this.push(run, {
      resolveActivity: { seq, result: { failed: { failure: activityFailure(command, outcome.failure) } } },
    });
  }

  private cancelActivity(run: Run, seq: number): void {
    const activity = run.activities.get(seq);
    if (!activity) return;
    const { cancellationType } = activity.command;
    // One that is under way and is waited for ends by itself: what it did must be known.
    if (Number(cancellationType) === WAIT_CANCELLATION_COMPLETED && activity.due && !activity.due.cancelled) {
      const started = activity.due.atMs > this.nowMs;
      if (started) return;
    }
    if (activity.due) activity.due.cancelled = true;
    run.activities.delete(seq);
    this.push(run, {
      resolveActivity: {
        seq,
        result: {
          cancelled: { failure: activityFailure(activity.command, new CancelledFailure('cancelled')) },
        },
      },
    });
  }
}

/** Lets promises that are due now go on. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function cancel(timers: Map<number, Due>, seq: number): void {
  const due = timers.get(seq);
  if (due) due.cancelled = true;
  timers.delete(seq);
}

function toPayloads(values: unknown[]): Payload[] {
  return values.map((value) => defaultPayloadConverter.toPayload(value));
}

function fromPayload(payload: Payload | undefined): unknown {
  return payload === undefined ? undefined : defaultPayloadConverter.fromPayload(payload);
}

function toFailure(error: Error): Failure {
  return failureConverter.errorToFailure(error, defaultPayloadConverter);
}

function activityFailure(command: ScheduleActivity, cause: Error): Failure {
  return toFailure(
    new ActivityFailure(
      'activity failed',
      command.activityType ?? '',
      command.activityId ?? undefined,
      'NON_RETRYABLE_FAILURE' as never,
      '',
      cause,
    ),
  );
}

function childFailure(run: Run, cause: Failure | null | undefined): Failure {
  const wrapper = toFailure(
    new ChildWorkflowFailure(
      'default',
      { workflowId: run.workflowId, runId: run.runId },
      run.workflowType,
      'NON_RETRYABLE_FAILURE' as never,
    ),
  );
  return { ...wrapper, cause: cause ?? null };
}

function notFound(workflowId: string | null | undefined): Failure {
  return toFailure(ApplicationFailure.nonRetryable(`workflow ${workflowId} does not run`, 'NotFound'));
}

function durationMs(duration: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return duration ? tsToMs(duration as never) : 0;
}

/** As the server decides it (https://docs.temporal.io/encyclopedia/retry-policies); undefined: no further attempt. */
function retryDelayMs(
  command: ScheduleActivity,
  scheduledMs: number,
  attempt: number,
  failure: Error,
  nowMs: number,
): number | undefined {
  const policy = command.retryPolicy;
  const maximum = policy?.maximumAttempts ?? 0;
  if (maximum > 0 && attempt >= maximum) return undefined;
  if (failure instanceof ApplicationFailure) {
    if (failure.nonRetryable) return undefined;
    if (failure.type && policy?.nonRetryableErrorTypes?.includes(failure.type)) return undefined;
  }
  const initialMs = durationMs(policy?.initialInterval) || DEFAULT_RETRY.initialMs;
  const longestMs = durationMs(policy?.maximumInterval) || initialMs * DEFAULT_RETRY.maxFactor;
  const backoff = policy?.backoffCoefficient || DEFAULT_RETRY.backoff;
  const own = failure instanceof ApplicationFailure ? failure.nextRetryDelay : undefined;
  const delayMs =
    own === undefined || own === null
      ? Math.min(initialMs * backoff ** (attempt - 1), longestMs)
      : Number(own);
  const limitMs = durationMs(command.scheduleToCloseTimeout);
  if (limitMs > 0 && nowMs + delayMs >= scheduledMs + limitMs) return undefined;
  return delayMs;
}
