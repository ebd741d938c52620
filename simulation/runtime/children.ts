import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { coresdk } from '@temporalio/proto';
import type { Ending, Execution } from './execution.ts';
import type { Host } from './host.ts';
import { childFailure, durationMs, eventBytes, type Failure, toFailure } from './payloads.ts';
import { SimulationError } from './types.ts';

type Start = coresdk.workflow_commands.IStartChildWorkflowExecution;
type Cancel = coresdk.workflow_commands.ICancelChildWorkflowExecution;

// coresdk.child_workflow.ParentClosePolicy; unspecified means terminate.
const ABANDON_CHILD = 2;
const REQUEST_CANCEL = 3;
// coresdk.child_workflow.ChildWorkflowCancellationType; both kinds of waiting wait for the end (as server 1.32 shows).
const ABANDON = 0;
const TRY_CANCEL = 1;
// temporal.api.enums.v1.WorkflowIdReusePolicy
const ALLOW_DUPLICATE_FAILED_ONLY = 2;
const REJECT_DUPLICATE = 3;
// coresdk.child_workflow.StartChildWorkflowExecutionFailedCause
const WORKFLOW_ALREADY_EXISTS = 1;

/** What binds a workflow to those it started. */
export class Children {
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  start(parent: Execution, command: Start): void {
    const { host } = this;
    const seq = command.seq ?? 0;
    const workflowId = command.workflowId ?? '';
    const workflowType = command.workflowType ?? '';
    if (
      command.cronSchedule ||
      command.retryPolicy ||
      durationMs(command.workflowExecutionTimeout) !== undefined ||
      durationMs(command.workflowRunTimeout) !== undefined
    ) {
      throw new SimulationError(
        `workflow ${parent.workflowId} starts ${workflowType} with a schedule, retries or a timeout: simulations have none of workflows`,
      );
    }
    host.count(parent, 1, eventBytes(command.input));
    if (this.taken(workflowId, command.workflowIdReusePolicy ?? 0)) {
      const cause = WORKFLOW_ALREADY_EXISTS;
      host.deliver(
        parent,
        { resolveChildWorkflowExecutionStart: { seq, failed: { workflowId, workflowType, cause } } },
        eventBytes([]),
      );
      return;
    }
    const child = host.start({
      workflowType,
      workflowId,
      input: command.input ?? [],
      parent: { execution: parent, seq, closePolicy: command.parentClosePolicy ?? 0 },
    });
    parent.children.set(seq, { child, cancellationType: command.cancellationType ?? ABANDON });
    host.deliver(
      parent,
      { resolveChildWorkflowExecutionStart: { seq, succeeded: { runId: child.runId } } },
      eventBytes([]),
    );
  }

  /** Cancelled in the very task that wanted it: the server never hears of it. */
  cancelStart(parent: Execution, command: Start): void {
    const { workflowId, workflowType } = command;
    const never = { workflowId: workflowId ?? '', runId: '', workflowType: workflowType ?? '' };
    const cause = toFailure(new CancelledFailure('Child Workflow execution cancelled before scheduled'));
    const failure = childFailure(never, cause);
    this.host.deliver(
      parent,
      { resolveChildWorkflowExecutionStart: { seq: command.seq, cancelled: { failure } } },
      0,
    );
  }

  cancel(parent: Execution, { childWorkflowSeq, reason }: Cancel): void {
    const seq = childWorkflowSeq ?? 0;
    const link = parent.children.get(seq);
    if (!link) return;
    const { child, cancellationType } = link;
    if (cancellationType !== ABANDON) {
      this.host.count(parent, 1, eventBytes([]));
      this.host.requestCancel(child, reason || 'the parent cancelled it');
    }
    if (cancellationType !== ABANDON && cancellationType !== TRY_CANCEL) return;
    parent.children.delete(seq);
    this.resolve(parent, seq, { cancelled: { failure: cancelled(child) } });
  }

  /** The server does it when a run continues as new, too. */
  parentClosed(parent: Execution): void {
    const links = [...parent.children.values()];
    parent.children.clear();
    for (const { child } of links) {
      const policy = child.parent?.closePolicy;
      if (policy === ABANDON_CHILD) continue;
      if (policy === REQUEST_CANCEL) this.host.requestCancel(child, 'its parent has closed');
      else this.host.close(child, { status: 'terminated' });
    }
  }

  /** A child that continues as new stays the same child. */
  continued(before: Execution, next: Execution): void {
    const link = this.linkOf(before);
    if (link) link.child = next;
  }

  tellParent(child: Execution, ending: Ending): void {
    const link = this.linkOf(child);
    if (!link || !child.parent) return;
    const { execution: parent, seq } = child.parent;
    parent.children.delete(seq);
    if (ending.status === 'completed') {
      this.resolve(parent, seq, { completed: { result: ending.result } });
    } else if (ending.status === 'cancelled') {
      this.resolve(parent, seq, { cancelled: { failure: cancelled(child) } });
    } else {
      const cause: Failure = ending.failure ?? toFailure(new TerminatedFailure('terminated'));
      this.resolve(parent, seq, { failed: { failure: childFailure(child, cause) } });
    }
  }

  private resolve(parent: Execution, seq: number, result: coresdk.child_workflow.IChildWorkflowResult): void {
    const payloads = result.completed?.result ? [result.completed.result] : [];
    this.host.deliver(parent, { resolveChildWorkflowExecution: { seq, result } }, eventBytes(payloads));
  }

  private linkOf(child: Execution) {
    const { parent } = child;
    const link = parent?.execution.children.get(parent.seq);
    return link?.child === child ? link : undefined;
  }

  private taken(workflowId: string, reusePolicy: number): boolean {
    const known = this.host.find(workflowId);
    if (!known) return false;
    if (known.status === 'running' || reusePolicy === REJECT_DUPLICATE) return true;
    return reusePolicy === ALLOW_DUPLICATE_FAILED_ONLY && known.status === 'completed';
  }
}

function cancelled(child: Execution): Failure {
  return childFailure(child, toFailure(new CancelledFailure('Child Workflow execution cancelled')));
}
