import { describe, expect, it } from 'vitest';
import { parseSinceMs } from './since.ts';

const NOW = Date.UTC(2026, 2, 8, 12);

describe('since', () => {
  it.each([
    ['7d', NOW - 7 * 86_400_000],
    ['24h', NOW - 86_400_000],
    ['1d12h', NOW - 129_600_000],
    ['2026-03-01', Date.UTC(2026, 2, 1)],
    ['2026-03-01T10:00Z', Date.UTC(2026, 2, 1, 10)],
    ['2026-03-01T10:00:30+02:00', Date.UTC(2026, 2, 1, 8, 0, 30)],
  ])('%s is a moment', (text, ms) => {
    expect(parseSinceMs(text, NOW)).toBe(ms);
  });

  it.each([
    '',
    '0d',
    '7',
    'last week',
    '-7d',
    '2026-03-09',
    '2026-02-31',
    '2026-13-01',
    '2026-03-01T10:00',
    '2026-03-01T25:00Z',
    '1000d',
    '2020-01-01',
    '99999999999999999999d',
    '2026-03-01; drop table incidents',
  ])('%j is none', (text) => {
    expect(parseSinceMs(text, NOW)).toBeUndefined();
  });
});
