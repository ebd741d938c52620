import type { coresdk } from '@temporalio/proto';
import type { ActivityTask } from './activity-task.ts';
import type { Due } from './clock.ts';
import type { Failure } from './payloads.ts';
import type { SandboxedWorkflow } from './sandbox.ts';
import type { WorkflowStatus } from './types.ts';

export type Job = coresdk.workflow_activation.IWorkflowActivationJob;
export type Command = coresdk.workflow_commands.IWorkflowCommand;
export type Payloads = NonNullable<coresdk.workflow_activation.IInitializeWorkflow['arguments']>;

export interface PendingUpdate {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

export interface ParentLink {
  execution: Execution;
  /** The parent's number for this child. */
  seq: number;
  closePolicy: number;
}

/** How a run ended, in the protocol's words. */
export interface Ending {
  status: Exclude<WorkflowStatus, 'running'>;
  result?: coresdk.workflow_commands.ICompleteWorkflowExecution['result'];
  failure?: Failure;
}

/** One run of a workflow: what the server keeps in its history, as state. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
  readonly startedAtMs: number;
  readonly randomness: number[];
  readonly continuedFromRunId: string | undefined;
  /** Made by the first workflow task. */
  instance: SandboxedWorkflow | undefined;
  status: WorkflowStatus;
  ending: Ending | undefined;
  /** For the next workflow task. */
  jobs: Job[];
  queued: boolean;
  parent: ParentLink | undefined;
  readonly timers: Map<number, Due>;
  readonly activities: Map<number, ActivityTask>;
  /** The current run of each child that has not ended, by its number. */
  readonly children: Map<number, { child: Execution; cancellationType: number }>;
  readonly updates: Map<string, PendingUpdate>;
  searchAttributes: Record<string, unknown>;
  /** Counted as the server would; decides when it suggests to continue as new. */
  historyEvents: number;
  historyBytes: number;
}

/**
 * The order in which the SDK's core hands jobs over: the start, then messages, then the rest; each in order of arrival
 * (https://github.com/temporalio/sdk-core, workflow activations).
 */
export function inOrder(jobs: Job[]): Job[] {
  if (jobs.length < 2) return jobs;
  const rank = (job: Job) => (job.initializeWorkflow ? 0 : job.signalWorkflow || job.doUpdate ? 1 : 2);
  return jobs.sort((a, b) => rank(a) - rank(b));
}
