/** What the target's actor does for each command. It alone mutates the target. */
import {
  CancellationScope,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import type { Breaker } from '../../domain/breaker.ts';
import type { FailureType } from '../../domain/failure.ts';
import { targetKey } from '../../domain/target.ts';
import type { TargetAction, TargetCommand, TargetResult } from '../../domain/target-command.ts';
import { clusterActivities, clusterMutations } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { ROLLBACK_WORKFLOW } from '../messages.ts';
import type { RollbackInput, RollbackOutput, rollback } from '../rollback/workflow.ts';
import type { TargetState } from './state.ts';

export class CommandRefused extends Error {
  readonly type: FailureType;
  constructor(type: FailureType, message: string) {
    super(message);
    this.type = type;
  }
}

/** How a rollback fails that was refused before anything was changed. */
const NOTHING_PATCHED: ReadonlySet<FailureType> = new Set(['Unauthorized', 'PreconditionFailed', 'Refused']);

type ActionOf<K extends TargetAction['kind']> = Extract<TargetAction, { kind: K }>;

export async function execute(state: TargetState, command: TargetCommand): Promise<TargetResult> {
  const { action } = command;
  switch (action.kind) {
    case 'divert':
      return divert(state, command, action);
    case 'half-open':
      return halfOpen(state, command, action);
    case 'restore':
      return restore(state, command);
    case 'override':
      return override(state, command, action);
    case 'release':
      delete state.data.holders[command.incidentId];
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

async function project(state: TargetState, command: TargetCommand, breaker: Breaker): Promise<void> {
  await clusterMutations(command.target.cluster).projectBreaker({
    target: command.target,
    breaker,
    commandId: command.id,
  });
  state.data.breaker = breaker;
  state.data.projectedBy = command.id;
}

/** A person's override holds against automation until it ends. */
function refuseAgainstOverride(state: TargetState, wanted: 'open' | 'closed'): void {
  const current = state.data.override;
  if (current && current.force !== wanted && current.untilMs > Date.now()) {
    throw new CommandRefused(
      'Refused',
      `${current.person} forced the breaker of ${targetKey(state.data.target)} ${current.force} until ${new Date(current.untilMs).toISOString()}`,
    );
  }
}

async function divert(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'divert'>,
): Promise<TargetResult> {
  const { target } = command;
  refuseAgainstOverride(state, 'open');
  state.hold(command, Date.now());
  const notes: string[] = [];
  let fallback = action.fallback;
  if (fallback !== undefined) {
    const { problems } = await clusterActivities(target.cluster).checkFallback({ target, fallback });
    if (problems.length > 0) {
      notes.push(`Traffic is blocked instead of diverted to ${fallback}: ${problems.join('; ')}`);
      fallback = undefined;
    }
  }
  // Written even where it should be open already: what gateways read may have been changed by somebody else.
  const already = state.data.breaker.state === 'open' && state.data.breaker.fallback === fallback;
  state.data.reverted = 0;
  if (already) {
    await project(state, command, state.data.breaker);
  } else {
    await project(state, command, {
      state: 'open',
      sinceMs: Date.now(),
      reason: action.reason,
      fallback,
      share: 0,
    });
  }
  return {
    kind: 'breaker',
    breaker: state.data.breaker,
    changed: !already,
    note: notes.join('. ') || undefined,
  };
}

/** Template hash of what runs now. */
async function runningTemplate(command: TargetCommand): Promise<string> {
  const snapshot = await clusterActivities(command.target.cluster).takeSnapshot({ target: command.target });
  return snapshot.templateHash;
}

async function halfOpen(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'half-open'>,
): Promise<TargetResult> {
  refuseAgainstOverride(state, 'closed');
  const running = state.data.ledger[await runningTemplate(command)];
  if (running?.verdict === 'known-bad') {
    throw new CommandRefused(
      'Refused',
      `the revision that runs is known bad (${running.reason}): no traffic goes back to it`,
    );
  }
  if (state.running.deployment) {
    throw new CommandRefused(
      'PreconditionFailed',
      'the deployment is being changed: traffic goes back only after the rollout',
    );
  }
  await project(state, command, {
    ...state.data.breaker,
    state: 'half-open',
    sinceMs: Date.now(),
    reason: `verification by incident ${command.incidentId}`,
    share: action.share,
  });
  return { kind: 'breaker', breaker: state.data.breaker, changed: true };
}

async function restore(state: TargetState, command: TargetCommand): Promise<TargetResult> {
  const { data } = state;
  if (data.breaker.state === 'closed') {
    delete data.holders[command.incidentId];
    return { kind: 'breaker', breaker: data.breaker, changed: false, note: 'Nothing was diverted' };
  }
  refuseAgainstOverride(state, 'closed');
  const running = data.ledger[await runningTemplate(command)];
  if (running?.verdict !== 'verified-good') {
    throw new CommandRefused('Refused', 'the revision that runs is not verified: the breaker stays as it is');
  }
  delete data.holders[command.incidentId];
  const others = Object.keys(data.holders);
  if (others.length > 0) {
    return {
      kind: 'breaker',
      breaker: data.breaker,
      changed: false,
      note: `The breaker stays ${data.breaker.state}: held by ${others.join(', ')} as well`,
    };
  }
  await project(state, command, {
    state: 'closed',
    sinceMs: Date.now(),
    reason: `recovery proved by incident ${command.incidentId}`,
    share: 1,
  });
  data.reverted = 0;
  return { kind: 'breaker', breaker: data.breaker, changed: true };
}

async function override(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'override'>,
): Promise<TargetResult> {
  const { data } = state;
  if (action.force === 'none') {
    data.override = undefined;
    return {
      kind: 'breaker',
      breaker: data.breaker,
      changed: false,
      note: 'The override ended; the breaker stays as it is',
    };
  }
  const reason = `forced ${action.force} by ${action.person}`;
  await project(
    state,
    command,
    action.force === 'open'
      ? { state: 'open', sinceMs: Date.now(), reason, fallback: data.breaker.fallback, share: 0 }
      : { state: 'closed', sinceMs: Date.now(), reason, share: 1 },
  );
  data.override = {
    force: action.force,
    person: action.person,
    reason: action.reason,
    untilMs: Date.now() + action.forMs,
  };
  return { kind: 'breaker', breaker: data.breaker, changed: true };
}

async function planRollback(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'plan-rollback'>,
): Promise<TargetResult> {
  state.hold(command, Date.now());
  const answer = await clusterActivities(command.target.cluster).planRollback({
    target: command.target,
    to: action.to,
    ledger: state.data.ledger,
    approval: action.approval,
    gitops: action.gitops,
    served: action.served,
  });
  return 'plan' in answer ? { kind: 'plan', plan: answer.plan } : { kind: 'no-plan', none: answer.none };
}

async function rollBack(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'rollback'>,
): Promise<TargetResult> {
  const { plan } = action;
  state.hold(command, Date.now());
  if (state.data.breaker.state === 'half-open') {
    throw new CommandRefused(
      'PreconditionFailed',
      'a verification is under way on a share of the traffic: let it end first',
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
  const done = action.preapproved ? await runAutomatically(state, input) : await runRollback(input);
  if (plan.from.templateHash !== plan.to.templateHash) {
    state.data.ledger[plan.from.templateHash] = {
      verdict: 'known-bad',
      atMs: Date.now(),
      incidentId: command.incidentId,
      reason: `rolled back from by incident ${command.incidentId}`,
    };
  }
  return {
    kind: 'rolled-back',
    applied: done.applied,
    approvedBy: done.approvedBy,
    rollout: done.rollout,
    atMs: done.atMs,
  };
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
    if ((await runningTemplate(command)) !== templateHash) {
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
