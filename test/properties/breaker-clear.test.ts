/** A word about one alarm never gives traffic back that was taken away for anything else: told by an account kept beside the machine. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BreakerControl,
  type BreakerEvent,
  decideBreaker,
  newBreakerControl,
} from '../../domain/breaker-machine.ts';

const NOW_MS = 1_000_000_000;
const HOUR_MS = 3_600_000;
const running = { templateHash: 't1' };
const incidentId = fc.constantFrom('a', 'b');

const event: fc.Arbitrary<BreakerEvent> = fc.oneof(
  incidentId.map((id): BreakerEvent => ({ kind: 'divert', incidentId: id, fallback: 'f', reason: 'x' })),
  incidentId.map((id): BreakerEvent => ({ kind: 'hold', incidentId: id })),
  incidentId.map((id): BreakerEvent => ({ kind: 'release', incidentId: id })),
  fc
    .record({ id: incidentId, ofTrip: fc.boolean() })
    .map(({ id, ofTrip }): BreakerEvent => ({ kind: 'clear', incidentId: id, reason: 'x', ofTrip, running })),
  incidentId.map(
    (id): BreakerEvent => ({ kind: 'half-open', incidentId: id, share: 0.1, forMs: HOUR_MS, running }),
  ),
  fc.constantFrom<BreakerEvent>(
    { kind: 'trip', fallback: 'f', reason: 'x' },
    { kind: 'contain', reason: 'x' },
    { kind: 'adopt', seen: { state: 'open', sinceMs: 1, reason: 'x', share: 0 } },
    { kind: 'override', force: 'open', person: 'kim', reason: 'x', forMs: HOUR_MS },
    { kind: 'override', force: 'none', person: 'kim', reason: 'x', forMs: HOUR_MS },
  ),
);

/** What traffic is away for, by the events alone. */
function account(causes: ReadonlySet<string>, before: BreakerControl, told: BreakerEvent): Set<string> {
  const next = new Set(causes);
  if (told.kind === 'divert') next.add(`incident ${told.incidentId}`);
  if (told.kind === 'trip' && before.breaker.state !== 'open') next.add('trip');
  if (told.kind === 'contain') next.add('harm');
  if (told.kind === 'adopt' && before.breaker.state !== 'open') next.add('unknown');
  if (told.kind === 'override' && told.force === 'open') next.add('person');
  return next;
}

describe('clearing an incident', () => {
  it('closes only what was opened for that incident, or for the trip that it answers', () => {
    let closings = 0;
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        let control = newBreakerControl(NOW_MS);
        let causes = new Set<string>();
        for (const told of events) {
          const decision = decideBreaker(control, told, NOW_MS);
          if (!decision.ok) continue;
          const closes = control.breaker.state !== 'closed' && decision.control.breaker.state === 'closed';
          if (closes && told.kind === 'clear') {
            closings++;
            const own = new Set([`incident ${told.incidentId}`, ...(told.ofTrip ? ['trip'] : [])]);
            // Another incident that said the same of its own alarm counts no more.
            expect([...causes].filter((cause) => !own.has(cause))).toEqual([]);
          }
          if (told.kind === 'clear') causes.delete(`incident ${told.incidentId}`);
          causes = closes ? new Set() : account(causes, control, told);
          control = decision.control;
        }
      }),
      { numRuns: 20_000, seed: 7 },
    );
    expect(closings).toBeGreaterThan(500);
  });
});
