import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Target } from '../../domain/target.ts';
import type { TargetCommand, TargetReply } from '../../domain/target-command.ts';
import { readFailure } from '../failure.ts';
import {
  describeTargetQuery,
  freezeUpdate,
  targetCommandSignal,
  targetReplySignal,
  unfreezeUpdate,
} from '../messages.ts';
import { execute } from './commands.ts';
import { news } from './projection.ts';
import { CommandRefused, type Lane, type TargetData, TargetState } from './state.ts';
import { watchTarget } from './watch.ts';

export interface TargetInput {
  target: Target;
  /** Carried over continue-as-new. */
  data?: TargetData;
}

/** Signals of one run before it starts anew: well below the server's 10,000. */
const MAX_SIGNALS_PER_RUN = 2_000;

/** The actor of one target: two lanes, one command at a time in each, each command executed once. */
export async function target(input: TargetInput): Promise<void> {
  const state = input.data ? new TargetState(input.data) : TargetState.create(input.target, Date.now());
  let signals = 0;
  setHandler(targetCommandSignal, (command) => {
    signals++;
    state.receive(command);
  });
  setHandler(describeTargetQuery, () => state.view);
  registerFreeze(state);

  let draining = false;
  const wantsRestart = () => workflowInfo().continueAsNewSuggested || signals >= MAX_SIGNALS_PER_RUN;
  const lanes = [runLane(state, 'traffic', () => draining), runLane(state, 'deployment', () => draining)];
  const watching = watchTarget(state, () => draining);
  await condition(() => state.finished || (wantsRestart() && state.idle));
  draining = true;
  await Promise.all([...lanes, watching]);
  await condition(allHandlersFinished);
  // A command that arrived while the lanes ended is in the queue: it goes on in the next run.
  if (!state.finished) await continueAsNew<typeof target>({ target: input.target, data: state.data });
}

async function runLane(state: TargetState, lane: Lane, draining: () => boolean): Promise<void> {
  for (;;) {
    // Watches take the traffic lane for what they write.
    await condition(() => (state.next(lane) !== undefined && !state.running[lane]) || draining());
    if (draining()) return;
    const command = state.next(lane);
    if (!command || state.running[lane]) continue;
    const known = state.replyTo(command);
    // Only a rollback is worth stopping half-way: everything else is one write.
    const scope = new CancellationScope();
    state.running[lane] = {
      id: command.id,
      stop: command.action.kind === 'rollback' ? () => scope.cancel() : undefined,
    };
    const reply = known ?? (await scope.run(() => executeToReply(state, command)));
    state.answer(command, reply);
    delete state.running[lane];
    await tell(command, reply);
  }
}

/** People stop everything but containment, for a time. */
function registerFreeze(state: TargetState): void {
  const { data } = state;
  setHandler(
    freezeUpdate,
    async ({ actor, reason, forMs }) => {
      data.frozen = { person: actor.person, reason, untilMs: Date.now() + forMs };
      const until = new Date(data.frozen.untilMs).toISOString();
      await news(state, `${actor.person} froze the target until ${until}: only containment goes on`, false);
      return { message: `Frozen until ${until}: nothing but containment changes it` };
    },
    {
      validator: ({ reason, forMs }) => {
        if (reason.trim() === '') throw refused('a reason is needed');
        if (!(forMs > 0)) throw refused('a freeze needs an end');
      },
    },
  );
  setHandler(
    unfreezeUpdate,
    async ({ actor }) => {
      const { frozen } = data;
      data.frozen = undefined;
      if (frozen === undefined) return { message: 'It was not frozen' };
      await news(state, `${actor.person} unfroze the target`, false);
      return { message: 'Unfrozen' };
    },
    {
      validator: ({ reason }) => {
        if (reason.trim() === '') throw refused('a reason is needed');
      },
    },
  );
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'Refused');
}

async function executeToReply(state: TargetState, command: TargetCommand): Promise<TargetReply> {
  try {
    return { commandId: command.id, ok: true, result: await execute(state, command) };
  } catch (error) {
    const failure =
      error instanceof CommandRefused ? { type: error.type, message: error.message } : readFailure(error);
    return { commandId: command.id, ok: false, failure };
  }
}

async function tell(command: TargetCommand, reply: TargetReply): Promise<void> {
  if (command.replyTo === undefined) return;
  try {
    await getExternalWorkflowHandle(command.replyTo).signal(targetReplySignal, reply);
  } catch (error) {
    log.warn('the sender of a command is gone', {
      commandId: command.id,
      problem: readFailure(error).message,
    });
  }
}
