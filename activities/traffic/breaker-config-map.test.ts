import type { V1ConfigMap } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import type { Breaker, BreakerState } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { configMapDrift, projectionOf, toProjection, withProjection } from './breaker-config-map.ts';

const NOW_MS = Date.UTC(2026, 0, 1);

function target(name: string): Target {
  return { cluster: 'eu-1', namespace: 'ai', kind: 'Deployment', name };
}

const FIRST = target('llm-api');
const SECOND = target('summariser');

function projection(state: BreakerState) {
  const share = { closed: 1, open: 0, 'half-open': 0.1 }[state];
  const breaker: Breaker = { state, sinceMs: NOW_MS, reason: 'incident inc-1', fallback: undefined, share };
  return toProjection(breaker, 'c1', NOW_MS);
}

/** The ConfigMap after these were written, in turn. */
function written(...writes: [Target, BreakerState][]): V1ConfigMap | undefined {
  return writes.reduce<V1ConfigMap | undefined>(
    (configMap, [to, state]) => withProjection(configMap, to, projection(state), []),
    undefined,
  );
}

function flatAfter(...writes: [Target, BreakerState][]): string | undefined {
  return written(...writes)?.data?.state;
}

describe('the flat key', () => {
  it('follows the one target there is', () => {
    expect(flatAfter([FIRST, 'open'])).toBe('open');
    expect(flatAfter([FIRST, 'open'], [FIRST, 'half-open'])).toBe('half_open');
    expect(flatAfter([FIRST, 'open'], [FIRST, 'closed'])).toBe('closed');
  });

  it('is not taken from a target that is not closed by another one', () => {
    for (const state of ['closed', 'half-open', 'open'] as const) {
      expect(flatAfter([FIRST, 'open'], [SECOND, state])).toBe('open');
      expect(flatAfter([FIRST, 'half-open'], [SECOND, state])).toBe('half_open');
      expect(flatAfter([FIRST, 'open'], [SECOND, state], [FIRST, 'open'])).toBe('open');
    }
    expect(flatAfter([FIRST, 'open'], [SECOND, 'open'], [FIRST, 'closed'])).toBe('open');
  });

  it('gives traffic back when the last of them is closed', () => {
    expect(flatAfter([FIRST, 'open'], [SECOND, 'closed'], [FIRST, 'closed'])).toBe('closed');
    expect(flatAfter([FIRST, 'open'], [SECOND, 'open'], [FIRST, 'closed'], [SECOND, 'closed'])).toBe(
      'closed',
    );
  });

  it('does not say closed while one of several is not, and does not begin with several', () => {
    expect(flatAfter([FIRST, 'closed'], [SECOND, 'open'])).toBeUndefined();
    expect(flatAfter([FIRST, 'closed'], [SECOND, 'open'], [FIRST, 'open'])).toBeUndefined();
  });

  it('stays beside an entry that cannot be read, which may be open', () => {
    const configMap = written([FIRST, 'open']);
    const data = { ...configMap?.data, 'deployment.llm-api': '{"state":' };
    expect(withProjection({ ...configMap, data }, SECOND, projection('closed'), []).data?.state).toBe('open');
  });

  it('is as wanted for each target that looks, so that none of them takes it away later', () => {
    const states = ['closed', 'half-open', 'open'] as const;
    for (const first of states) {
      for (const second of states) {
        for (const again of states) {
          const configMap = written([FIRST, first], [SECOND, second], [FIRST, again]);
          for (const one of [FIRST, SECOND]) {
            const wanted = projectionOf(configMap, one);
            expect(wanted && configMapDrift(configMap, one, wanted)).toEqual([]);
          }
        }
      }
    }
  });
});
