import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { TypedSearchAttributes } from '@temporalio/common';
import { msNumberToTs } from '@temporalio/common/lib/time.js';
import type { coresdk } from '@temporalio/proto';
import { ReusableVMWorkflowCreator } from '@temporalio/worker/lib/workflow/reusable-vm.js';

/**
 * A limit makes Node start a thread at each call into the sandbox: ten times the time. Workflow code is ours, and runbooks
 * cannot loop in it.
 */
const NO_TIMEOUT = undefined as unknown as number;

export type Job = coresdk.workflow_activation.IWorkflowActivationJob;
export type Completion = coresdk.workflow_completion.IWorkflowActivationCompletion;

/** One run of a workflow, in Temporal's own sandbox. */
export interface SandboxedRun {
  activate(activation: coresdk.workflow_activation.IWorkflowActivation): Promise<Completion>;
  getAndResetSinkCalls(): Promise<unknown[]>;
  dispose(): Promise<void>;
}

export interface RunIdentity {
  workflowId: string;
  runId: string;
  workflowType: string;
  taskQueue: string;
  startMs: number;
  parent?: { workflowId: string; runId: string };
}

/** Loads the workflow bundle once and runs many workflows in it, as a worker does. */
export class Sandbox {
  private readonly creator: ReusableVMWorkflowCreator;

  private constructor(creator: ReusableVMWorkflowCreator) {
    this.creator = creator;
  }

  /**
   * `ReusableVMWorkflowCreator.create` would also trace every promise for stack traces, for the whole process: that is for
   * Temporal's UI, and costs ten times the time.
   */
  static load(bundlePath: string): Sandbox {
    const code = readFileSync(bundlePath, 'utf8');
    const bundle = {
      code,
      filename: bundlePath,
      sourceMap: { version: '3', sources: [], names: [], mappings: '' },
    };
    const script = new vm.Script(code, { filename: bundlePath });
    return new Sandbox(
      new ReusableVMWorkflowCreator(script, bundle as never, NO_TIMEOUT, new Set(), undefined),
    );
  }

  async create(run: RunIdentity): Promise<SandboxedRun> {
    return this.creator.createWorkflow({
      info: {
        workflowId: run.workflowId,
        runId: run.runId,
        workflowType: run.workflowType,
        searchAttributes: {},
        typedSearchAttributes: new TypedSearchAttributes(),
        parent: run.parent && { ...run.parent, namespace: 'default' },
        root: undefined,
        taskQueue: run.taskQueue,
        namespace: 'default',
        firstExecutionRunId: run.runId,
        originalExecutionRunId: run.runId,
        continuedFromExecutionRunId: undefined,
        startTime: new Date(run.startMs),
        runStartTime: new Date(run.startMs),
        taskTimeoutMs: 10_000,
        attempt: 1,
        historyLength: 0,
        historySize: 0,
        continueAsNewSuggested: false,
        targetWorkerDeploymentVersionChanged: false,
        currentBuildId: '',
        unsafe: { now: () => run.startMs, isReplaying: false, isReplayingHistoryEvents: false },
      } as never,
      randomnessSeed: [...seedOf(run.runId)],
      now: run.startMs,
      showStackTraceSources: false,
    } as never) as Promise<SandboxedRun>;
  }

  async destroy(): Promise<void> {
    await this.creator.destroy();
  }
}

/** Same run id, same randomness. */
function seedOf(runId: string): Buffer {
  return Buffer.from(runId.replaceAll('-', ''), 'hex').subarray(0, 8);
}

/** As activations carry time. */
export function timestamp(atMs: number): ReturnType<typeof msNumberToTs> {
  return msNumberToTs(atMs);
}
