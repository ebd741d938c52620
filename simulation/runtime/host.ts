import type { Activities } from './activities.ts';
import type { Children } from './children.ts';
import type { Clock } from './clock.ts';
import type { Ending, Execution, Job, ParentLink, Payloads } from './execution.ts';
import type { Turns } from './turns.ts';
import type { SimulationStats } from './types.ts';

export interface StartOptions {
  workflowType: string;
  workflowId: string;
  input: Payloads;
  parent?: ParentLink;
  /** The run that this one goes on from. */
  before?: Execution;
}

/** What the parts of the server ask of the whole. */
export interface Host {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly activities: Activities;
  readonly children: Children;
  readonly taskQueue: string;
  readonly stats: SimulationStats;
  /** The latest run of a workflow id, whether it still runs. */
  find(workflowId: string): Execution | undefined;
  running(workflowId: string, runId?: string | null): Execution | undefined;
  start(options: StartOptions): Execution;
  signal(execution: Execution, signalName: string, input: Payloads): void;
  requestCancel(execution: Execution, reason: string): void;
  /** Something for the run's next workflow task, and an event of its history. */
  deliver(execution: Execution, job: Job, bytes: number): void;
  count(execution: Execution, events: number, bytes: number): void;
  close(execution: Execution, ending: Ending): void;
  continueAsNew(execution: Execution, workflowType: string, input: Payloads): void;
}
