import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDurationMs, writeDuration } from './duration.ts';

describe('writeDuration', () => {
  it.each([
    [0, '0s'],
    [15_000, '15s'],
    [90_000, '1m30s'],
    [86_400_000, '1d'],
    [5_400_250, '1h30m250ms'],
  ])('writes %d ms as %s', (durationMs, text) => {
    expect(writeDuration(durationMs)).toBe(text);
  });

  it('writes what is read back as the same', () => {
    fc.assert(
      fc.property(fc.nat(40 * 86_400_000), (durationMs) => {
        expect(parseDurationMs(writeDuration(durationMs))).toBe(durationMs);
      }),
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [850, '850 ms'],
    [12_340, '12.3 s'],
    [245_000, '4 m 05 s'],
    [7_800_000, '2 h 10 m'],
  ])('shows %d ms as %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});
