import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

describe('turns', () => {
  it('end before anything else happens, however long they really take', async () => {
    const turns = new Turns();
    const seen: string[] = [];
    await turns.take(async () => {
      for (let index = 0; index < 20; index++) await setImmediate();
      seen.push('ended');
    });
    expect(seen).toEqual(['ended']);
  });

  it('let others go on while they wait in virtual time, and go on before others once they are answered', async () => {
    const turns = new Turns();
    const seen: string[] = [];
    let answer: (value: string) => void = () => undefined;
    await turns.take(async () => {
      const value = await turns.wait<string>((resolve) => {
        answer = resolve;
      });
      await setImmediate();
      seen.push(value);
      await turns.wait(() => undefined);
      seen.push('never');
    });
    expect(seen).toEqual([]);
    await turns.settle();
    expect(seen).toEqual([]);
    answer('answered');
    expect(turns.anyResumed).toBe(true);
    await turns.settle();
    expect(seen).toEqual(['answered']);
  });

  it('wait for several things at once', async () => {
    const turns = new Turns();
    const answers: ((value: number) => void)[] = [];
    let sum = 0;
    await turns.take(async () => {
      const waits = [1, 2].map(() => turns.wait<number>((resolve) => void answers.push(resolve)));
      for (const wait of waits) sum += await wait;
    });
    answers[1]?.(2);
    await turns.settle();
    answers[0]?.(1);
    await turns.settle();
    expect(sum).toBe(3);
  });

  it.each([
    ['at once', () => Promise.reject(new Error('wrong'))],
    [
      'without a promise',
      () => {
        throw new Error('wrong');
      },
    ],
  ])('keep what went wrong %s', async (_, work) => {
    const turns = new Turns();
    await turns.take(work);
    expect(turns.problem?.error).toEqual(new Error('wrong'));
  });

  it('let code outside of any turn wait, too', async () => {
    const turns = new Turns();
    const waited = turns.wait<number>((resolve) => resolve(1));
    await turns.settle();
    expect(await waited).toBe(1);
  });
});
