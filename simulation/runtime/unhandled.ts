import { UnhandledRejectionError } from '@temporalio/worker/lib/errors.js';
import { ReusableVMWorkflowCreator } from '@temporalio/worker/lib/workflow/reusable-vm.js';

/** What the SDK keeps to itself, and this needs. */
interface Marked {
  unhandledRejectionHandlerHasBeenSet: boolean;
}
interface Watched {
  activator: object;
  setUnhandledRejection(error: unknown): void;
}

/**
 * Makes a sandbox without the process-wide handler that its constructor installs: that one stays for ever, and throws on
 * rejections that are none of a workflow's.
 */
export function withoutRejectionHandler<T>(make: () => T): T {
  const marked = ReusableVMWorkflowCreator as unknown as Marked;
  const before = marked.unhandledRejectionHandlerHasBeenSet;
  marked.unhandledRejectionHandlerHasBeenSet = true;
  try {
    return make();
  } finally {
    marked.unhandledRejectionHandlerHasBeenSet = before;
  }
}

const watched = new Map<object, Watched>();

/** Rejections that workflow code leaves unhandled fail its task, as in a worker; others stay Node's. */
export function watchRejections(workflow: object): void {
  const inner = workflow as Watched;
  if (watched.size === 0) process.on('unhandledRejection', onUnhandledRejection);
  watched.set(inner.activator, inner);
}

export function unwatchRejections(workflow: object): void {
  watched.delete((workflow as Watched).activator);
  if (watched.size === 0) process.off('unhandledRejection', onUnhandledRejection);
}

function onUnhandledRejection(error: unknown, promise: Promise<unknown>): void {
  const workflow = watched.get(activatorOf(promise) ?? promise);
  if (workflow) {
    workflow.setUnhandledRejection(
      new UnhandledRejectionError(`Unhandled Promise rejection: ${error}`, error),
    );
  } else if (process.listenerCount('unhandledRejection') === 1) {
    // What Node does where nobody listens.
    throw error;
  }
}

/** The workflow that a promise was made by: its globals are those of the sandbox, not ours. */
function activatorOf(promise: Promise<unknown>): object | undefined {
  if (promise instanceof Promise) return undefined;
  const inner = promise as { constructor: { constructor: FunctionConstructor } };
  return inner.constructor.constructor('return globalThis.__TEMPORAL_ACTIVATOR__')();
}
