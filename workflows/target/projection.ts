/** The breaker and what gateways read of it: decided here, written there, compared ever after. */

import { CancellationScope, condition, getExternalWorkflowHandle, log } from '@temporalio/workflow';
import type { TrafficActivities } from '../../activities/contract.ts';
import { BREAKER_ALERTS, type Breaker } from '../../domain/breaker.ts';
import type { BreakerControl, BreakerDecision, BreakerEvent } from '../../domain/breaker-machine.ts';
import type { FailureType } from '../../domain/failure.ts';
import { targetKey } from '../../domain/target.ts';
import { clusterActivities, clusterMutations, signaling } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { targetNewsSignal } from '../messages.ts';
import type { TargetState } from './state.ts';

/** Reverted this often, it is no longer fought: a human is called, and the breaker says what it should be. */
const MAX_REVERTED = 3;

/** How a write fails that was refused as a whole. */
const NOTHING_WRITTEN: ReadonlySet<FailureType> = new Set(['Refused', 'Unauthorized', 'NotFound']);

type Decided = Extract<BreakerDecision, { ok: true }>;

/** Whether the target gets more of its traffic than before: only that needs to be certain before it counts. */
function towardsTarget(before: Breaker, after: Breaker): boolean {
  return after.share > before.share;
}

/**
 * Takes a decision over and writes the breaker. Away from the target it counts as soon as it is decided, and is written
 * again until gateways have it; towards the target it counts when it is written.
 */
export async function carryOut(state: TargetState, decided: Decided, commandId: string): Promise<void> {
  const { data } = state;
  const { target } = data;
  const { breaker } = decided.control;
  const { control: before, projectedBy } = data;
  const towards = towardsTarget(state.breaker, breaker);
  // The other lane may take holds, or let go of them, while this is written.
  const take = () => {
    const holders = withChanges(before.holders, decided.control.holders, data.control.holders);
    data.control = { ...decided.control, holders };
    data.projectedBy = commandId;
  };
  if (!towards) take();
  try {
    const written = await clusterMutations(target.cluster).projectBreaker({ target, breaker, commandId });
    data.projectionProblems = written.problems;
    data.projectedAtMs = Date.now();
  } catch (error) {
    // Refused before anything was written (mode observe, missing rights): then nothing was diverted either.
    if (NOTHING_WRITTEN.has(readFailure(error).type) && !towards)
      Object.assign(data, { control: { ...before, holders: data.control.holders }, projectedBy });
    throw error;
  }
  if (towards) take();
}

/** Decides, and carries out what changes the breaker; the rest of the decision is taken over. @throws CommandRefused */
export async function apply(state: TargetState, event: BreakerEvent, commandId: string): Promise<Decided> {
  const decided = state.decide(event);
  if (decided.changed) await carryOut(state, decided, commandId);
  else state.data.control = decided.control;
  return decided;
}

type Holders = BreakerControl['holders'];

/** What a decision changed of the holders, made to what they are by now. */
function withChanges(before: Holders, decided: Holders, now: Holders): Holders {
  const kept = Object.entries(now).filter(([id]) => !(id in before) || id in decided);
  const changed = Object.entries(decided).filter(([id, holder]) => before[id] !== holder);
  return Object.fromEntries([...kept, ...changed]);
}

/** Runs work in the traffic lane, when it is free. @returns whether it ran; not when `over` came first. */
export async function inTrafficLane(
  state: TargetState,
  name: string,
  over: () => boolean,
  work: () => Promise<void>,
): Promise<boolean> {
  while (state.running.traffic !== undefined) {
    await condition(() => state.running.traffic === undefined || over());
    if (over()) return false;
  }
  state.running.traffic = { id: name };
  try {
    await work();
    return true;
  } finally {
    delete state.running.traffic;
  }
}

/** A half-open breaker is written again this often: gateways drop one that is not renewed (HALF_OPEN_LEASE_MS). */
const RENEW_EVERY_MS = 60_000;

/** What gateways read, compared with what they should, and written again; a half-open breaker is renewed by the same. */
export async function keepProjection(
  state: TargetState,
  seen: Awaited<ReturnType<TrafficActivities['readBreaker']>>,
): Promise<void> {
  const { data } = state;
  const { breaker } = state;
  const drift = [...seen.drift];
  const foreign =
    seen.commandId !== data.projectedBy ||
    seen.breaker?.state !== breaker.state ||
    seen.breaker.share !== breaker.share;
  if (foreign && drift.length === 0) drift.push("the breaker's ConfigMap");
  if (foreign && seen.breaker !== undefined && seen.breaker.share < breaker.share) {
    // Somebody contains: that is never fought.
    await adopt(state);
    await news(state, 'Somebody else took the traffic away from the target; it stays so', true);
    return;
  }
  // What could not be written before differs without anybody having changed it.
  if (drift.length === 0 || (data.projectionProblems.length > 0 && !foreign)) {
    const due = breaker.state === 'half-open' && Date.now() - data.projectedAtMs >= RENEW_EVERY_MS;
    if (due || data.projectionProblems.length > 0) await write(state, data.projectedBy);
    return;
  }
  if (data.reverted >= MAX_REVERTED) return;
  data.reverted++;
  const givesUp = data.reverted >= MAX_REVERTED;
  data.projectedBy = `${data.projectedBy.replace(/~\d+$/, '')}~${data.reverted}`;
  await write(state, data.projectedBy);
  const what = drift.join(', ');
  await news(
    state,
    `Something else changed ${what}; it was written again${givesUp ? ' for the last time' : ''}`,
    givesUp,
  );
}

/** Takes over what gateways read where it contains more than what is known here. */
export async function adopt(state: TargetState): Promise<void> {
  const { data } = state;
  const seen = await clusterActivities(data.target.cluster, 2).readBreaker({ target: data.target });
  const decided = state.decide({ kind: 'adopt', seen: seen.breaker });
  if (decided.changed) {
    await carryOut(state, decided, `${seen.commandId || 'found'}~adopted`);
    return;
  }
  const taken = decided.control.breaker !== state.breaker;
  data.control = decided.control;
  if (taken || data.projectedBy === '') data.projectedBy = seen.commandId ?? '';
}

async function write(state: TargetState, commandId: string): Promise<void> {
  const { target } = state.data;
  const { breaker } = state;
  const { problems } = await clusterMutations(target.cluster).projectBreaker({ target, breaker, commandId });
  state.data.projectionProblems = problems;
  state.data.projectedAtMs = Date.now();
}

/** Tells the incidents that hold the target what nobody commanded. */
export async function news(state: TargetState, text: string, needsHuman: boolean): Promise<void> {
  let told = false;
  for (const { replyTo } of Object.values(state.data.control.holders))
    if (replyTo !== undefined && (await tellHolder(state, replyTo, text, needsHuman))) told = true;
  // Nobody is at it any more, and somebody has to be.
  if (needsHuman && !told) await raise(state, BREAKER_ALERTS.needsHuman, text);
}

async function tellHolder(
  state: TargetState,
  replyTo: string,
  text: string,
  needsHuman: boolean,
): Promise<boolean> {
  const { breaker } = state;
  try {
    await CancellationScope.nonCancellable(() =>
      getExternalWorkflowHandle(replyTo).signal(targetNewsSignal, { text, needsHuman, breaker }),
    );
    return true;
  } catch (error) {
    log.warn('a holder of the target is gone', { problem: readFailure(error).message });
    return false;
  }
}

/** Lets go of the target in the place of incidents that ended without doing so. @returns whether there were any. */
export async function letGoOfEnded(state: TargetState, incidentIds: readonly string[]): Promise<boolean> {
  let any = false;
  for (const incidentId of incidentIds) {
    const replyTo = state.data.control.holders[incidentId]?.replyTo;
    if (replyTo === undefined) continue;
    const wanted = 'Another incident has proved its part and waits for this one to give the traffic back';
    if (state.data.askedToLetGo === incidentId || (await tellHolder(state, replyTo, wanted, false))) {
      state.data.askedToLetGo = incidentId;
      continue;
    }
    state.data.control = state.decide({ kind: 'release', incidentId }).control;
    any = true;
  }
  return any;
}

/** Tells of what the actor did by itself, on the way that every alert takes. */
export async function raise(state: TargetState, alertname: string, summary: string): Promise<void> {
  const { target, watch, raised } = state.data;
  const key = `${targetKey(target)}-${state.breaker.sinceMs}`;
  if (!raised.some((told) => told.alertname === alertname && told.key === key))
    raised.push({ alertname, key });
  await signaling.raiseAlert({ target, alertname, summary, key, runbook: watch?.runbook });
}

/** What was told is over. */
export async function endRaised(state: TargetState, summary: string): Promise<void> {
  const { target, watch, raised } = state.data;
  for (let told = raised[0]; told; told = raised[0]) {
    await signaling.raiseAlert({ target, summary, ...told, status: 'resolved', runbook: watch?.runbook });
    raised.shift();
  }
}
