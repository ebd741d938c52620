/** What the target's actor does for each command. It alone mutates the target. */
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import type { FailureType } from '../../domain/failure.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { TargetAction, TargetCommand, TargetResult } from '../../domain/target-command.ts';
import { clusterActivities } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { ROLLBACK_WORKFLOW } from '../messages.ts';
import type { RollbackInput, RollbackOutput, rollback } from '../rollback/workflow.ts';
import { adopt } from './projection.ts';
import { CommandRefused, type TargetState } from './state.ts';
import { clear, contain, divert, halfOpen, override, restore, runningTemplate } from './traffic-commands.ts';

/** How a rollback fails that was refused before anything was changed. */
const NOTHING_PATCHED: ReadonlySet<FailureType> = new Set(['Unauthorized', 'PreconditionFailed', 'Refused']);

/** After a failure, what runs is looked at; not known is an answer too. */
const LOOK_ATTEMPTS = 3;

type ActionOf<K extends TargetAction['kind']> = Extract<TargetAction, { kind: K }>;

export async function execute(state: TargetState, command: TargetCommand): Promise<TargetResult> {
  const { action } = command;
  switch (action.kind) {
    case 'divert':
      return divert(state, command, action);
    case 'contain':
      return contain(state, command, action.reason);
    case 'half-open':
      return halfOpen(state, command, action);
    case 'restore':
      return restore(state, command, action);
    case 'clear':
      return clear(state, command, action);
    case 'override':
      return override(state, command, action);
    case 'adopt':
      await adopt(state);
      return { kind: 'done' };
    case 'watch':
      state.data.watch = action.spec;
      return { kind: 'done' };
    case 'release':
      state.data.control = state.decide({ kind: 'release', incidentId: command.incidentId }).control;
      return { kind: 'done' };
    case 'plan-rollback':
      return planRollback(state, command, action);
    case 'rollback':
      return rollBack(state, command, action);
    case 'record-verdict':
      return recordVerdict(state, command, action);
    case 'withdraw':
      // Taken by the state as it arrives; it never gets into a lane.
      return { kind: 'done' };
  }
}

function hold(state: TargetState, { incidentId, replyTo }: TargetCommand): void {
  state.data.control = state.decide({ kind: 'hold', incidentId, replyTo }).control;
}

async function planRollback(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'plan-rollback'>,
): Promise<TargetResult> {
  if (action.rehearsal !== true) hold(state, command);
  const answer = await clusterActivities(command.target.cluster).planRollback({
    target: command.target,
    to: action.to,
    ledger: state.data.ledger,
    approval: action.approval,
    gitops: action.gitops,
    served: action.served,
  });
  return 'plan' in answer
    ? { kind: 'plan', plan: answer.plan, breaker: state.breaker }
    : { kind: 'no-plan', none: answer.none };
}

async function rollBack(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'rollback'>,
): Promise<TargetResult> {
  const { plan } = action;
  hold(state, command);
  const frozen = state.frozenUntil(Date.now());
  if (frozen !== undefined) throw new CommandRefused('Refused', `the target is ${frozen}: unfreeze it first`);
  // A share may be on its way in.
  await condition(() => state.running.traffic === undefined);
  // Another incident may have brought the same template back already: then there is nothing left to disturb.
  const shared = state.breaker.state === 'half-open';
  if (shared && (await runningTemplate(command.target)) !== plan.to.templateHash) {
    throw new CommandRefused(
      'Conflict',
      'the target gets a share of its traffic, to be verified or on its way back: that ends first, or a commander forces the breaker open',
    );
  }
  const bad = state.data.ledger[plan.to.templateHash];
  if (bad?.verdict === 'known-bad') {
    throw new CommandRefused(
      'Refused',
      `revision ${plan.to.revision} is known bad by now (${bad.reason}): plan again`,
    );
  }
  const input: RollbackInput = {
    plan,
    incidentId: command.incidentId,
    step: action.step,
    decisions: action.decisions,
    preapproved: action.preapproved,
    commandId: command.id,
    rolloutTimeoutMs: action.rolloutTimeoutMs,
  };
  const done = await leaving(state, command, plan, () =>
    action.preapproved ? runAutomatically(state, input) : runRollback(input),
  );
  return {
    kind: 'rolled-back',
    applied: done.applied,
    approvedBy: done.approvedBy,
    rollout: done.rollout,
    atMs: done.atMs,
  };
}

/** What is left is known bad as soon as it was left: also where the rollout was not followed to its end. */
async function leaving(
  state: TargetState,
  command: TargetCommand,
  plan: RollbackPlan,
  work: () => Promise<RollbackOutput>,
): Promise<RollbackOutput> {
  const left = () => {
    for (const { kind, namespace, name } of plan.gitops?.suspend ?? [])
      state.data.suspended.push({ ref: { kind, namespace, name } });
    if (plan.from.templateHash === plan.to.templateHash) return;
    state.data.ledger[plan.from.templateHash] = {
      verdict: 'known-bad',
      atMs: Date.now(),
      incidentId: command.incidentId,
      reason: `rolled back from by incident ${command.incidentId}`,
    };
  };
  try {
    const done = await work();
    left();
    return done;
  } catch (error) {
    if (error instanceof CommandRefused || NOTHING_PATCHED.has(readFailure(error).type)) throw error;
    const patched = await CancellationScope.nonCancellable(() => isThere(command.target, plan));
    if (!patched) throw error;
    left();
    const { message } = readFailure(error);
    throw new CommandRefused(
      'Unavailable',
      `the rollback was applied, but its rollout was not followed to its end (${message}): look at the pods, then retry the step, which finds the revision there`,
    );
  }
}

/** Whether the template of the plan runs; not known counts as no. */
async function isThere(target: Target, plan: RollbackPlan): Promise<boolean> {
  if (plan.from.templateHash === plan.to.templateHash) return false;
  try {
    return (await runningTemplate(target, LOOK_ATTEMPTS)) === plan.to.templateHash;
  } catch {
    return false;
  }
}

/** A rollback that nobody was asked about: one a day. The next is refused as lacking people, so that they are asked. */
async function runAutomatically(state: TargetState, input: RollbackInput): Promise<RollbackOutput> {
  const nextAtMs = state.nextAutomaticRollbackAtMs(Date.now());
  if (nextAtMs !== undefined) {
    throw new CommandRefused(
      'Unauthorized',
      `${targetKey(state.data.target)} was rolled back without people already: the next time is ${new Date(nextAtMs).toISOString()} at the earliest, until then people are needed`,
    );
  }
  const before = state.data.automaticRollbackAtMs;
  state.data.automaticRollbackAtMs = Date.now();
  try {
    return await runRollback(input);
  } catch (error) {
    // Refused before the patch: none was made.
    if (NOTHING_PATCHED.has(readFailure(error).type)) state.data.automaticRollbackAtMs = before;
    throw error;
  }
}

/**
 * Runs the rollback as a child, and cancels it with this scope. The start itself is not cancelled: a child whose start is
 * cancelled before the server has told of it goes on without anybody knowing (seen on the real server).
 */
async function runRollback(input: RollbackInput): Promise<RollbackOutput> {
  const child = await CancellationScope.nonCancellable(() =>
    startChild<typeof rollback>(ROLLBACK_WORKFLOW, {
      workflowId: `rollback-${input.commandId}`,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      args: [input],
    }),
  );
  const stop = () => getExternalWorkflowHandle(child.workflowId).cancel();
  CancellationScope.current()
    .cancelRequested.catch(() => CancellationScope.nonCancellable(stop))
    // It has ended by itself meanwhile: its result is awaited below all the same.
    .catch(() => undefined);
  return child.result();
}

async function recordVerdict(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'record-verdict'>,
): Promise<TargetResult> {
  const { templateHash } = action;
  if (action.verdict === 'verified-good') {
    if ((await runningTemplate(command.target)) !== templateHash) {
      throw new CommandRefused(
        'PreconditionFailed',
        'another template runs by now than the one that was verified',
      );
    }
    const known = state.data.ledger[templateHash];
    if (known?.verdict === 'known-bad') {
      throw new CommandRefused('Refused', `the template is known bad (${known.reason})`);
    }
  }
  state.data.ledger[templateHash] = {
    verdict: action.verdict,
    atMs: Date.now(),
    incidentId: command.incidentId,
    reason: action.reason,
  };
  return { kind: 'done' };
}
