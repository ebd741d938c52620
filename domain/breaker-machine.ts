/**
 * The circuit breaker of one target as a state machine: pure, so that its promise can be checked from every state that
 * can be reached. The promise: nothing but a verification, a proved revision or a person ever moves traffic towards the
 * target. Timers, expiries, lost state and failures only ever move it away.
 */
import type { Breaker } from './breaker.ts';
import type { FailureType } from './failure.ts';

/** What runs on the target when a decision is made, by the ledger of its actor. */
export interface RunningRevision {
  templateHash: string;
  verdict?: 'verified-good' | 'known-bad';
  /** When it was judged. */
  judgedAtMs?: number;
  /** Why it is known bad. */
  reason?: string;
  /** The deployment is being changed by us right now. */
  changing?: boolean;
}

export interface Holder {
  replyTo?: string;
  sinceMs: number;
  /** It has proved its revision and wants the traffic back: it no longer keeps the breaker from closing. */
  wantsRestore?: boolean;
}

/** A person's word against automation, for a time. `hold`: it stays as it is. */
export interface Override {
  force: 'open' | 'closed' | 'hold';
  person: string;
  reason: string;
  untilMs: number;
}

/** Plain JSON: carried over continue-as-new. */
export interface BreakerControl {
  breaker: Breaker;
  holders: Record<string, Holder>;
  override?: Override;
  /** While half-open: the template that traffic was let in for. Another one gets none. */
  admitted?: string;
  /** While half-open without proof: when the share is taken away again, whoever may have died. */
  shareUntilMs?: number;
  /** The fallback of the last diversion, for a containment that is renewed; absent: there was none, or it failed. */
  lastFallback?: string;
  /** When harm last had traffic sent away: a proof that is older proves nothing about it. */
  containedAtMs?: number;
  /** When it tripped by itself; nobody holds it then. */
  trippedAtMs?: number;
  /**
   * Contained for something that no incident's word about its own alarm ends: proved harm, a person, an incident that let go
   * without a proof, or nobody knows what. A trip is told by `trippedAtMs`.
   */
  leftContained?: true;
}

export type BreakerEvent =
  /** An incident contains: all traffic away, to the fallback or to nobody. */
  | { kind: 'divert'; incidentId: string; replyTo?: string; fallback?: string; reason: string }
  /** What was let in is taken away again, to where the rest of the traffic goes. */
  | { kind: 'contain'; reason: string }
  /** The watch saw too much harm. */
  | { kind: 'trip'; fallback?: string; reason: string }
  /** The fallback failed as well. */
  | { kind: 'block'; reason: string }
  /** A verification lets a share in. */
  | { kind: 'half-open'; incidentId: string; share: number; forMs: number; running: RunningRevision }
  /** A proved revision gets more, or with 1 all, of its traffic back. */
  | { kind: 'restore'; incidentId: string; share: number; running: RunningRevision }
  /** A person says that there was no harm: the incident gives all traffic back and lets go. */
  | {
      kind: 'clear';
      incidentId: string;
      /** Why, as gateways and people read it. */
      reason: string;
      /** It answers the trip of this breaker: its word is about that as well. */
      ofTrip?: boolean;
      running: RunningRevision;
    }
  | {
      kind: 'override';
      force: 'open' | 'closed' | 'hold' | 'none';
      person: string;
      reason: string;
      forMs: number;
    }
  | { kind: 'hold'; incidentId: string; replyTo?: string }
  | { kind: 'release'; incidentId: string }
  /** The recovery time of a breaker that tripped by itself is over: a proved revision is tried again. */
  | { kind: 'recovery-due'; share: number; forMs: number; recoveryMs: number; running: RunningRevision }
  /** Time has passed. `running`: what runs now, where it was looked at. */
  | { kind: 'tick'; running?: RunningRevision }
  /** What is found to have been written: by an actor that is gone, or by people with a kubeconfig. Only ever contains. */
  | { kind: 'adopt'; seen: Breaker | undefined };

export type BreakerDecision =
  | {
      ok: true;
      control: BreakerControl;
      /** The breaker is to be written. */
      changed: boolean;
      /** What holders are told. */
      news?: string;
      /** Somebody must look. */
      needsHuman?: boolean;
      /** Incidents that keep it from closing. */
      heldBy?: string[];
    }
  | { ok: false; type: FailureType; message: string };

export function newBreakerControl(nowMs: number): BreakerControl {
  return { breaker: { state: 'closed', sinceMs: nowMs, reason: 'no incident', share: 1 }, holders: {} };
}

/** The next state, and what is to be done about it. Mutates nothing. */
export function decideBreaker(control: BreakerControl, event: BreakerEvent, nowMs: number): BreakerDecision {
  switch (event.kind) {
    case 'divert': {
      const held = hold(control, event.incidentId, event.replyTo, nowMs);
      const refused = againstOverride(held, 'open', nowMs);
      if (refused) return refused;
      // It was open before, and whoever had it opened is gone: this incident cannot speak for that.
      const unexplained =
        control.breaker.state !== 'closed' &&
        control.trippedAtMs === undefined &&
        Object.keys(control.holders).length === 0;
      const diverted = unexplained ? { ...held, leftContained: true as const } : held;
      return opened(contained(diverted, nowMs), event.fallback, event.reason, nowMs);
    }
    case 'contain': {
      const { breaker, lastFallback } = control;
      const refused = againstOverride(control, 'open', nowMs);
      if (refused) return refused;
      const fallback = breaker.state === 'closed' ? lastFallback : breaker.fallback;
      // What was not proved is not tried again by a timer.
      const { trippedAtMs: _t, ...rest } = contained(control, nowMs);
      return opened({ ...rest, leftContained: true }, fallback, event.reason, nowMs);
    }
    case 'trip': {
      const refused = againstOverride(control, 'open', nowMs);
      if (refused) return refused;
      if (control.breaker.state === 'open') return unchanged(control);
      const tripped = opened(contained(control, nowMs), event.fallback, event.reason, nowMs);
      return tripped.ok ? { ...tripped, control: { ...tripped.control, trippedAtMs: nowMs } } : tripped;
    }
    case 'block':
      return blocked(control, event.reason, nowMs);
    case 'half-open':
      return halfOpen(hold(control, event.incidentId, undefined, nowMs), event, nowMs);
    case 'restore':
      return restored(control, event, nowMs);
    case 'clear':
      return cleared(control, event, nowMs);
    case 'override':
      return overridden(control, event, nowMs);
    case 'hold':
      return unchanged(hold(control, event.incidentId, event.replyTo, nowMs));
    case 'release':
      return unchanged(letGo(control, event.incidentId));
    case 'recovery-due':
      return recoveryDue(control, event, nowMs);
    case 'tick':
      return ticked(control, event.running, nowMs);
    case 'adopt':
      return adopted(control, event.seen, nowMs);
  }
}

function unchanged(control: BreakerControl): BreakerDecision {
  return { ok: true, control, changed: false };
}

function refuse(type: FailureType, message: string): BreakerDecision & { ok: false } {
  return { ok: false, type, message };
}

function hold(
  control: BreakerControl,
  incidentId: string,
  replyTo: string | undefined,
  nowMs: number,
): BreakerControl {
  const known = control.holders[incidentId];
  const holder: Holder = known ?? { sinceMs: nowMs };
  if (known !== undefined && (replyTo === undefined || known.replyTo === replyTo)) return control;
  return {
    ...control,
    holders: { ...control.holders, [incidentId]: replyTo === undefined ? holder : { ...holder, replyTo } },
  };
}

function without(control: BreakerControl, incidentId: string): BreakerControl {
  const { [incidentId]: _gone, ...holders } = control.holders;
  return { ...control, holders };
}

/** Lets go without a proof: what it contained stays contained, whatever others say of their own alarms. */
function letGo(control: BreakerControl, incidentId: string): BreakerControl {
  const holder = control.holders[incidentId];
  const freed = without(control, incidentId);
  const unproved = holder !== undefined && !holder.wantsRestore && control.breaker.state !== 'closed';
  return unproved ? { ...freed, leftContained: true } : freed;
}

/** Contained anew: whoever wanted the traffic back has to prove it anew as well. */
function contained(control: BreakerControl, nowMs: number): BreakerControl {
  return { ...withoutRestoreWishes(control), containedAtMs: nowMs };
}

function withoutRestoreWishes(control: BreakerControl): BreakerControl {
  const holders = Object.fromEntries(
    Object.entries(control.holders).map(([id, { wantsRestore: _wish, ...holder }]) => [id, holder]),
  );
  return { ...control, holders };
}

/** A person's override holds against automation until it ends. */
function againstOverride(
  { override }: BreakerControl,
  wanted: 'open' | 'closed',
  nowMs: number,
): (BreakerDecision & { ok: false }) | undefined {
  if (!override || override.force === wanted || override.untilMs <= nowMs) return undefined;
  const until = new Date(override.untilMs).toISOString();
  const what =
    override.force === 'hold' ? 'holds the breaker as it is' : `forced the breaker ${override.force}`;
  return refuse('Refused', `${override.person} ${what} until ${until}`);
}

function opened(
  control: BreakerControl,
  fallback: string | undefined,
  reason: string,
  nowMs: number,
): BreakerDecision {
  const { breaker } = control;
  const rest = closedToShares(control);
  if (breaker.state === 'open' && breaker.fallback === fallback) return unchanged(rest);
  return {
    ok: true,
    changed: true,
    control: {
      ...rest,
      lastFallback: fallback,
      breaker: { state: 'open', sinceMs: nowMs, reason, fallback, share: 0 },
    },
  };
}

/** Without the fallback: nobody is served until people, or a new diversion, say otherwise. */
function blocked(control: BreakerControl, reason: string, nowMs: number): BreakerDecision {
  const { breaker, override } = control;
  if (breaker.state === 'closed' || (breaker.state === 'open' && breaker.fallback === undefined))
    return unchanged(control);
  if (override?.force === 'hold' && override.untilMs > nowMs) {
    const news = `${reason}: ${override.person} holds the breaker as it is, so traffic is not blocked`;
    return { ok: true, control, changed: false, news, needsHuman: true };
  }
  // A share that is being verified, or was, is not the fallback's: only the rest is blocked.
  const half = breaker.state === 'half-open';
  if (half && breaker.fallback === undefined) return unchanged(control);
  return {
    ok: true,
    changed: true,
    control: {
      ...control,
      lastFallback: undefined,
      breaker: { ...breaker, sinceMs: half ? breaker.sinceMs : nowMs, reason, fallback: undefined },
    },
    news: `${reason}: ${half ? 'the rest of the traffic' : 'all traffic'} is blocked now`,
    needsHuman: true,
  };
}

function closedToShares({ admitted: _a, shareUntilMs: _s, ...control }: BreakerControl): BreakerControl {
  return control;
}

function refuseBad(running: RunningRevision): (BreakerDecision & { ok: false }) | undefined {
  if (running.changing) {
    const why = 'the deployment is being changed: traffic goes back only after the rollout';
    // By another incident, maybe: it passes.
    return refuse('Conflict', why);
  }
  if (running.verdict !== 'known-bad') return undefined;
  const why = running.reason === undefined ? '' : ` (${running.reason})`;
  return refuse('Refused', `the revision that runs is known bad${why}: no traffic goes back to it`);
}

function halfOpen(
  control: BreakerControl,
  { share, forMs, running, incidentId }: Extract<BreakerEvent, { kind: 'half-open' }>,
  nowMs: number,
): BreakerDecision {
  if (control.breaker.state === 'closed') return unchanged(control);
  const refused = againstOverride(control, 'closed', nowMs) ?? refuseBad(running);
  if (refused) return refused;
  const until = { ...control, shareUntilMs: nowMs + forMs };
  return letIn(until, running, { share, reason: `verification by incident ${incidentId}` }, nowMs);
}

/** A share for the template that runs, and for no other. */
function letIn(
  control: BreakerControl,
  running: RunningRevision,
  { share, reason }: { share: number; reason: string },
  nowMs: number,
): BreakerDecision {
  return {
    ok: true,
    changed: true,
    control: {
      ...control,
      admitted: running.templateHash,
      breaker: {
        ...control.breaker,
        state: 'half-open',
        sinceMs: nowMs,
        reason,
        share: clampShare(share),
      },
    },
  };
}

/** A share is a part; all of it is `restore`. */
function clampShare(share: number): number {
  return Number.isFinite(share) ? Math.min(Math.max(share, 0), 1) : 0;
}

function restored(
  control: BreakerControl,
  { incidentId, share, running }: Extract<BreakerEvent, { kind: 'restore' }>,
  nowMs: number,
): BreakerDecision {
  if (control.breaker.state === 'closed') return unchanged(without(control, incidentId));
  const refused = againstOverride(control, 'closed', nowMs) ?? refuseBad(running);
  if (refused) return refused;
  if (running.verdict !== 'verified-good') {
    return refuse('Refused', 'the revision that runs is not verified: the breaker stays as it is');
  }
  const proof = isProof(control, running);
  const known = control.holders[incidentId] ?? { sinceMs: nowMs };
  const wishing: BreakerControl = {
    ...control,
    holders: { ...control.holders, [incidentId]: { ...known, wantsRestore: true } },
  };
  const heldBy = Object.entries(wishing.holders)
    .filter(([, holder]) => !holder.wantsRestore)
    .map(([id]) => id);
  if (heldBy.length > 0) return { ok: true, control: wishing, changed: false, heldBy };
  if (!proof) {
    const why = 'traffic was sent away for harm after the revision that runs was verified: verify it again';
    return refuse('Refused', why);
  }
  const wanted = clampShare(share);
  if (wanted >= 1)
    return closed(without(wishing, incidentId), `recovery proved by incident ${incidentId}`, nowMs);
  const { shareUntilMs: _u, ...proved } = wishing;
  // Two incidents may restore side by side: the one that is behind takes nothing away.
  const admitted = running.templateHash;
  if (wishing.breaker.state === 'half-open' && wishing.breaker.share >= wanted)
    return unchanged({ ...proved, admitted });
  const reason = `restoring after incident ${incidentId}`;
  return letIn(proved, running, { share: wanted, reason }, nowMs);
}

/** The alarm was wrong, so nothing has to be proved; what others contain, or a revision known to be bad, stays contained. */
function cleared(
  control: BreakerControl,
  { incidentId, reason, ofTrip = false, running }: Extract<BreakerEvent, { kind: 'clear' }>,
  nowMs: number,
): BreakerDecision {
  if (control.breaker.state === 'closed') return unchanged(without(control, incidentId));
  const refused = againstOverride(control, 'closed', nowMs) ?? refuseBad(running);
  if (refused) return refused;
  const freed = without(control, incidentId);
  const heldBy = Object.keys(freed.holders);
  if (heldBy.length > 0) return { ok: true, control: freed, changed: false, heldBy };
  const notItsOwn = control.leftContained || (control.trippedAtMs !== undefined && !ofTrip);
  if (control.holders[incidentId] === undefined || notItsOwn) {
    const why =
      'traffic was not sent away for this incident alone: prove the revision that runs, or force the breaker closed';
    return refuse('Refused', why);
  }
  return closed(freed, reason, nowMs);
}

function closed(control: BreakerControl, reason: string, nowMs: number): BreakerDecision {
  const { trippedAtMs: _t, containedAtMs: _c, leftContained: _l, ...rest } = closedToShares(control);
  return {
    ok: true,
    changed: true,
    control: { ...rest, breaker: { state: 'closed', sinceMs: nowMs, reason, share: 1 } },
  };
}

/** Verified, and not before harm had the traffic sent away. */
function isProof({ containedAtMs }: BreakerControl, running: RunningRevision): boolean {
  if (running.verdict !== 'verified-good') return false;
  return containedAtMs === undefined || (running.judgedAtMs ?? 0) >= containedAtMs;
}

function overridden(
  control: BreakerControl,
  { force, person, reason, forMs }: Extract<BreakerEvent, { kind: 'override' }>,
  nowMs: number,
): BreakerDecision {
  const { override: _before, ...rest } = control;
  if (force === 'none') return unchanged(rest);
  const override: Override = { force, person, reason, untilMs: nowMs + forMs };
  if (force === 'hold') return unchanged({ ...rest, override });
  const why = `forced ${force} by ${person}`;
  if (force === 'closed') {
    const breaker: Breaker = { state: 'closed', sinceMs: nowMs, reason: why, share: 1 };
    return { ok: true, changed: true, control: { ...closedToShares(rest), override, breaker } };
  }
  const fallback = control.breaker.state === 'closed' ? control.lastFallback : control.breaker.fallback;
  const breaker: Breaker = { state: 'open', sinceMs: nowMs, reason: why, fallback, share: 0 };
  const open: BreakerControl = { ...closedToShares(rest), override, breaker, leftContained: true };
  return { ok: true, changed: true, control: open };
}

function recoveryDue(
  control: BreakerControl,
  { share, forMs, recoveryMs, running }: Extract<BreakerEvent, { kind: 'recovery-due' }>,
  nowMs: number,
): BreakerDecision {
  const { breaker, trippedAtMs } = control;
  const held = Object.keys(control.holders).length > 0;
  if (breaker.state !== 'open' || trippedAtMs === undefined || held) return unchanged(control);
  if (control.override !== undefined || nowMs < trippedAtMs + recoveryMs) return unchanged(control);
  // A timer alone is no reason: only a revision that was proved is tried again.
  if (running.changing || !isProof({ ...control, containedAtMs: undefined }, running))
    return unchanged(control);
  const reason = 'recovery time is over: the proved revision is tried again';
  return letIn({ ...control, shareUntilMs: nowMs + forMs }, running, { share, reason }, nowMs);
}

function ticked(
  control: BreakerControl,
  running: RunningRevision | undefined,
  nowMs: number,
): BreakerDecision {
  const { override } = control;
  if (override && override.untilMs <= nowMs) return overrideEnded(control, override, running, nowMs);
  if (control.breaker.state !== 'half-open') return unchanged(control);
  const lapsed = control.shareUntilMs !== undefined && control.shareUntilMs <= nowMs;
  const replaced = running !== undefined && running.templateHash !== control.admitted;
  const bad = running?.verdict === 'known-bad';
  if (!lapsed && !replaced && !bad) return unchanged(control);
  const reason = lapsed
    ? 'the share of traffic was not taken away by whoever verified'
    : replaced
      ? 'another template runs than the one that traffic was let in for'
      : 'the revision that runs is known bad';
  const away = opened(withoutRestoreWishes(control), control.breaker.fallback, reason, nowMs);
  return away.ok ? { ...away, news: `${reason}: all traffic is diverted again`, needsHuman: true } : away;
}

/** An override's end leaves things contained: what an incident still holds, unproved, is diverted again. */
function overrideEnded(
  control: BreakerControl,
  override: Override,
  running: RunningRevision | undefined,
  nowMs: number,
): BreakerDecision {
  const { override: _ended, ...rest } = control;
  const ended = `The override of the breaker (${override.force}, by ${override.person}) has ended`;
  const held = Object.values(rest.holders).some((holder) => !holder.wantsRestore);
  const proved = running !== undefined && isProof(rest, running);
  if (override.force !== 'closed' || !held || proved) {
    // A share that was held as it is may be late by now.
    const rested = ticked(rest, running, nowMs);
    if (!rested.ok) return rested;
    return { ...rested, news: `${ended}; ${rested.news ?? 'traffic stays as it is'}`, needsHuman: true };
  }
  const reason = 'an override ended while an incident holds the target';
  const away = opened(rest, rest.lastFallback, reason, nowMs);
  return away.ok ? { ...away, news: `${ended}; all traffic is diverted again`, needsHuman: true } : away;
}

/** Nothing is known of why it is as it is: open stays open, and a share that nobody vouches for is taken away. */
function adopted(control: BreakerControl, seen: Breaker | undefined, nowMs: number): BreakerDecision {
  if (seen === undefined || seen.state === 'closed' || control.breaker.state === 'open')
    return unchanged(control);
  const found: BreakerControl = {
    ...closedToShares(withoutRestoreWishes(control)),
    lastFallback: seen.fallback,
    leftContained: true,
    breaker: {
      state: 'open',
      sinceMs: seen.state === 'open' ? seen.sinceMs : nowMs,
      reason: seen.reason,
      fallback: seen.fallback,
      share: 0,
    },
  };
  return { ok: true, control: found, changed: seen.state !== 'open' };
}
