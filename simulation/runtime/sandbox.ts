import { readFile } from 'node:fs/promises';
import vm from 'node:vm';
import { TypedSearchAttributes } from '@temporalio/common';
import type { coresdk } from '@temporalio/proto';
import { ReusableVMWorkflowCreator } from '@temporalio/worker/lib/workflow/reusable-vm.js';
import { SimulationError } from './types.ts';
import { unwatchRejections, watchRejections, withoutRejectionHandler } from './unhandled.ts';

export type Completion = coresdk.workflow_completion.IWorkflowActivationCompletion;

/** One run of a workflow in Temporal's own sandbox. */
export type SandboxedWorkflow = Awaited<ReturnType<ReusableVMWorkflowCreator['createWorkflow']>>;

export interface WorkflowIdentity {
  workflowId: string;
  runId: string;
  workflowType: string;
  taskQueue: string;
  startedAtMs: number;
  nowMs: number;
  parent: { workflowId: string; runId: string } | undefined;
  continuedFromRunId: string | undefined;
  randomness: number[];
}

/**
 * A limit makes Node start a thread at each call into the sandbox: ten times the time. Workflow code is ours, and runbooks
 * cannot loop in it.
 */
const NO_TIMEOUT = undefined as unknown as number;
/** The server's default; workflow code can read it, and none of ours does. */
const TASK_TIMEOUT_MS = 10_000;

/**
 * Temporal's sandbox with one bundle in it. Evaluating a bundle takes tens of milliseconds, so one sandbox is kept for all
 * simulations of a process; the SDK keeps the globals and modules of its workflows apart.
 */
export class Sandbox {
  private static last: { bundlePath: string; sandbox: Promise<Sandbox> } | undefined;
  private readonly creator: ReusableVMWorkflowCreator;

  private constructor(creator: ReusableVMWorkflowCreator) {
    this.creator = creator;
  }

  static of(bundlePath: string): Promise<Sandbox> {
    if (Sandbox.last?.bundlePath !== bundlePath) {
      const sandbox = Sandbox.load(bundlePath);
      const last = { bundlePath, sandbox };
      Sandbox.last = last;
      sandbox.catch(() => {
        if (Sandbox.last === last) Sandbox.last = undefined;
      });
    }
    return Sandbox.last.sandbox;
  }

  /**
   * Calls the creator's constructor, as `ReusableVMWorkflowCreator.create` does after it has put hooks on every promise
   * and stack trace of the process: those are for stack traces in Temporal's UI, and slow everything down.
   */
  private static async load(bundlePath: string): Promise<Sandbox> {
    const code = await readFile(bundlePath, 'utf8').catch((error: unknown) => {
      throw new SimulationError(`cannot read the workflow bundle ${bundlePath}`, { cause: error });
    });
    const script = new vm.Script(code, { filename: bundlePath });
    // Read only by the stack trace query.
    const sourceMap = { version: 3, sources: [], names: [], mappings: '' };
    const bundle = { code, filename: bundlePath, sourceMap: sourceMap as never };
    return new Sandbox(
      withoutRejectionHandler(() => new ReusableVMWorkflowCreator(script, bundle, NO_TIMEOUT, new Set())),
    );
  }

  /** @throws where the bundle has no such workflow. */
  async create(identity: WorkflowIdentity): Promise<SandboxedWorkflow> {
    const { workflowId, runId, workflowType, taskQueue, startedAtMs, nowMs } = identity;
    const workflow = await this.creator.createWorkflow({
      info: {
        workflowId,
        runId,
        workflowType,
        searchAttributes: {},
        typedSearchAttributes: new TypedSearchAttributes(),
        parent: identity.parent && { ...identity.parent, namespace: 'default' },
        taskQueue,
        namespace: 'default',
        firstExecutionRunId: identity.continuedFromRunId ?? runId,
        originalExecutionRunId: runId,
        continuedFromExecutionRunId: identity.continuedFromRunId,
        startTime: new Date(startedAtMs),
        runStartTime: new Date(nowMs),
        taskTimeoutMs: TASK_TIMEOUT_MS,
        attempt: 1,
        historyLength: 0,
        historySize: 0,
        continueAsNewSuggested: false,
        currentBuildId: '',
        unsafe: {
          now: () => nowMs,
          isReplaying: false,
          isReplayingHistoryEvents: false,
          random: { random: () => 0.5 } as never,
        },
      } as never,
      randomnessSeed: identity.randomness,
      now: nowMs,
      showStackTraceSources: false,
    });
    watchRejections(workflow);
    return workflow;
  }

  async dispose(workflow: SandboxedWorkflow): Promise<void> {
    unwatchRejections(workflow);
    await workflow.dispose();
  }
}
