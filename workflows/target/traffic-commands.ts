/** What the traffic lane does for each command: the breaker's machine decides, gateways are told. */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { BreakerEvent, RunningRevision } from '../../domain/breaker-machine.ts';
import type { Target } from '../../domain/target.ts';
import type { TargetAction, TargetCommand, TargetResult } from '../../domain/target-command.ts';
import { clusterActivities } from '../activities.ts';
import { apply, carryOut, letGoOfEnded } from './projection.ts';
import { CommandRefused, type TargetState } from './state.ts';

/** A diversion may wait behind it: what cannot be read soon is asked for again by whoever sent the command. */
const READ_ATTEMPTS = 3;

type ActionOf<K extends TargetAction['kind']> = Extract<TargetAction, { kind: K }>;

/** The fallback is looked at for no longer than this: harm goes on meanwhile. */
const CHECK_FALLBACK_WITHIN_MS = 5_000;
/** How far back the fallback's own harm is looked at before anything is sent there: the guide's window. */
const FALLBACK_WINDOW_MS = 5 * 60_000;

export async function divert(
  state: TargetState,
  command: TargetCommand,
  action: ActionOf<'divert'>,
): Promise<TargetResult> {
  const { data } = state;
  const { incidentId, replyTo } = command;
  const notes: string[] = [];
  let { fallback } = action;
  // Refused or not, before anybody waits for the fallback to be looked at.
  state.decide({ kind: 'divert', incidentId, replyTo, fallback, reason: action.reason });
  if (fallback !== undefined) {
    const problems = await problemsOf(command.target, fallback, action.fallbackHarm);
    if (problems.length > 0) {
      notes.push(`Traffic is blocked instead of diverted to ${fallback}: ${problems.join('; ')}`);
      fallback = undefined;
    }
  }
  const wasClosed = state.breaker.state === 'closed';
  const decided = state.decide({ kind: 'divert', incidentId, replyTo, fallback, reason: action.reason });
  data.reverted = 0;
  data.fallbackAway = 0;
  data.fallbackHarm = action.fallbackHarm;
  // Written even where it should be open already: what gateways read may have been changed by somebody else.
  await carryOut(state, decided, command.id);
  if (wasClosed) data.capacityBefore = await readyReplicas(command.target);
  notes.push(...data.projectionProblems);
  return {
    kind: 'breaker',
    breaker: state.breaker,
    changed: decided.changed,
    note: notes.join('. ') || undefined,
  };
}

/** Takes back what was let in. The fallback stays as it is, and so does its watch; one that failed is not used again. */
export async function contain(
  state: TargetState,
  command: TargetCommand,
  reason: string,
): Promise<TargetResult> {
  const decided = state.decide({ kind: 'contain', reason });
  state.data.reverted = 0;
  await carryOut(state, decided, command.id);
  return { kind: 'breaker', breaker: state.breaker, changed: decided.changed };
}

/** Why traffic must not be sent to a fallback. What cannot be found out in time is no reason: harm goes on meanwhile. */
export async function problemsOf(
  target: Target,
  fallback: string,
  harm: ActionOf<'divert'>['fallbackHarm'],
): Promise<string[]> {
  const cluster = clusterActivities(target.cluster, 2);
  const within = async (work: () => Promise<string[]>): Promise<string[]> => {
    try {
      return await CancellationScope.withTimeout(CHECK_FALLBACK_WITHIN_MS, work);
    } catch (error) {
      if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
      return [];
    }
  };
  const [serving, harmful] = await Promise.all([
    within(async () => (await cluster.checkFallback({ target, fallback })).problems),
    within(async () => {
      if (harm === undefined) return [];
      const { limits, metrics } = harm;
      const its: Target = { ...target, kind: 'Deployment', name: fallback };
      const look = await cluster.judgeHarm({ target: its, metrics, windowMs: FALLBACK_WINDOW_MS, limits });
      return look.verdict === 'exceeded' ? look.reasons : [];
    }),
  ]);
  return [...serving, ...harmful];
}

async function readyReplicas(target: Target): Promise<number | undefined> {
  try {
    return (await clusterActivities(target.cluster, 2).readTarget({ target })).readyReplicas;
  } catch {
    return undefined;
  }
}

/** Template hash of what runs now. */
export async function runningTemplate(target: Target, maxAttempts?: number): Promise<string> {
  return (await clusterActivities(target.cluster, maxAttempts).readTemplateHash({ target })).templateHash;
}

function refuseFrozen(state: TargetState): void {
  const frozen = state.frozenUntil(Date.now());
  if (frozen !== undefined) throw new CommandRefused('Refused', `the target is ${frozen}: unfreeze it first`);
}

export async function halfOpen(
  state: TargetState,
  command: TargetCommand,
  { share, forMs }: ActionOf<'half-open'>,
): Promise<TargetResult> {
  const { incidentId, target } = command;
  refuseFrozen(state);
  const running = state.runningRevision(await runningTemplate(target, READ_ATTEMPTS));
  const decided = state.decide({ kind: 'half-open', incidentId, share, forMs, running });
  if (decided.changed) await carryOut(state, decided, command.id);
  return { kind: 'breaker', breaker: state.breaker, changed: decided.changed };
}

export async function restore(
  state: TargetState,
  command: TargetCommand,
  { share }: ActionOf<'restore'>,
): Promise<TargetResult> {
  const { incidentId } = command;
  return giveBack(state, command, share, (running) => ({ kind: 'restore', incidentId, share, running }));
}

export async function clear(
  state: TargetState,
  command: TargetCommand,
  { reason, ofTrip }: ActionOf<'clear'>,
): Promise<TargetResult> {
  const { incidentId } = command;
  return giveBack(state, command, 1, (running) => ({
    kind: 'clear',
    incidentId,
    reason,
    ofTrip,
    running,
  }));
}

/** Traffic goes back when the machine agrees, to what runs, and when there are the pods to take it. */
async function giveBack(
  state: TargetState,
  command: TargetCommand,
  share: number,
  eventFor: (running: RunningRevision) => BreakerEvent,
): Promise<TargetResult> {
  const { data } = state;
  const { incidentId, target } = command;
  if (!data.adopted) {
    throw new CommandRefused('Conflict', 'what gateways read of the breaker could not be looked at yet');
  }
  if (state.breaker.state === 'closed') {
    data.control = state.decide({ kind: 'release', incidentId }).control;
    return { kind: 'breaker', breaker: state.breaker, changed: false, note: 'Nothing was diverted' };
  }
  refuseFrozen(state);
  const event = eventFor(state.runningRevision(await runningTemplate(target, READ_ATTEMPTS)));
  let decided = state.decide(event);
  if (decided.heldBy && (await letGoOfEnded(state, decided.heldBy))) decided = state.decide(event);
  if (!decided.changed) {
    data.control = decided.control;
    const { heldBy } = decided;
    const note = heldBy && `The breaker stays ${state.breaker.state}: held by ${heldBy.join(', ')} as well`;
    return { kind: 'breaker', breaker: state.breaker, changed: false, note, heldBy };
  }
  await needCapacity(state, target, share);
  // Holds may have been taken meanwhile.
  decided = state.decide(event);
  if (!decided.changed) {
    const note = 'The breaker was changed meanwhile';
    return { kind: 'breaker', breaker: state.breaker, changed: false, note, heldBy: decided.heldBy };
  }
  await carryOut(state, decided, command.id);
  if (decided.control.breaker.state === 'closed') {
    data.reverted = 0;
    data.capacityBefore = undefined;
    data.fallbackHarm = undefined;
  }
  return { kind: 'breaker', breaker: state.breaker, changed: true };
}

/**
 * The pods that a share of the traffic needs must be ready first. An autoscaler may have taken pods away while there was
 * no traffic: what was ready before the diversion is the measure.
 */
export async function needCapacity(state: TargetState, target: Target, share: number): Promise<void> {
  const facts = await clusterActivities(target.cluster, READ_ATTEMPTS).readTarget({ target });
  const { readyReplicas: ready } = facts;
  if (ready === undefined) return;
  const whole = state.data.capacityBefore ?? facts.replicas ?? 1;
  const needed = Math.max(1, Math.ceil(whole * share));
  if (ready >= needed) return;
  throw new CommandRefused(
    'Conflict',
    `${ready} of the ${needed} pods that ${Math.round(share * 100)}% of the traffic needs are ready`,
  );
}

export async function override(
  state: TargetState,
  command: TargetCommand,
  { force, person, reason, forMs }: ActionOf<'override'>,
): Promise<TargetResult> {
  const decided = await apply(state, { kind: 'override', force, person, reason, forMs }, command.id);
  const blocked = force === 'open' && state.breaker.fallback === undefined;
  const note =
    force === 'none'
      ? 'The override ended; the breaker stays as it is'
      : blocked
        ? 'No fallback is known: all traffic is blocked'
        : undefined;
  return { kind: 'breaker', breaker: state.breaker, changed: decided.changed, note };
}
