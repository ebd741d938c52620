import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sparkline } from './sparkline.ts';
import type { HarmHistory } from './types.ts';

const T0 = Date.UTC(2026, 2, 1, 10);

function history(...counts: [harmful: number, classified: number][]): HarmHistory {
  return {
    stepMs: 60_000,
    startMs: T0,
    harmful: counts.map(([harmful]) => harmful),
    classified: counts.map(([, classified]) => classified),
  };
}

const RISE = history([0, 100], [1, 100], [7, 100], [0, 0], [0, 0], [0, 50]);

describe('sparkline', () => {
  it('shows a rate by its height, no harm as the lowest, and no outputs as a gap', () => {
    expect(sparkline(RISE, { unicode: true })?.line).toBe('▁▂█··▁');
  });

  it('does so without block characters', () => {
    expect(sparkline(RISE, { unicode: false })?.line).toBe('_.#  _');
  });

  it('says in words what it shows', () => {
    expect(sparkline(RISE, { unicode: true })?.words).toBe(
      '2026-03-01 10:00:00 to 10:06:00 UTC; highest 7% at 10:02:00 (7 of 100); last 0% at 10:05:00; nothing classified in 2 of 6 columns',
    );
    expect(sparkline(history([0, 5]), { unicode: true })?.words).toContain('no harm in it');
  });

  it('is nothing where nothing was classified', () => {
    expect(sparkline(history([0, 0], [0, 0]), { unicode: true })).toBeUndefined();
    expect(sparkline(history(), { unicode: true })).toBeUndefined();
  });

  it('is at most 60 characters, only those that were asked for, and its words hold no NaN', () => {
    const counts = fc.array(fc.tuple(fc.nat(100), fc.nat(100)), { minLength: 1, maxLength: 240 });
    fc.assert(
      fc.property(counts, fc.boolean(), (pairs, unicode) => {
        const shown = sparkline(history(...pairs), { unicode });
        const any = pairs.some(([, classified]) => classified > 0);
        expect(shown !== undefined).toBe(any);
        if (shown === undefined) return;
        expect([...shown.line].length).toBeLessThanOrEqual(60);
        expect(shown.line).toMatch(unicode ? /^[▁▂▃▄▅▆▇█·]+$/ : /^[_.:\-=+*# ]+$/);
        expect(shown.words).not.toMatch(/NaN|undefined|Infinity/);
      }),
    );
  });
});
