import { describe, expect, it } from 'vitest';
import type { Breaker } from './breaker.ts';
import {
  type BreakerControl,
  type BreakerEvent,
  decideBreaker,
  newBreakerControl,
  type RunningRevision,
} from './breaker-machine.ts';

const NOW_MS = 1_000_000_000;
/** One step of time: what ends, ends after one or two of them. */
const STEP_MS = 60_000;

/** A breaker, what gateways last read of it, and the revision that runs, at a moment. */
interface World {
  control: BreakerControl;
  projected: Breaker;
  running: RunningRevision;
}

type Cause = BreakerEvent['kind'] | 'time' | 'crash' | 'shipped' | 'judged' | 'reprojected';
interface Transition {
  cause: Cause;
  event?: BreakerEvent;
  after: World;
}

const opened = (world: World): World => ({ ...world, projected: world.control.breaker });

/** Every message, in any order, any number of times: reordered, repeated and late ones are among them. */
function eventsFor({ running, projected }: World): BreakerEvent[] {
  const events: BreakerEvent[] = [
    { kind: 'trip', fallback: 'f', reason: 'x' },
    { kind: 'contain', reason: 'x' },
    { kind: 'block', reason: 'x' },
    { kind: 'recovery-due', share: 0.1, forMs: STEP_MS, recoveryMs: STEP_MS, running },
    { kind: 'adopt', seen: projected },
    { kind: 'tick', running },
    { kind: 'tick' },
  ];
  for (const force of ['open', 'closed', 'hold', 'none'] as const)
    events.push({ kind: 'override', force, person: 'kim', reason: 'x', forMs: STEP_MS });
  for (const incidentId of ['a', 'b']) {
    events.push(
      { kind: 'divert', incidentId, fallback: 'f', reason: 'x' },
      { kind: 'divert', incidentId, reason: 'x' },
      { kind: 'half-open', incidentId, share: 0.1, forMs: STEP_MS, running },
      { kind: 'restore', incidentId, share: 0.5, running },
      { kind: 'restore', incidentId, share: 1, running },
      { kind: 'clear', incidentId, reason: 'x', running },
      { kind: 'clear', incidentId, reason: 'x', ofTrip: true, running },
      { kind: 'hold', incidentId },
      { kind: 'release', incidentId },
    );
  }
  return events;
}

/** What can become of a world in one step, failed and half-done writes and lost actors included. */
function* transitions(world: World): Generator<Transition> {
  const { control, projected, running } = world;
  for (const event of eventsFor(world)) {
    const decision = decideBreaker(control, event, NOW_MS);
    if (!decision.ok) continue;
    // A proof is of the time before what sends traffic away for harm, and of the time after what was judged since.
    const harm = event.kind === 'divert' || event.kind === 'trip' || event.kind === 'contain';
    const known = harm ? { ...running, judgedAtMs: NOW_MS - 1 } : running;
    const next = { ...world, running: known, control: decision.control };
    if (!decision.changed) {
      yield { cause: event.kind, event, after: next };
      continue;
    }
    yield { cause: event.kind, event, after: opened(next) };
    const towards = decision.control.breaker.share > control.breaker.share;
    // Not written: away it counts all the same, towards it does not. Written without our knowing: the other way round.
    yield { cause: event.kind, event, after: towards ? world : next };
    if (towards) yield { cause: event.kind, event, after: { ...world, projected: decision.control.breaker } };
  }
  if (projected.state !== control.breaker.state || projected.share !== control.breaker.share)
    yield { cause: 'reprojected', after: opened(world) };
  yield { cause: 'time', after: { ...world, control: older(control) } };
  for (const verdict of [undefined, 'verified-good', 'known-bad'] as const) {
    yield { cause: 'shipped', after: shipped(world, verdict) };
    if (verdict && running.verdict !== 'known-bad')
      yield { cause: 'judged', after: { ...world, running: { ...running, verdict, judgedAtMs: NOW_MS } } };
  }
  // The actor is lost with all that it knew; the next one finds what gateways read.
  const adopted = decideBreaker(newBreakerControl(NOW_MS), { kind: 'adopt', seen: projected }, NOW_MS);
  if (!adopted.ok) throw new Error(adopted.message);
  const forgotten = { templateHash: running.templateHash };
  yield { cause: 'crash', after: { ...world, running: forgotten, control: adopted.control } };
}

/** A step later, told with the same now. */
function older(control: BreakerControl): BreakerControl {
  const { override, shareUntilMs, trippedAtMs } = control;
  return {
    ...control,
    ...(override && { override: { ...override, untilMs: override.untilMs - STEP_MS } }),
    ...(shareUntilMs !== undefined && { shareUntilMs: shareUntilMs - STEP_MS }),
    ...(trippedAtMs !== undefined && { trippedAtMs: trippedAtMs - STEP_MS }),
  };
}

/** Another template runs. What was let in is let in for one of two names: the one that runs, or not. */
function shipped(world: World, verdict: RunningRevision['verdict']): World {
  const templateHash = world.running.templateHash === 't1' ? 't2' : 't1';
  return { ...world, running: { templateHash, verdict, judgedAtMs: NOW_MS } };
}

/** Worlds that differ in nothing that can matter are one. */
function keyOf({ control, projected, running }: World): string {
  const { breaker, holders, override, admitted, shareUntilMs, trippedAtMs, lastFallback } = control;
  const due = (atMs: number | undefined) => (atMs === undefined ? '-' : atMs <= NOW_MS ? 'over' : 'on');
  const tripped = trippedAtMs === undefined ? '-' : NOW_MS >= trippedAtMs + STEP_MS ? 'due' : 'fresh';
  return [
    breaker.state,
    breaker.share,
    breaker.fallback,
    lastFallback,
    admitted === undefined ? '-' : admitted === running.templateHash,
    due(shareUntilMs),
    tripped,
    override?.force,
    due(override?.untilMs),
    ...['a', 'b'].map((id) => holders[id] && (holders[id].wantsRestore ? 'wishes' : 'holds')),
    control.leftContained,
    projected.state,
    projected.share,
    running.verdict,
    isProof({ control, projected, running }),
  ].join(' ');
}

/** Verified, and not before harm had the traffic sent away. */
function isProof({ control, running }: World): boolean {
  const { containedAtMs = 0 } = control;
  return running.verdict === 'verified-good' && (running.judgedAtMs ?? 0) >= containedAtMs;
}

/** Every world that can be reached, with every transition out of it. */
function explore(visit: (before: World, transition: Transition) => void): World[] {
  const first: World = {
    control: newBreakerControl(NOW_MS),
    projected: newBreakerControl(NOW_MS).breaker,
    running: { templateHash: 't1' },
  };
  const known = new Map([[keyOf(first), first]]);
  const queue = [first];
  for (let world = queue.pop(); world; world = queue.pop()) {
    for (const transition of transitions(world)) {
      visit(world, transition);
      const key = keyOf(transition.after);
      if (known.has(key)) continue;
      known.set(key, transition.after);
      queue.push(transition.after);
    }
  }
  return [...known.values()];
}

/** Whether a transition may give the target more traffic. */
function maySendBack({ event }: Transition, world: World): boolean {
  const { control, running } = world;
  const held = control.override !== undefined && control.override.untilMs > NOW_MS;
  switch (event?.kind) {
    case 'half-open':
      // By a verification, never to what is known bad, never against a person.
      return running.verdict !== 'known-bad' && !(held && control.override?.force !== 'closed');
    case 'restore':
      return isProof(world) && !(held && control.override?.force !== 'closed');
    case 'clear': {
      // By a person, of an alarm that alone had it sent away: nobody else holds it, or held it without proving anything.
      const alone = Object.keys(control.holders).every((id) => id === event.incidentId);
      const tripped = control.trippedAtMs !== undefined && event.ofTrip !== true;
      const open = alone && event.incidentId in control.holders && !control.leftContained && !tripped;
      return open && running.verdict !== 'known-bad' && !(held && control.override?.force !== 'closed');
    }
    case 'recovery-due':
      // Let in to be verified, not given back: by an older proof, but never without one.
      return running.verdict === 'verified-good' && !(held && control.override?.force !== 'closed');
    case 'override':
      return event.force === 'closed';
    default:
      return false;
  }
}

describe('the circuit breaker, from every state that can be reached', () => {
  const wrong = new Map<string, string>();
  const note = (promise: string, before: World, { cause, after }: Transition) =>
    wrong.set(promise, `${keyOf(before)}\n--${cause}-->\n${keyOf(after)}`);
  const causes = new Set<Cause>();

  const worlds = explore((before, transition) => {
    const { cause, event, after } = transition;
    causes.add(cause);
    const { breaker, admitted, shareUntilMs } = after.control;
    const moreDecided = breaker.share > before.control.breaker.share;
    const moreRead = after.projected.share > before.projected.share;
    if (moreDecided && cause !== 'crash' && !maySendBack(transition, before))
      note(
        'nothing but a verification, a proved revision or a person sends traffic back',
        before,
        transition,
      );
    // A write that was decided and lost may be repeated later; it is never more than what was decided.
    if (moreRead && cause === 'reprojected' && after.projected.share > before.control.breaker.share)
      note('no repeated write lets in more than what was decided', before, transition);
    if (moreRead && cause !== 'reprojected' && !maySendBack(transition, before))
      note('gateways read of more traffic only when something may send it back', before, transition);
    if (cause === 'crash' && breaker.share > before.projected.share)
      note('a new actor lets in no more than what gateways read', before, transition);
    if (cause === 'crash' && before.projected.state !== 'closed' && breaker.state !== 'open')
      note('a new actor vouches for no share', before, transition);
    const consistent =
      breaker.state === 'closed'
        ? breaker.share === 1
        : breaker.state === 'open'
          ? breaker.share === 0 && admitted === undefined && shareUntilMs === undefined
          : breaker.share > 0 && breaker.share < 1 && admitted !== undefined;
    if (!consistent) note('state, share and what was let in agree', before, transition);
    if (cause === 'tick' && event?.kind === 'tick' && event.running && breaker.state === 'half-open') {
      const { running } = event;
      const lapsed = shareUntilMs !== undefined && shareUntilMs <= NOW_MS;
      if (lapsed || running.templateHash !== admitted || running.verdict === 'known-bad')
        note('no share outlives a look that finds it late, replaced or bad', before, transition);
    }
    const { override } = after.control;
    if (cause === 'tick' && override && override.untilMs <= NOW_MS)
      note('no override outlives a look after its end', before, transition);
  });

  it('keeps every promise', () => {
    expect([...wrong].map(([promise, how]) => `${promise}:\n${how}`)).toEqual([]);
  });

  it('was looked at in many states, after every kind of cause', () => {
    expect(worlds.length).toBeGreaterThan(2_000);
    const kinds = [
      'divert',
      'half-open',
      'restore',
      'clear',
      'override',
      'trip',
      'block',
      'tick',
      'release',
      'hold',
    ];
    for (const cause of [...kinds, 'recovery-due', 'crash', 'shipped', 'judged', 'time', 'reprojected'])
      expect(causes).toContain(cause);
  });

  it('can be closed from everywhere, once the revision that runs is proved and nobody overrides', () => {
    const stuck: string[] = [];
    for (const world of worlds) {
      const running: RunningRevision = { templateHash: 't9', verdict: 'verified-good', judgedAtMs: NOW_MS };
      let { override: _ended, ...control }: BreakerControl = world.control;
      for (const incidentId of ['a', 'b', 'a', 'b']) {
        const decision = decideBreaker(control, { kind: 'restore', incidentId, share: 1, running }, NOW_MS);
        if (decision.ok) control = decision.control;
      }
      if (control.breaker.state !== 'closed') stuck.push(keyOf(world));
    }
    expect(stuck.slice(0, 3)).toEqual([]);
  });
});

describe('decideBreaker', () => {
  const running: RunningRevision = { templateHash: 't1', verdict: 'verified-good', judgedAtMs: NOW_MS };
  const after = (...events: BreakerEvent[]): BreakerControl =>
    events.reduce((control, event) => {
      const decision = decideBreaker(control, event, NOW_MS);
      if (!decision.ok) throw new Error(decision.message);
      return decision.control;
    }, newBreakerControl(NOW_MS));
  const divert = (incidentId: string): BreakerEvent => ({
    kind: 'divert',
    incidentId,
    fallback: 'f',
    reason: 'x',
  });
  const restore = (incidentId: string, share = 1): BreakerEvent => ({
    kind: 'restore',
    incidentId,
    share,
    running,
  });

  it('closes when the last holder lets go', () => {
    const first = decideBreaker(after(divert('a'), divert('b')), restore('a'), NOW_MS);
    expect(first).toMatchObject({ ok: true, changed: false, heldBy: ['b'] });
    expect(after(divert('a'), divert('b'), restore('a'), restore('b')).breaker.state).toBe('closed');
    expect(
      after(divert('a'), divert('b'), restore('a'), { kind: 'release', incidentId: 'b' }, restore('a'))
        .breaker.state,
    ).toBe('closed');
  });

  it('closes on a word about its only alarm, and not while another holds it or has let go without a proof', () => {
    const clear = (incidentId: string): BreakerEvent => ({
      kind: 'clear',
      incidentId,
      reason: 'x',
      running: { templateHash: 't1' },
    });
    expect(after(divert('a'), clear('a')).breaker).toMatchObject({ state: 'closed', share: 1 });
    expect(decideBreaker(after(divert('a'), divert('b')), clear('a'), NOW_MS)).toMatchObject({
      ok: true,
      changed: false,
      heldBy: ['b'],
      control: { breaker: { state: 'open' } },
    });
    // Each of them says so.
    expect(after(divert('a'), divert('b'), clear('a'), clear('b')).breaker.state).toBe('closed');
    const leftBehind = after(divert('a'), { kind: 'release', incidentId: 'a' }, divert('b'));
    expect(decideBreaker(leftBehind, clear('b'), NOW_MS)).toMatchObject({ ok: false, type: 'Refused' });
    // Proved after all, nothing is left behind of it.
    expect(
      after(divert('a'), { kind: 'release', incidentId: 'a' }, restore('b'), divert('c'), clear('c')).breaker
        .state,
    ).toBe('closed');
  });

  it('takes a wish to restore back when traffic is diverted anew', () => {
    const again = after(divert('a'), divert('b'), restore('a'), divert('b'));
    expect(decideBreaker(again, restore('b'), NOW_MS)).toMatchObject({ changed: false, heldBy: ['a'] });
  });

  it('gives nothing back by a proof that is older than the harm', () => {
    const stale: BreakerEvent = {
      kind: 'restore',
      incidentId: 'a',
      share: 1,
      running: { ...running, judgedAtMs: NOW_MS - 1 },
    };
    expect(decideBreaker(after(divert('a')), stale, NOW_MS)).toMatchObject({ ok: false, type: 'Refused' });
  });

  it('leaves the share that is verified where the fallback fails meanwhile, and blocks the rest', () => {
    const half: BreakerEvent = { kind: 'half-open', incidentId: 'a', share: 0.1, forMs: STEP_MS, running };
    const control = after(divert('a'), half, { kind: 'block', reason: 'x' });
    expect(control.breaker).toMatchObject({ state: 'half-open', share: 0.1, fallback: undefined });
    // And what failed is not used again.
    expect(decideBreaker(control, { kind: 'contain', reason: 'x' }, NOW_MS)).toMatchObject({
      control: { breaker: { state: 'open', fallback: undefined } },
    });
  });

  it('takes no traffic away from a restore that is further on', () => {
    const ahead = after(divert('a'), restore('a', 0.5));
    expect(decideBreaker(ahead, restore('a', 0.25), NOW_MS)).toMatchObject({ changed: false });
  });

  it('diverts again where a person forced it closed and nobody proved anything by the end of that', () => {
    const forced = after(divert('a'), {
      kind: 'override',
      force: 'closed',
      person: 'kim',
      reason: 'x',
      forMs: 1,
    });
    const decision = decideBreaker(forced, { kind: 'tick' }, NOW_MS + 2);
    expect(decision).toMatchObject({
      changed: true,
      needsHuman: true,
      control: { breaker: { state: 'open', fallback: 'f' } },
    });
  });

  it('blocks where the fallback failed, and says so', () => {
    const decision = decideBreaker(
      after(divert('a')),
      { kind: 'block', reason: 'the fallback f failed' },
      NOW_MS,
    );
    expect(decision).toMatchObject({
      needsHuman: true,
      news: 'the fallback f failed: all traffic is blocked now',
    });
    expect(decision.ok && decision.control.breaker.fallback).toBeUndefined();
  });

  it.each(['open', 'hold'] as const)('refuses to send traffic back while a person says %s', (force) => {
    const held = after(divert('a'), { kind: 'override', force, person: 'kim', reason: 'x', forMs: STEP_MS });
    const said = { ok: false, message: expect.stringContaining('kim') };
    expect(decideBreaker(held, restore('a'), NOW_MS)).toMatchObject(said);
    expect(
      decideBreaker(held, { kind: 'half-open', incidentId: 'a', share: 0.1, forMs: 1, running }, NOW_MS),
    ).toMatchObject(said);
  });

  it('tries a revision again by itself only when it was proved before', () => {
    const tripped = after({ kind: 'trip', fallback: 'f', reason: 'x' });
    const due = (verdict?: RunningRevision['verdict']): BreakerEvent => ({
      kind: 'recovery-due',
      share: 0.1,
      forMs: 1,
      recoveryMs: 10,
      running: { templateHash: 't1', verdict },
    });
    expect(decideBreaker(tripped, due('verified-good'), NOW_MS + 9)).toMatchObject({ changed: false });
    expect(decideBreaker(tripped, due('verified-good'), NOW_MS + 10)).toMatchObject({ changed: true });
    expect(decideBreaker(tripped, due(), NOW_MS + 10)).toMatchObject({ changed: false });
    expect(decideBreaker(tripped, due('known-bad'), NOW_MS + 10)).toMatchObject({ changed: false });
  });
});
