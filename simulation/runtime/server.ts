import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { msNumberToTs } from '@temporalio/common/lib/time.js';
import { Activities } from './activities.ts';
import { Children } from './children.ts';
import { Clock } from './clock.ts';
import { carryOut } from './commands.ts';
import { type Ending, type Execution, inOrder, type Job, type Payloads } from './execution.ts';
import type { Host, StartOptions } from './host.ts';
import { eventBytes, toError } from './payloads.ts';
import type { Completion, Sandbox, SandboxedWorkflow } from './sandbox.ts';
import { Turns } from './turns.ts';
import {
  SimulationError,
  type SimulationFailure,
  type SimulationLog,
  type SimulationOptions,
  type SimulationStats,
} from './types.ts';

/** Defaults of the server's limit.historyCount.suggestContinueAsNew and limit.historySize.suggestContinueAsNew. */
const SUGGEST_AT_EVENTS = 4_096;
const SUGGEST_AT_BYTES = 4 * 1_024 * 1_024;
/** Scheduled, started and completed. */
const EVENTS_OF_A_TASK = 3;
const TASK_BYTES = 400;
/** A seed of the server is a 64-bit number. */
const SEED_BYTES = 8;
/** Log levels that are kept. */
const KEPT_LEVELS = new Set(['info', 'warn', 'error']);

/** The part of the Temporal server and of the SDK's core that workflows see, over virtual time. */
export class Server implements Host {
  readonly clock: Clock;
  readonly turns = new Turns();
  readonly activities: Activities;
  readonly children: Children;
  readonly taskQueue: string;
  readonly stats: SimulationStats = { activations: 0, activities: 0 };
  readonly failures: SimulationFailure[] = [];
  readonly logs: SimulationLog[] = [];
  /** The latest run of each workflow id. */
  private readonly latest = new Map<string, Execution>();
  /** Runs with jobs for a workflow task, in order. */
  private ready: Execution[] = [];
  /** Sandboxed runs that others have taken the place of. */
  private readonly discarded: SandboxedWorkflow[] = [];
  private readonly sandbox: Sandbox;
  private readonly failuresEnd: boolean;
  private made = 0;
  /** Why nothing that follows can be known. */
  broken: SimulationError | undefined;

  constructor(options: SimulationOptions, sandbox: Sandbox) {
    this.clock = new Clock(options.startMs);
    this.sandbox = sandbox;
    this.taskQueue = options.taskQueue ?? 'firebreak';
    this.failuresEnd = options.failedWorkflows !== 'go-on';
    this.activities = new Activities(this, options.activities);
    this.children = new Children(this);
  }

  find(workflowId: string): Execution | undefined {
    return this.latest.get(workflowId);
  }

  running(workflowId: string, runId?: string | null): Execution | undefined {
    const execution = this.latest.get(workflowId);
    if (execution?.status !== 'running') return undefined;
    return runId && execution.runId !== runId ? undefined : execution;
  }

  start({ workflowType, workflowId, input, parent, before }: StartOptions): Execution {
    const previous = this.latest.get(workflowId);
    // Its answers to queries end here; those of the new run begin.
    if (previous?.instance) this.discard(previous);
    const number = ++this.made;
    const random = createHash('sha256').update(`run ${number}`).digest();
    const execution: Execution = {
      workflowId,
      // A UUID as the server makes them, with the number at its end: incident ids show the end.
      runId: `01900000-0000-7000-8000-${String(number).padStart(12, '0')}`,
      workflowType,
      startedAtMs: this.clock.nowMs,
      instance: undefined,
      randomness: [...random.subarray(0, SEED_BYTES)],
      continuedFromRunId: before?.runId,
      status: 'running',
      ending: undefined,
      jobs: [],
      queued: false,
      parent,
      timers: new Map(),
      activities: new Map(),
      children: new Map(),
      updates: new Map(),
      searchAttributes: { ...before?.searchAttributes },
      historyEvents: 0,
      historyBytes: 0,
    };
    this.latest.set(workflowId, execution);
    const startTime = msNumberToTs(execution.startedAtMs);
    this.deliver(
      execution,
      {
        initializeWorkflow: {
          workflowId,
          workflowType,
          arguments: input,
          headers: {},
          attempt: 1,
          startTime,
        },
      },
      eventBytes(input),
    );
    return execution;
  }

  signal(execution: Execution, signalName: string, input: Payloads): void {
    this.deliver(execution, { signalWorkflow: { signalName, input, headers: {} } }, eventBytes(input));
  }

  requestCancel(execution: Execution, reason: string): void {
    this.deliver(execution, { cancelWorkflow: { reason } }, eventBytes([]));
  }

  /** Something for the run's next workflow task, and an event of its history. */
  deliver(execution: Execution, job: Job, bytes: number): void {
    if (execution.status !== 'running') return;
    this.count(execution, 1, bytes);
    execution.jobs.push(job);
    if (execution.queued) return;
    execution.queued = true;
    this.ready.push(execution);
  }

  count(execution: Execution, events: number, bytes: number): void {
    execution.historyEvents += events;
    execution.historyBytes += bytes;
  }

  /** Runs workflow tasks until no run has anything to do at this moment. @returns whether there was any. */
  async runTasks(): Promise<boolean> {
    if (this.ready.length === 0) return false;
    while (this.ready.length > 0) {
      const batch = this.ready;
      this.ready = [];
      for (const execution of batch) {
        execution.queued = false;
        if (execution.status === 'running') await this.runTask(execution);
        await this.turns.settle();
        if (this.broken) throw this.broken;
      }
    }
    return true;
  }

  private async runTask(execution: Execution): Promise<void> {
    const { clock } = this;
    const jobs = inOrder(execution.jobs);
    execution.jobs = [];
    this.count(execution, EVENTS_OF_A_TASK, TASK_BYTES);
    this.stats.activations++;
    let completion: Completion;
    try {
      execution.instance ??= await this.sandbox.create({
        ...execution,
        taskQueue: this.taskQueue,
        nowMs: clock.nowMs,
        parent: execution.parent && {
          workflowId: execution.parent.execution.workflowId,
          runId: execution.parent.execution.runId,
        },
      });
      completion = await execution.instance.activate({
        runId: execution.runId,
        timestamp: msNumberToTs(clock.nowMs),
        isReplaying: false,
        historyLength: execution.historyEvents,
        continueAsNewSuggested:
          execution.historyEvents >= SUGGEST_AT_EVENTS || execution.historyBytes >= SUGGEST_AT_BYTES,
        jobs,
      });
      await this.keepLogs(execution);
    } catch (error) {
      throw this.taskFailed(execution, error);
    }
    const failure = completion.failed?.failure;
    if (completion.failed) throw this.taskFailed(execution, failure ? toError(failure) : 'unknown reason');
    carryOut(this, execution, completion.successful?.commands ?? []);
  }

  /** In production such a task is tried again until somebody deploys other code. */
  private taskFailed(execution: Execution, error: unknown): SimulationError {
    const message = error instanceof Error ? error.message : String(error);
    const { workflowId, workflowType } = execution;
    this.failures.push({ kind: 'workflow-task', workflowId, workflowType, message, atMs: this.clock.nowMs });
    return new SimulationError(`workflow ${workflowId} went wrong: ${message}`, { cause: error });
  }

  private async keepLogs(execution: Execution): Promise<void> {
    for (const call of (await execution.instance?.getAndResetSinkCalls()) ?? []) {
      if (call.ifaceName !== '__temporal_logger' || !KEPT_LEVELS.has(call.fnName)) continue;
      const [message, attributes] = call.args as [string, Record<string, unknown> | undefined];
      this.logs.push({
        atMs: this.clock.nowMs,
        workflowId: execution.workflowId,
        level: call.fnName,
        message,
        attributes: { ...attributes },
      });
    }
  }

  close(execution: Execution, ending: Ending): void {
    if (execution.status !== 'running') return;
    execution.status = ending.status;
    execution.ending = ending;
    for (const timer of execution.timers.values()) timer.cancelled = true;
    execution.timers.clear();
    this.activities.forget(execution);
    for (const update of execution.updates.values()) {
      update.reject(
        ApplicationFailure.nonRetryable(
          'Workflow Update failed because the Workflow completed before the Update completed.',
          'AcceptedUpdateCompletedWorkflow',
        ),
      );
    }
    execution.updates.clear();
    this.children.parentClosed(execution);
    if (ending.status === 'failed') this.noteFailed(execution, toError(ending.failure ?? {}));
    if (ending.status !== 'continued-as-new') this.children.tellParent(execution, ending);
  }

  private noteFailed(execution: Execution, error: Error): void {
    const { workflowId, workflowType, parent } = execution;
    const { message } = error;
    const failure: SimulationFailure = {
      kind: 'workflow',
      workflowId,
      workflowType,
      message,
      atMs: this.clock.nowMs,
    };
    if (parent?.execution.status === 'running') failure.toldParent = parent.execution.workflowId;
    else if (this.failuresEnd)
      this.broken ??= new SimulationError(`workflow ${workflowId} failed: ${message}`, { cause: error });
    this.failures.push(failure);
  }

  /** Messages that arrived during the last task go along, as the server buffers them. */
  continueAsNew(execution: Execution, workflowType: string, input: Payloads): void {
    const buffered = execution.jobs.filter((job) => job.signalWorkflow || job.cancelWorkflow);
    this.close(execution, { status: 'continued-as-new' });
    const { workflowId, parent } = execution;
    const next = this.start({ workflowType, workflowId, input, parent, before: execution });
    this.children.continued(execution, next);
    for (const job of buffered) this.deliver(next, job, eventBytes(job.signalWorkflow?.input));
  }

  private discard(execution: Execution): void {
    const { instance } = execution;
    execution.instance = undefined;
    if (instance) this.discarded.push(instance);
  }

  async dispose(): Promise<void> {
    for (const execution of this.latest.values()) this.discard(execution);
    for (const instance of this.discarded.splice(0)) await this.sandbox.dispose(instance);
  }
}
