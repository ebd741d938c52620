import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import { EVENT_SIGNS } from './incident-events.ts';

function viewWith(part: Partial<IncidentView>): IncidentView {
  const nothing: Partial<IncidentView> = { milestones: {}, alerts: [], pendingApprovals: [] };
  return { ...nothing, ...part } as IncidentView;
}

function withBreaker(breaker: IncidentView['breaker']): IncidentView {
  return viewWith({ breaker });
}

describe('traffic is blocked', () => {
  const { seenIn } = EVENT_SIGNS.blocked;
  const reason = 'the fallback failed';

  it('where the breaker is open and names no fallback', () => {
    expect(seenIn(withBreaker({ state: 'open', share: 0, reason }))).toBe(true);
  });

  it('neither where a fallback serves, nor where some of it gets to the target, nor where nothing was diverted', () => {
    expect(seenIn(withBreaker({ state: 'open', share: 0, reason, fallback: 'llm-fallback' }))).toBe(false);
    expect(seenIn(withBreaker({ state: 'half-open', share: 0.1, reason }))).toBe(false);
    expect(seenIn(withBreaker({ state: 'closed', share: 1, reason }))).toBe(false);
    expect(seenIn(withBreaker(undefined))).toBe(false);
  });
});

describe('an incident is contained', () => {
  it('when that was measured', () => {
    const { seenIn } = EVENT_SIGNS.contained;
    expect(seenIn(viewWith({ milestones: { triggered: 1 } }))).toBe(false);
    expect(seenIn(viewWith({ milestones: { triggered: 1, contained: 2 } }))).toBe(true);
  });
});
