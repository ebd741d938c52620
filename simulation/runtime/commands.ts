import { decodeSearchAttributes } from '@temporalio/common/lib/converter/payload-search-attributes.js';
import type { Command, Execution } from './execution.ts';
import type { Host } from './host.ts';
import { decodeOne, durationMs, eventBytes, externalNotFound, toError } from './payloads.ts';
import { SimulationError } from './types.ts';

/** Numbers of what the same workflow task both asks for and takes back: the SDK's core never sends such to the host. */
interface TakenBack {
  children: Set<number>;
  signals: Set<number>;
}

type Handler<Kind extends keyof Command> = (
  host: Host,
  execution: Execution,
  command: NonNullable<Command[Kind]>,
  takenBack: TakenBack,
) => void;

/** Nothing in virtual time depends on these: markers are for replay, the rest is shown in Temporal's UI. */
const ignore = () => undefined;

/** Every command that workflows of this project can send, but for those that end the run. */
const HANDLERS: { [Kind in keyof Command]?: Handler<Kind> } = {
  startTimer(host, execution, command) {
    const seq = command.seq ?? 0;
    const fire = () => {
      execution.timers.delete(seq);
      host.deliver(execution, { fireTimer: { seq } }, eventBytes([]));
    };
    const atMs = host.clock.nowMs + (durationMs(command.startToFireTimeout) ?? 0);
    execution.timers.set(seq, host.clock.at(atMs, fire));
    host.count(execution, 1, eventBytes([]));
  },
  cancelTimer(host, execution, command) {
    const seq = command.seq ?? 0;
    const timer = execution.timers.get(seq);
    if (!timer) return;
    timer.cancelled = true;
    execution.timers.delete(seq);
    host.count(execution, 1, eventBytes([]));
  },
  scheduleActivity: (host, execution, command) => host.activities.schedule(execution, command),
  requestCancelActivity: (host, execution, command) => host.activities.cancel(execution, command.seq ?? 0),
  startChildWorkflowExecution(host, execution, command, takenBack) {
    if (takenBack.children.has(command.seq ?? 0)) host.children.cancelStart(execution, command);
    else host.children.start(execution, command);
  },
  cancelChildWorkflowExecution: (host, execution, command) => host.children.cancel(execution, command),
  signalExternalWorkflowExecution(host, execution, command, takenBack) {
    const { seq, workflowExecution, childWorkflowId, signalName } = command;
    const workflowId = workflowExecution?.workflowId || childWorkflowId || '';
    const other = takenBack.signals.has(seq ?? 0)
      ? undefined
      : host.running(workflowId, workflowExecution?.runId);
    if (other) host.signal(other, signalName ?? '', command.args ?? []);
    const failure = other
      ? undefined
      : externalNotFound('Unable to signal external workflow because it was not found');
    host.count(execution, 1, eventBytes(command.args));
    host.deliver(execution, { resolveSignalExternalWorkflow: { seq, failure } }, eventBytes([]));
  },
  cancelSignalWorkflow: ignore,
  requestCancelExternalWorkflowExecution(host, execution, command) {
    const { seq, workflowExecution } = command;
    const workflowId = workflowExecution?.workflowId ?? '';
    const other = host.running(workflowId, workflowExecution?.runId);
    if (other) host.requestCancel(other, command.reason || 'another workflow cancelled it');
    const failure = other
      ? undefined
      : externalNotFound('Unable to cancel external workflow because not found');
    host.count(execution, 1, eventBytes([]));
    host.deliver(execution, { resolveRequestCancelExternalWorkflow: { seq, failure } }, eventBytes([]));
  },
  updateResponse(host, execution, command) {
    const id = command.protocolInstanceId ?? '';
    const pending = execution.updates.get(id);
    if (command.accepted || !pending) {
      host.count(execution, 1, eventBytes([]));
      return;
    }
    execution.updates.delete(id);
    if (command.rejected) pending.reject(toError(command.rejected));
    else pending.resolve(decodeOne(command.completed));
    host.count(execution, 1, eventBytes(command.completed ? [command.completed] : []));
  },
  upsertWorkflowSearchAttributes(host, execution, command) {
    const fields = command.searchAttributes?.indexedFields;
    Object.assign(execution.searchAttributes, decodeSearchAttributes(fields));
    host.count(execution, 1, eventBytes(Object.values(fields ?? {})));
  },
  modifyWorkflowProperties: ignore,
  setPatchMarker: (host, execution) => host.count(execution, 1, eventBytes([])),
};

/** Those that end the run. */
const ENDINGS: { [Kind in keyof Command]?: Handler<Kind> } = {
  completeWorkflowExecution: (host, execution, { result }) =>
    host.close(execution, { status: 'completed', result }),
  failWorkflowExecution: (host, execution, { failure }) =>
    host.close(execution, { status: 'failed', failure: failure ?? {} }),
  cancelWorkflowExecution: (host, execution) => host.close(execution, { status: 'cancelled' }),
  continueAsNewWorkflowExecution: (host, execution, command) =>
    host.continueAsNew(execution, command.workflowType || execution.workflowType, command.arguments ?? []),
};

/** Beside the one field that says what a command is. */
const ANNOTATIONS = new Set(['userMetadata', 'eventGroupMarkers']);

/**
 * Does what a workflow task asked for, in its order, its end last: a workflow can still answer an update in the task that
 * ends it, and the SDK's core puts such answers first.
 */
export function carryOut(host: Host, execution: Execution, commands: readonly Command[]): void {
  const takenBack: TakenBack = { children: new Set(), signals: new Set() };
  for (const command of commands) {
    if (command.cancelChildWorkflowExecution) {
      takenBack.children.add(command.cancelChildWorkflowExecution.childWorkflowSeq ?? 0);
    }
    if (command.cancelSignalWorkflow) takenBack.signals.add(command.cancelSignalWorkflow.seq ?? 0);
  }
  let end: (() => void) | undefined;
  for (const command of commands) {
    const kind = kindOf(command);
    const run = (handler: unknown) =>
      (handler as Handler<typeof kind>)(host, execution, command[kind] as never, takenBack);
    if (kind in ENDINGS) end ??= () => run(ENDINGS[kind]);
    else if (kind in HANDLERS) run(HANDLERS[kind]);
    else {
      throw new SimulationError(
        `workflow ${execution.workflowId} asks for ${kind}, which simulations do not have`,
      );
    }
  }
  end?.();
}

function kindOf(command: Command): keyof Command {
  for (const key of Object.keys(command) as (keyof Command)[]) {
    if (!ANNOTATIONS.has(key) && command[key] != null) return key;
  }
  throw new SimulationError('a workflow task asked for nothing that is known');
}
