import type { Due } from './clock.ts';
import type { Execution, Payloads } from './execution.ts';
import type { RetryPolicy } from './retry.ts';

/** One scheduled activity, over all its attempts. */
export interface ActivityTask {
  readonly execution: Execution;
  readonly seq: number;
  readonly activityId: string;
  readonly type: string;
  readonly taskQueue: string;
  readonly input: Payloads;
  readonly cancellationType: number;
  readonly startToCloseMs: number | undefined;
  /** Virtual time after which no attempt goes on. */
  readonly closesAtMs: number | undefined;
  readonly heartbeats: boolean;
  readonly policy: RetryPolicy;
  attempt: number;
  /** An attempt is under way; otherwise one is about to start. */
  started: boolean;
  /** The end of an attempt, or the start of the next one. */
  due: Due | undefined;
  /** The end of an attempt that its handler does not bring about. */
  timeout: Due | undefined;
  cancelRequested: boolean;
  abort: AbortController;
  /** The workflow hears no more of it. */
  settled: boolean;
}
