import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { msNumberToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import type { Execution } from './execution.ts';
import { decodeOne, encode, eventBytes, toError } from './payloads.ts';
import { Sandbox } from './sandbox.ts';
import { Server } from './server.ts';
import {
  type RunOptions,
  type RunOutcome,
  type SignalWithStart,
  SimulationError,
  type SimulationFailure,
  type SimulationLog,
  type SimulationOptions,
  type SimulationStats,
  type WorkflowDescription,
  type WorkflowStart,
} from './types.ts';

/** So much happens in one moment only where virtual time stands still: code that polls without waiting. */
const MAX_EVENTS_IN_A_MOMENT = 20_000;

/**
 * Workflows in Temporal's own sandbox, over virtual time, without a server. What happens at the same time happens in the
 * order in which it was asked for, one after the other; the same scenario always gives the same output.
 */
export class Simulation {
  private readonly server: Server;
  private sent = 0;
  private running = false;

  private constructor(server: Server) {
    this.server = server;
  }

  /** @throws SimulationError where the bundle cannot be read. */
  static async create(options: SimulationOptions): Promise<Simulation> {
    return new Simulation(new Server(options, await Sandbox.of(options.bundlePath)));
  }

  get nowMs(): number {
    return this.server.clock.nowMs;
  }

  get stats(): Readonly<SimulationStats> {
    return this.server.stats;
  }

  get failures(): readonly SimulationFailure[] {
    return this.server.failures;
  }

  get logs(): readonly SimulationLog[] {
    return this.server.logs;
  }

  /** Does it at this virtual time, or as the next thing when that is past. What it throws ends the simulation. */
  at(timeMs: number, action: () => void | Promise<void>): void {
    const { clock, turns } = this.server;
    clock.at(timeMs, () => turns.take(action));
  }

  /** For actions and activities: waits in virtual time. Rejects with a CancelledFailure when `signal` is aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    const { clock, turns } = this.server;
    return turns.wait((resolve, reject) => {
      if (signal?.aborted) {
        reject(new CancelledFailure('cancelled'));
        return;
      }
      const cancel = () => {
        due.cancelled = true;
        reject(new CancelledFailure('cancelled'));
      };
      const due = clock.at(clock.nowMs + durationMs, () => {
        signal?.removeEventListener('abort', cancel);
        resolve();
      });
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** @throws SimulationError where a workflow of this id runs already. */
  start({ workflowType, workflowId, args }: WorkflowStart): void {
    if (this.isRunning(workflowId)) throw new SimulationError(`workflow ${workflowId} runs already`);
    this.server.start({ workflowType, workflowId, input: encode(args) });
  }

  /** Starts the workflow unless one of this id runs; the signal is in its first task. */
  signalWithStart({ signal, signalArgs, ...start }: SignalWithStart): void {
    if (!this.isRunning(start.workflowId)) this.start(start);
    this.signal(start.workflowId, signal, signalArgs);
  }

  /** @returns false where no such workflow runs. */
  signal(workflowId: string, name: string, args: unknown[]): boolean {
    const execution = this.server.running(workflowId);
    if (!execution) return false;
    this.server.signal(execution, name, encode(args));
    return true;
  }

  /** Asks a workflow to cancel itself. @returns false where no such workflow runs. */
  cancel(workflowId: string): boolean {
    const execution = this.server.running(workflowId);
    if (!execution) return false;
    this.server.requestCancel(execution, 'cancelled');
    return true;
  }

  /**
   * Sends an update, its validator first. It is answered in virtual time: an action or an activity may await it, other code
   * gets the answer while `run` runs.
   * @throws the failure with which it was rejected or failed; ApplicationFailure `NotFound` where no such workflow runs.
   */
  update(workflowId: string, name: string, args: unknown[]): Promise<unknown> {
    const { server } = this;
    return server.turns.wait((resolve, reject) => {
      const execution = server.running(workflowId);
      if (!execution) {
        reject(ApplicationFailure.nonRetryable(`workflow ${workflowId} does not run`, 'NotFound'));
        return;
      }
      const id = `update-${++this.sent}`;
      const input = encode(args);
      const meta = { identity: 'simulation', updateId: id };
      execution.updates.set(id, { resolve, reject });
      server.deliver(
        execution,
        { doUpdate: { id, protocolInstanceId: id, name, input, headers: {}, meta, runValidator: true } },
        eventBytes(input),
      );
    });
  }

  /** Asks the latest run of a workflow, which may have ended. @throws SimulationError where it gives no answer. */
  async query(workflowId: string, name: string, args: unknown[] = []): Promise<unknown> {
    const execution = this.server.find(workflowId);
    if (!execution?.instance) {
      throw new SimulationError(
        `workflow ${workflowId} ${execution ? 'has not begun: run first' : 'is not known'}: it cannot be asked ${name}`,
      );
    }
    // Only a message of the protocol's own class knows which kind of job it holds.
    const activation = proto.coresdk.workflow_activation.WorkflowActivation.fromObject({
      runId: execution.runId,
      timestamp: msNumberToTs(this.nowMs),
      jobs: [{ queryWorkflow: { queryId: 'query', queryType: name, arguments: encode(args), headers: {} } }],
    });
    const completion = await execution.instance.activate(activation);
    const answer = completion.successful?.commands?.find(
      ({ respondToQuery }) => respondToQuery,
    )?.respondToQuery;
    if (answer?.succeeded) return decodeOne(answer.succeeded.response);
    const failure = answer?.failed ?? completion.failed?.failure;
    const problem = failure ? toError(failure) : undefined;
    throw new SimulationError(
      `workflow ${workflowId} did not answer ${name}: ${problem?.message ?? 'no answer'}`,
      { cause: problem },
    );
  }

  isRunning(workflowId: string): boolean {
    return this.server.running(workflowId) !== undefined;
  }

  /** The latest run of a workflow id, or undefined where there was none. */
  describe(workflowId: string): WorkflowDescription | undefined {
    const execution = this.server.find(workflowId);
    return execution && describe(execution);
  }

  /**
   * Lets time pass until `done` says so, nothing is left to happen, or `untilMs` is reached. May be called again.
   * @throws SimulationError where a workflow task failed, and what an action threw.
   */
  async run(options: RunOptions): Promise<RunOutcome> {
    if (this.running) throw new SimulationError('run is called while it runs');
    if (this.server.broken) throw this.server.broken;
    this.running = true;
    try {
      return await this.pass(options);
    } catch (error) {
      if (error instanceof SimulationError) this.server.broken = error;
      throw error;
    } finally {
      this.running = false;
    }
  }

  private async pass({ untilMs, done }: RunOptions): Promise<RunOutcome> {
    const { clock } = this.server;
    for (let events = 0; ; events++) {
      await this.settle();
      const nextMs = clock.peekMs();
      if (nextMs === undefined || nextMs > this.nowMs) {
        if (await done?.()) return 'done';
        events = 0;
      }
      if (events > MAX_EVENTS_IN_A_MOMENT) {
        throw new SimulationError(
          `virtual time stands still at ${new Date(this.nowMs).toISOString()}: something is repeated without waiting`,
        );
      }
      if (clock.peekMs() === undefined) return 'idle';
      if ((clock.peekMs() ?? 0) > untilMs) {
        clock.nowMs = Math.max(this.nowMs, untilMs);
        return 'limit';
      }
      await clock.next()?.run();
    }
  }

  /** Until neither workflows nor the code outside have anything to do at this moment. */
  private async settle(): Promise<void> {
    const { turns } = this.server;
    do {
      await turns.settle();
      await this.server.runTasks();
      if (turns.problem) throw turns.problem.error;
    } while (turns.anyResumed);
  }

  /** Frees what the workflows hold. */
  async dispose(): Promise<void> {
    await this.server.dispose();
  }
}

function describe(execution: Execution): WorkflowDescription {
  const { workflowId, runId, workflowType, status, startedAtMs, ending, searchAttributes } = execution;
  return {
    workflowId,
    runId,
    workflowType,
    status,
    startedAtMs,
    ...(ending?.status === 'completed' ? { result: decodeOne(ending.result) } : {}),
    ...(ending?.failure ? { failure: toError(ending.failure) } : {}),
    searchAttributes: { ...searchAttributes },
    historyLength: execution.historyEvents,
  };
}
