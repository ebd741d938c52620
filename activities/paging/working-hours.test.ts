import { describe, expect, it } from 'vitest';
import { resolvePolicy } from './policies.ts';
import { DAYS, isTimeZone, isWithinWorkingHours, parseMinute, type WorkingHours } from './working-hours.ts';

const office = (change: Partial<WorkingHours> = {}): WorkingHours => ({
  timeZone: 'Europe/Berlin',
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  fromMinute: 9 * 60,
  toMinute: 17 * 60,
  ...change,
});
const at = (text: string) => Date.parse(text);

describe('working hours', () => {
  it.each([
    ['Friday before the change to summer time, UTC+1', '2026-03-27T08:00:00Z', '2026-03-27T16:00:00Z'],
    ['Monday after it, UTC+2', '2026-03-30T07:00:00Z', '2026-03-30T15:00:00Z'],
    ['Friday before the change back, UTC+2', '2026-10-23T07:00:00Z', '2026-10-23T15:00:00Z'],
    ['Monday after it, UTC+1', '2026-10-26T08:00:00Z', '2026-10-26T16:00:00Z'],
  ])('begin and end by the wall clock: %s', (_name, begin, end) => {
    expect(isWithinWorkingHours(office(), at(begin) - 1)).toBe(false);
    expect(isWithinWorkingHours(office(), at(begin))).toBe(true);
    expect(isWithinWorkingHours(office(), at(end) - 1)).toBe(true);
    expect(isWithinWorkingHours(office(), at(end))).toBe(false);
  });

  it('keep to their days, also where the day is another one in UTC', () => {
    const tokyo = office({ timeZone: 'Asia/Tokyo' });
    expect(isWithinWorkingHours(tokyo, at('2026-03-29T23:59:59Z'))).toBe(false);
    expect(isWithinWorkingHours(tokyo, at('2026-03-30T00:00:00Z'))).toBe(true);
    expect(isWithinWorkingHours(office(), at('2026-03-28T10:00:00Z'))).toBe(false);
  });

  it('of a night shift belong to the day on which it begins', () => {
    const night = office({ days: ['fri'], fromMinute: 22 * 60, toMinute: 6 * 60 });
    expect(isWithinWorkingHours(night, at('2026-06-19T21:00:00Z'))).toBe(true);
    expect(isWithinWorkingHours(night, at('2026-06-20T03:59:59Z'))).toBe(true);
    expect(isWithinWorkingHours(night, at('2026-06-20T04:00:00Z'))).toBe(false);
    expect(isWithinWorkingHours(night, at('2026-06-20T21:00:00Z'))).toBe(false);
    expect(isWithinWorkingHours(night, at('2026-06-19T03:00:00Z'))).toBe(false);
  });

  it('of a night shift span the hour that is skipped and the one that comes twice', () => {
    const night = office({ days: ['sat'], fromMinute: 22 * 60, toMinute: 3 * 60 });
    // 29 March: 02:00 is followed by 03:00 at 01:00Z; 25 October: 02:00 to 03:00 comes twice, until 02:00Z.
    expect(isWithinWorkingHours(night, at('2026-03-29T00:59:59Z'))).toBe(true);
    expect(isWithinWorkingHours(night, at('2026-03-29T01:00:00Z'))).toBe(false);
    expect(isWithinWorkingHours(night, at('2026-10-25T00:30:00Z'))).toBe(true);
    expect(isWithinWorkingHours(night, at('2026-10-25T01:30:00Z'))).toBe(true);
    expect(isWithinWorkingHours(night, at('2026-10-25T02:00:00Z'))).toBe(false);
  });

  it('may be whole days', () => {
    const weekend = office({ days: ['sat', 'sun'], fromMinute: 0, toMinute: 24 * 60 });
    expect(isWithinWorkingHours(weekend, at('2026-03-27T22:59:59Z'))).toBe(false);
    expect(isWithinWorkingHours(weekend, at('2026-03-27T23:00:00Z'))).toBe(true);
    expect(isWithinWorkingHours(weekend, at('2026-03-29T21:59:59Z'))).toBe(true);
    expect(isWithinWorkingHours(weekend, at('2026-03-29T22:00:00Z'))).toBe(false);
  });

  it('are read from times and names', () => {
    expect(['00:00', '09:30', '24:00'].map(parseMinute)).toEqual([0, 570, 1_440]);
    expect(['9:30', '24:01', '12:60', 'noon'].map(parseMinute)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect([isTimeZone('Europe/Berlin'), isTimeZone('Mars/Olympus')]).toEqual([true, false]);
    expect(DAYS).toHaveLength(7);
  });
});

describe('an escalation policy', () => {
  const levels = [
    { roles: ['office'], afterMs: 1_000 },
    { roles: ['on-call'], afterMs: 2_000 },
  ];
  const DURING = at('2026-03-30T10:00:00Z');
  const OUTSIDE = at('2026-03-30T20:00:00Z');

  it('begins with another level outside of its hours', () => {
    const policies = { day: { levels, repeats: 2, workingHours: { ...office(), outside: 2 } } };
    expect(resolvePolicy(policies, 'day', DURING)).toEqual({ levels, repeats: 2 });
    expect(resolvePolicy(policies, 'day', OUTSIDE)).toEqual({
      levels: [levels[1]],
      repeats: 2,
      because: 'outside working hours: day from level 2',
    });
  });

  it('hands over to another policy, with that one’s own hours and fall-over', () => {
    const policies = {
      day: { levels, repeats: 2, workingHours: { ...office(), outside: 'night' }, fallOver: { role: 'a' } },
      night: { levels: [{ roles: ['on-call'], afterMs: 9 }], repeats: 0, fallOver: { channel: 'b' } },
    };
    expect(resolvePolicy(policies, 'day', OUTSIDE)).toEqual({
      levels: [{ roles: ['on-call'], afterMs: 9 }],
      repeats: 0,
      fallOver: { channel: 'b' },
      because: 'outside working hours: night',
    });
  });

  it.each(['gone', 'constructor'])('says what to configure for %s', (name) => {
    expect(() => resolvePolicy({}, name, DURING)).toThrow(`paging.policies.${name}`);
  });

  it('is refused where policies only point at one another', () => {
    const policies = { day: { levels, repeats: 0, workingHours: { ...office(), outside: 'day' } } };
    expect(() => resolvePolicy(policies, 'day', OUTSIDE)).toThrow('circle');
  });
});
