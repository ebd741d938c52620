import type { ApplicationFailure } from '@temporalio/common';

/** What an activity is asked, each time that it is tried. */
export interface ActivityCall {
  type: string;
  taskQueue: string;
  /** Its first argument: a copy of its own. */
  input: unknown;
  workflowId: string;
  /** From 1. */
  attempt: number;
  nowMs: number;
  /**
   * Aborted when the workflow cancels it. As with the server, only an activity that heartbeats hears of it; one that does
   * not ends as it would have.
   */
  cancelled: AbortSignal;
}

export interface ActivityAnswer {
  result?: unknown;
  /** Virtual time that the attempt takes; default 0. Beyond startToCloseTimeout the attempt times out instead. */
  tookMs?: number;
}

/**
 * Answers activities, one call at a time and at the virtual time of the attempt. Fails by throwing: an ApplicationFailure,
 * or `FailsAfter` where failing takes time. It may wait in virtual time with `Simulation.sleep`, or for other promises
 * (virtual time stands still meanwhile), but not for `Simulation.run`.
 */
export type ActivityHandler = (call: ActivityCall) => Promise<ActivityAnswer>;

/** A failure that is known only after some virtual time. */
export class FailsAfter extends Error {
  override readonly name = 'FailsAfter';
  readonly tookMs: number;
  readonly failure: ApplicationFailure;

  constructor(tookMs: number, failure: ApplicationFailure) {
    super(failure.message);
    this.tookMs = tookMs;
    this.failure = failure;
  }
}

/** Workflow code went wrong, or asks for what the simulation does not have: what would follow cannot be known. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
}

export interface SimulationOptions {
  /** The workflow bundle: `workflowBundle()` of worker/bundle.ts. */
  bundlePath: string;
  startMs: number;
  /** Task queue of workflows, and of activities that name none; default `firebreak`. */
  taskQueue?: string;
  activities: ActivityHandler;
  /**
   * What a failed workflow means that nobody waits for: the end, as it is a defect where workflows are meant to run to
   * their end (default), or an entry in `failures` like any other.
   */
  failedWorkflows?: 'end' | 'go-on';
}

export interface SimulationStats {
  /** Workflow tasks. */
  activations: number;
  /** Attempts of activities. */
  activities: number;
}

/** What went wrong on the way. */
export interface SimulationFailure {
  kind: 'workflow' | 'workflow-task';
  workflowId: string;
  workflowType: string;
  message: string;
  atMs: number;
  /** Workflow id of the parent that was told; absent: nobody was. */
  toldParent?: string;
}

/** What workflow code logged at info and above. */
export interface SimulationLog {
  atMs: number;
  workflowId: string;
  level: string;
  message: string;
  attributes: Record<string, unknown>;
}

export type WorkflowStatus =
  | 'running'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'terminated'
  | 'continued-as-new';

/** The latest run of a workflow id. */
export interface WorkflowDescription {
  workflowId: string;
  runId: string;
  workflowType: string;
  status: WorkflowStatus;
  startedAtMs: number;
  /** Of a completed one. */
  result?: unknown;
  /** Of a failed one. */
  failure?: Error;
  searchAttributes: Record<string, unknown>;
  /** Events of this run so far. */
  historyLength: number;
}

export interface WorkflowStart {
  workflowType: string;
  workflowId: string;
  args: unknown[];
}

export interface SignalWithStart extends WorkflowStart {
  signal: string;
  signalArgs: unknown[];
}

export interface RunOptions {
  /** Virtual time that is not passed. */
  untilMs: number;
  /** Asked at first, and after each virtual moment in which something happened. */
  done?: () => boolean | Promise<boolean>;
}

/** `done`: it said so. `idle`: nothing is left to happen. `limit`: `untilMs` is reached. */
export type RunOutcome = 'done' | 'idle' | 'limit';
