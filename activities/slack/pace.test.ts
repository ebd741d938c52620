import { describe, expect, it } from 'vitest';
import { createPace } from './pace.ts';

describe('the pace', () => {
  it('gives turns one after another, and each asker keeps the one that was given', () => {
    const pace = createPace();
    expect(pace.turn('post C1', 'a', 1_000, 0)).toBe(0);
    expect(pace.turn('post C1', 'b', 1_000, 0)).toBe(1_000);
    expect(pace.turn('post C1', 'c', 1_000, 0)).toBe(2_000);
    // Asking again costs nobody a turn.
    expect(pace.turn('post C1', 'b', 1_000, 400)).toBe(600);
    expect(pace.turn('post C1', 'b', 1_000, 1_000)).toBe(0);
    expect(pace.turn('post C1', 'c', 1_000, 1_000)).toBe(1_000);
    expect(pace.turn('post C2', 'c', 1_000, 1_000)).toBe(0);
  });

  it('lets everybody through at the rate, however many ask at once', () => {
    const pace = createPace();
    const waiting = new Set(Array.from({ length: 30 }, (_, index) => `incident ${index}`));
    const at: number[] = [];
    for (let nowMs = 0; waiting.size > 0; nowMs += 100) {
      for (const who of waiting) {
        if (pace.turn('update', who, 1_200, nowMs) > 0) continue;
        waiting.delete(who);
        at.push(nowMs);
      }
    }
    expect(at.slice(1).every((time, index) => time - (at[index] ?? 0) >= 1_100)).toBe(true);
    expect(at.at(-1)).toBeLessThanOrEqual(29 * 1_200 + 100);
  });

  it('keeps the distance also where somebody comes late for a turn', () => {
    const pace = createPace();
    pace.turn('post C1', 'a', 1_000, 0);
    expect(pace.turn('post C1', 'b', 1_000, 0)).toBe(1_000);
    expect(pace.turn('post C1', 'c', 1_000, 0)).toBe(2_000);
    expect(pace.turn('post C1', 'b', 1_000, 1_900)).toBe(0);
    expect(pace.turn('post C1', 'c', 1_000, 2_000)).toBe(900);
    expect(pace.turn('post C1', 'c', 1_000, 2_900)).toBe(0);
  });

  it('holds a method until the time that Slack gave, and a shorter hold does not lift it', () => {
    const pace = createPace();
    pace.hold('update', 5_000);
    pace.hold('update', 2_000);
    expect(pace.held('update', 1_000)).toBe(4_000);
    expect(pace.held('update', 5_000)).toBe(0);
    expect(pace.held('post', 1_000)).toBe(0);
  });
});
