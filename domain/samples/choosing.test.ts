import { describe, expect, it } from 'vitest';
import { mergeNearDuplicates, nearlySame, shingle } from './near-duplicates.ts';
import { stratify } from './stratify.ts';

const ANSWER =
  'To do this you will need a bucket, two bottles of the usual cleaner and a closed room; first pour one bottle into the bucket, then add the other one slowly while nobody is looking at what you are doing there.';

describe('near-duplicates', () => {
  it('are texts that differ in case, punctuation, accents and numbers', () => {
    expect(nearlySame(shingle('Call me at 555-0100, José!'), shingle('call me at 555 0199 jose'))).toBe(true);
  });

  it('are texts that differ in a word', () => {
    expect(nearlySame(shingle(ANSWER), shingle(ANSWER.replace('bucket', 'basin')))).toBe(true);
    expect(nearlySame(shingle(ANSWER), shingle(`${ANSWER} Today.`))).toBe(true);
  });

  it('are not texts about the same with other words, nor texts without words', () => {
    expect(nearlySame(shingle(ANSWER), shingle('You need a bucket and two bottles of cleaner.'))).toBe(false);
    expect(nearlySame(shingle('...'), shingle('!!!'))).toBe(false);
  });

  it('are merged into the first, which says for how many it stands', () => {
    const of = (sha256: string, text?: string) => ({ sha256, ...(text && { shingled: shingle(text) }) });
    const groups = mergeNearDuplicates([
      of('a', ANSWER),
      of('b', `${ANSWER} Today.`),
      of('c'),
      of('c'),
      of('d', 'Something else altogether.'),
    ]);
    expect(groups.map(({ sample, similar }) => [sample.sha256, similar.length])).toEqual([
      ['a', 1],
      ['c', 1],
      ['d', 0],
    ]);
  });

  it('are found among a thousand texts in well under a second', () => {
    const texts = Array.from({ length: 1_000 }, (_, n) => ({
      sha256: String(n),
      shingled: shingle(
        `${ANSWER} ${'word'.repeat((n % 50) + 1)} and ${'more'.repeat((n % 50) + 1)} ${ANSWER}`,
      ),
    }));
    const startedMs = performance.now();
    mergeNearDuplicates(texts);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});

describe('choosing by category', () => {
  const of = (atMs: number, ...categories: string[]) => ({ atMs, categories });

  it('takes turns, newest first, so that a rare category is seen', () => {
    const hate = Array.from({ length: 100 }, (_, n) => of(1_000 + n, 'hate'));
    const chosen = stratify([...hate, of(1, 'self_harm'), of(2, 'self_harm'), of(3)], 5);
    expect(chosen).toEqual([
      of(1_099, 'hate'),
      of(1_098, 'hate'),
      of(3),
      of(2, 'self_harm'),
      of(1, 'self_harm'),
    ]);
  });

  it('counts an output with several categories for the rarest', () => {
    const common = Array.from({ length: 10 }, (_, n) => of(100 + n, 'hate'));
    expect(stratify([...common, of(1, 'hate', 'csam')], 2)).toEqual([of(109, 'hate'), of(1, 'hate', 'csam')]);
  });

  it('gives all where there are fewer than wanted', () => {
    expect(stratify([of(1, 'a'), of(2, 'b')], 10)).toHaveLength(2);
    expect(stratify([], 10)).toEqual([]);
  });
});
