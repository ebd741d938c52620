import { describe, expect, it, vi } from 'vitest';
import { Turns } from './turns.ts';

const tooLate = () => new Error('too late');
const WAIT_MS = 60_000;

describe('turns', () => {
  it('runs one at a time for a key, in the order of their coming, whatever becomes of those before', async () => {
    const turns = new Turns();
    const order: string[] = [];
    let running = 0;
    const run = (name: string, fails: boolean) =>
      turns.take(
        'incident',
        WAIT_MS,
        async () => {
          running += 1;
          expect(running).toBe(1);
          await new Promise(setImmediate);
          running -= 1;
          order.push(name);
          if (fails) throw new Error(name);
        },
        tooLate,
      );
    const ended = await Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => run(name, name === 'b')));
    expect(order).toEqual(['a', 'b', 'c', 'd']);
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(turns.size).toBe(0);
  });

  it('does not wait for other keys', async () => {
    const turns = new Turns();
    const held = Promise.withResolvers<void>();
    const first = turns.take('one', WAIT_MS, () => held.promise, tooLate);
    expect(await turns.take('two', WAIT_MS, async () => 'done', tooLate)).toBe('done');
    held.resolve();
    await first;
  });

  it('gives up after its time without running, and lets nobody overtake who came before', async () => {
    vi.useFakeTimers();
    try {
      const turns = new Turns();
      const held = Promise.withResolvers<void>();
      const order: string[] = [];
      const first = turns.take(
        'incident',
        WAIT_MS,
        () => held.promise.then(() => void order.push('first')),
        tooLate,
      );
      const second = turns.take('incident', 10, async () => void order.push('second'), tooLate);
      const refused = expect(second).rejects.toThrow('too late');
      const third = turns.take('incident', WAIT_MS, async () => void order.push('third'), tooLate);
      await vi.advanceTimersByTimeAsync(10);
      await refused;
      expect(order).toEqual([]);
      held.resolve();
      await Promise.all([first, third]);
      expect(order).toEqual(['first', 'third']);
      expect(turns.size).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
