import {
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
import { clusterActivities, clusterMutations } from '../activities.ts';
import { readFailure } from '../failure.ts';
import {
  describeTargetQuery,
  targetCommandSignal,
  targetNewsSignal,
  targetReplySignal,
} from '../messages.ts';
import { CommandRefused, execute } from './commands.ts';
import { type Lane, type TargetData, TargetState } from './state.ts';

export interface TargetInput {
  target: Target;
  /** Carried over continue-as-new. */
  data?: TargetData;
}

/** How often the projection is compared with the breaker while traffic is not normal. */
const WATCH_PROJECTION_EVERY_MS = 30_000;
/** Reverted this often, it is no longer fought: a human is called, and the breaker says what it should be. */
const MAX_REVERTED = 3;
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
  setHandler(describeTargetQuery, () => ({
    breaker: state.data.breaker,
    holders: Object.keys(state.data.holders),
    ledger: state.data.ledger,
  }));

  let draining = false;
  const wantsRestart = () => workflowInfo().continueAsNewSuggested || signals >= MAX_SIGNALS_PER_RUN;
  const lanes = [runLane(state, 'traffic', () => draining), runLane(state, 'deployment', () => draining)];
  const watchers = [watchProjection(state, () => draining), watchOverride(state, () => draining)];
  await condition(() => state.finished || (wantsRestart() && state.idle));
  draining = true;
  await Promise.all([...lanes, ...watchers]);
  await condition(allHandlersFinished);
  // A command that arrived while the lanes ended is in the queue: it goes on in the next run.
  if (!state.finished) await continueAsNew<typeof target>({ target: input.target, data: state.data });
}

async function runLane(state: TargetState, lane: Lane, draining: () => boolean): Promise<void> {
  for (;;) {
    await condition(() => state.next(lane) !== undefined || draining());
    if (draining()) return;
    const command = state.next(lane);
    if (!command) continue;
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

/**
 * While traffic is diverted, what gateways read is compared with what it should be, and written again.
 */
async function watchProjection(state: TargetState, draining: () => boolean): Promise<void> {
  for (;;) {
    await condition(() => state.data.breaker.state !== 'closed' || draining());
    if (draining()) return;
    await condition(() => state.data.breaker.state === 'closed' || draining(), WATCH_PROJECTION_EVERY_MS);
    if (draining()) return;
    if (
      state.data.breaker.state === 'closed' ||
      state.running.traffic !== undefined ||
      state.data.reverted >= MAX_REVERTED
    )
      continue;
    await repairProjection(state);
  }
}

/** An override's end is told and pages; traffic stays as it is, since no expiry may send it anywhere. */
async function watchOverride(state: TargetState, draining: () => boolean): Promise<void> {
  for (;;) {
    await condition(() => state.data.override !== undefined || draining());
    if (draining()) return;
    const { override } = state.data;
    if (!override) continue;
    const changed = () => state.data.override !== override || draining();
    if (await condition(changed, Math.max(1, override.untilMs - Date.now()))) continue;
    state.data.override = undefined;
    await news(
      state,
      `The override of the breaker (${override.force}, by ${override.person}) has ended; traffic stays as it is`,
      true,
    );
  }
}

async function repairProjection(state: TargetState): Promise<void> {
  const { data } = state;
  try {
    const seen = await clusterActivities(data.target.cluster).readBreaker({ target: data.target });
    const same =
      seen.commandId === data.projectedBy &&
      seen.breaker?.state === data.breaker.state &&
      seen.breaker.share === data.breaker.share;
    if (same || state.running.traffic !== undefined) return;
    data.reverted++;
    const givesUp = data.reverted >= MAX_REVERTED;
    data.projectedBy = `${data.projectedBy.replace(/~\d+$/, '')}~${data.reverted}`;
    await clusterMutations(data.target.cluster).projectBreaker({
      target: data.target,
      breaker: data.breaker,
      commandId: data.projectedBy,
    });
    await news(
      state,
      `Something else changed the breaker's ConfigMap; it was written again${givesUp ? ' for the last time' : ''}`,
      givesUp,
    );
  } catch (error) {
    log.warn('the breaker could not be compared', { problem: readFailure(error).message });
  }
}

async function news(state: TargetState, text: string, needsHuman: boolean): Promise<void> {
  for (const holder of Object.values(state.data.holders)) {
    if (holder.replyTo === undefined) continue;
    try {
      await getExternalWorkflowHandle(holder.replyTo).signal(targetNewsSignal, {
        text,
        needsHuman,
        breaker: state.data.breaker,
      });
    } catch {
      log.warn('a holder of the target is gone');
    }
  }
}
