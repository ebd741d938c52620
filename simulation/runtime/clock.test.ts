import { describe, expect, it } from 'vitest';
import { Clock } from './clock.ts';

async function drain(clock: Clock): Promise<void> {
  for (let due = clock.next(); due; due = clock.next()) await due.run();
}

describe('the clock', () => {
  it('lets things happen by time, then in the order in which they were asked for', async () => {
    const clock = new Clock(1_000);
    const seen: [number, string][] = [];
    const at = (atMs: number, what: string) => clock.at(atMs, () => void seen.push([clock.nowMs, what]));
    at(3_000, 'c');
    at(2_000, 'a');
    at(3_000, 'd');
    at(2_000, 'b');
    at(500, 'past');
    await drain(clock);
    expect(seen).toEqual([
      [1_000, 'past'],
      [2_000, 'a'],
      [2_000, 'b'],
      [3_000, 'c'],
      [3_000, 'd'],
    ]);
  });

  it('does not pass time for what was cancelled', async () => {
    const clock = new Clock(0);
    const seen: number[] = [];
    const cancelled = clock.at(50, () => void seen.push(50));
    clock.at(10, () => void seen.push(10));
    cancelled.cancelled = true;
    await drain(clock);
    expect({ seen, nowMs: clock.nowMs }).toEqual({ seen: [10], nowMs: 10 });
    expect(clock.peekMs()).toBeUndefined();
  });

  it('keeps thousands in order', async () => {
    const clock = new Clock(0);
    const seen: number[] = [];
    for (let index = 0; index < 5_000; index++) {
      const atMs = (index * 7_919) % 1_009;
      clock.at(atMs, () => void seen.push(atMs * 10_000 + index));
    }
    await drain(clock);
    expect(seen).toHaveLength(5_000);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});
