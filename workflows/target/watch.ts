/** What the target's actor looks at by itself: what gateways read, the fallback, the target, overrides, time. */

import { condition, log } from '@temporalio/workflow';
import type { LookActivities } from '../../activities/contract.ts';
import { BREAKER_ALERTS } from '../../domain/breaker.ts';
import type { RunningRevision } from '../../domain/breaker-machine.ts';
import type { FailureType } from '../../domain/failure.ts';
import { clusterActivities } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { adopt, apply, endRaised, inTrafficLane, keepProjection, news, raise } from './projection.ts';
import { probe } from './recovery.ts';
import { CommandRefused, type TargetState } from './state.ts';
import { lookAtSuspended } from './suspended.ts';
import { problemsOf, runningTemplate } from './traffic-commands.ts';

/** One scrape of most installations: nothing new can be seen more often. While the target gets some of its traffic. */
const LOOK_EVERY_MS = 15_000;
/** Between two looks, whatever ends: an end that cannot be carried out must not spin. */
const LEAST_PAUSE_MS = 1_000;
/** While it gets none of it. */
const LOOK_WHILE_OPEN_EVERY_MS = 30_000;
/** A diversion may last for days: what has held for hours is looked at more rarely, up to this. */
const LONGEST_BETWEEN_LOOKS_MS = 2 * 60_000;
/** Part of the time that it has held already until the next look. */
const REST = 1 / 60;
/** Looks in a row that must find the fallback unable to serve: one may fall into a rollout. */
const AWAY_LOOKS = 2;
/** A look is not worth repeating for long: the next one comes. */
const LOOK_ATTEMPTS = 2;

/** How reading fails for good: no rights, no such place. */
const NEVER_READ: ReadonlySet<FailureType> = new Set(['Unauthorized', 'NotFound', 'InvalidInput', 'Refused']);

/** Runs until the actor drains. Every look may fail; the next one comes. */
export async function watchTarget(state: TargetState, draining: () => boolean): Promise<void> {
  const { data } = state;
  await adoptOnce(state, draining);
  for (;;) {
    const wanted = () =>
      state.breaker.state !== 'closed' ||
      data.control.override !== undefined ||
      data.watch !== undefined ||
      data.raised.length > 0 ||
      data.projectionProblems.length > 0 ||
      data.suspended.length > 0 ||
      data.frozen !== undefined;
    await condition(() => wanted() || draining());
    if (draining()) return;
    await condition(() => !wanted() || draining(), nextLookMs(state));
    if (draining()) return;
    await attempt('what expires', () => expire(state));
    const unwritten = data.projectionProblems.length > 0;
    if (state.breaker.state !== 'closed' || data.control.override !== undefined || unwritten)
      await attempt('the breaker', () => lookAtBreaker(state, draining));
    await attempt('what was suspended', () => lookAtSuspended(state));
    if (data.watch !== undefined) await attempt('the watched target', () => watchHarm(state, draining));
    else if (state.breaker.state === 'closed')
      await attempt('the end of an alert', () => endRaised(state, 'Nothing is watched any more'));
  }
}

/** The next look, or earlier where something ends by then. */
function nextLookMs(state: TargetState): number {
  const { control, frozen } = state.data;
  const ends = [control.override?.untilMs, control.shareUntilMs, frozen?.untilMs].filter(
    (at) => at !== undefined,
  );
  const heldForMs = Date.now() - state.breaker.sinceMs;
  const every =
    state.breaker.state === 'open'
      ? Math.min(Math.max(LOOK_WHILE_OPEN_EVERY_MS, heldForMs * REST), LONGEST_BETWEEN_LOOKS_MS)
      : LOOK_EVERY_MS;
  return Math.max(LEAST_PAUSE_MS, Math.min(every, ...ends.map((at) => at - Date.now())));
}

async function attempt(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Refused by what has changed meanwhile: the next look decides anew.
    if (error instanceof CommandRefused) return;
    log.warn(`${what} could not be looked at`, { problem: readFailure(error).message });
  }
}

/** An actor that remembers nothing takes over what gateways read: an open breaker stays open. Tried until it is known. */
async function adoptOnce(state: TargetState, draining: () => boolean): Promise<void> {
  const { data } = state;
  for (let pauseMs = LOOK_EVERY_MS; !data.adopted && !draining(); pauseMs *= 2) {
    await attempt('the breaker that was found', async () => {
      await inTrafficLane(state, 'adopt', draining, async () => {
        try {
          // A command was faster: what it wrote is known.
          if (data.projectedBy === '') await adopt(state);
          data.adopted = true;
        } catch (error) {
          // Where nothing may be read, nothing can have been written by us either.
          if (NEVER_READ.has(readFailure(error).type)) data.adopted = true;
          throw error;
        }
      });
    });
    if (data.adopted) return;
    await condition(() => data.projectedBy !== '' || draining(), Math.min(pauseMs, LONGEST_BETWEEN_LOOKS_MS));
  }
}

async function expire({ data }: TargetState): Promise<void> {
  const nowMs = Date.now();
  if (data.frozen && data.frozen.untilMs <= nowMs) data.frozen = undefined;
  if (data.watch && data.watch.untilMs <= nowMs) data.watch = undefined;
}

/** What gateways read, the fallback, and what runs: looked at together, judged one after the other. */
async function lookAtBreaker(state: TargetState, draining: () => boolean): Promise<void> {
  const { data } = state;
  const { target } = data;
  const { breaker } = state;
  const { projectedAtMs } = data;
  const look = await clusterActivities(target.cluster, LOOK_ATTEMPTS).lookAtTarget({
    target,
    wanted: breaker,
    fallbackHarm: data.fallbackHarm,
    readTemplate: breaker.state === 'half-open' || data.control.override !== undefined,
  });
  if (look.failed.length > 0) log.warn('not all of the target could be looked at', { problems: look.failed });
  const { templateHash } = look;
  await tick(state, templateHash === undefined ? undefined : state.runningRevision(templateHash), draining);
  // What was looked at is of the past where a command, or the tick, has changed the breaker since.
  const still = () => state.breaker === breaker && data.projectedAtMs === projectedAtMs;
  if (still()) await judgeFallback(state, look, draining);
  const { projection } = look;
  if (!projection) return;
  await inTrafficLane(state, 'compare', draining, async () => {
    const wanted = breaker.state !== 'closed' || data.projectionProblems.length > 0;
    if (still() && wanted) await keepProjection(state, projection);
  });
}

/** Overrides end, shares that nobody vouches for are taken away. */
async function tick(
  state: TargetState,
  running: RunningRevision | undefined,
  draining: () => boolean,
): Promise<void> {
  let told: { news: string; needsHuman: boolean } | undefined;
  await inTrafficLane(state, 'tick', draining, async () => {
    const decided = await apply(state, { kind: 'tick', running }, `tick-${Date.now()}`);
    if (decided.news) told = { news: decided.news, needsHuman: decided.needsHuman ?? false };
  });
  if (told) await news(state, told.news, told.needsHuman);
}

/** A fallback that harms or cannot serve is no containment: nobody is served then, and somebody is called. */
async function judgeFallback(
  state: TargetState,
  { fallbackProblems, fallbackHarm }: Awaited<ReturnType<LookActivities['lookAtTarget']>>,
  draining: () => boolean,
): Promise<void> {
  const { data } = state;
  const { fallback } = state.breaker;
  if (fallback === undefined) return;
  if (fallbackProblems !== undefined)
    data.fallbackAway = fallbackProblems.length > 0 ? data.fallbackAway + 1 : 0;
  const away = data.fallbackAway >= AWAY_LOOKS ? fallbackProblems : undefined;
  const why = fallbackHarm?.verdict === 'exceeded' ? fallbackHarm.reasons : away;
  if (why === undefined) return;
  const reason = `the fallback ${fallback} failed (${why.join('; ')})`;
  let told: string | undefined;
  await inTrafficLane(state, 'block', draining, async () => {
    if (state.breaker.fallback !== fallback) return;
    const decided = await apply(state, { kind: 'block', reason }, `block-${Date.now()}`);
    // Held as it is by a person: told once, not at every look.
    if (!decided.changed) data.fallbackHarm = undefined;
    told = decided.news;
  });
  if (told !== undefined) await news(state, told, true);
}

/** The breaker of a watched target trips by itself, and an alert like any other tells of it. */
async function watchHarm(state: TargetState, draining: () => boolean): Promise<void> {
  const { data } = state;
  const { watch, target } = data;
  if (!watch) return;
  if (state.breaker.state !== 'closed') {
    if (state.probing) return;
    state.probing = true;
    // Beside the looks: what expires must not wait for it.
    attempt('the proved revision', () => probe(state, watch, draining)).finally(() => {
      state.probing = false;
    });
    return;
  }
  const look = await clusterActivities(target.cluster, LOOK_ATTEMPTS).judgeHarm({
    target,
    metrics: watch.metrics,
    windowMs: watch.windowMs,
    sinceMs: state.breaker.sinceMs,
    limits: watch.limits,
  });
  if (look.verdict !== 'exceeded') {
    await endRaised(state, 'No harm above the limit is proved any more');
    return;
  }
  const reason = `watched: ${look.reasons.join('; ')}`;
  const { mode, readyReplicas } = await clusterActivities(target.cluster, LOOK_ATTEMPTS).readTarget({
    target,
  });
  const { override } = data.control;
  if (mode === 'observe' || (override !== undefined && override.force !== 'open')) {
    const nowMs = Date.now();
    if (nowMs - (data.wouldHaveTrippedAtMs ?? 0) < watch.recoveryMs) return;
    data.wouldHaveTrippedAtMs = nowMs;
    await raise(state, BREAKER_ALERTS.wouldHaveTripped, reason);
    return;
  }
  let tripped = false;
  await inTrafficLane(state, 'trip', draining, async () => {
    if (state.breaker.state !== 'closed') return;
    const fallbackHarm = { limits: watch.limits, metrics: watch.metrics };
    const problems =
      watch.fallback === undefined ? [] : await problemsOf(target, watch.fallback, fallbackHarm);
    const fallback = problems.length === 0 ? watch.fallback : undefined;
    data.fallbackHarm = fallbackHarm;
    const decided = await apply(state, { kind: 'trip', fallback, reason }, `trip-${Date.now()}`);
    data.capacityBefore = readyReplicas;
    tripped = decided.changed;
  });
  if (!tripped) return;
  await raise(state, BREAKER_ALERTS.tripped, reason);
  // Whatever it proved before: it harms now.
  const templateHash = await runningTemplate(target, LOOK_ATTEMPTS);
  if (data.ledger[templateHash]?.verdict === 'verified-good') delete data.ledger[templateHash];
}
