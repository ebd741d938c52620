import { describe, expect, it } from 'vitest';
import {
  alsoBadAfter,
  annotationPatch,
  type Holder,
  readMark,
  SUSPENDED_ANNOTATION,
  withHolder,
  withoutHolder,
} from './mark.ts';

function holder(target: string, plan = 'p'): Holder {
  return { target, incident: 'i', plan, since: '2026-01-01T00:00:00Z', bad: 'b', good: 'g' };
}

function read(text: string) {
  return readMark({ annotations: { [SUSPENDED_ANNOTATION]: text } });
}

describe('the mark of a suspended object', () => {
  it('comes back as it was written, and is absent where there is none', () => {
    const mark = withHolder(undefined, '{"prune":true}', holder('a'));
    expect(read(JSON.stringify(mark))).toEqual(mark);
    expect(readMark({})).toBeUndefined();
  });

  it.each([
    '',
    '{',
    '[]',
    'null',
    '{"was":"{}"}',
    '{"was":1,"holders":[]}',
    '{"was":"{}","holders":[]}',
    'true',
  ])('is unreadable where it is %j: never taken for none', (text) => {
    expect(read(text)).toBe('unreadable');
  });

  it('is unreadable with more holders than are ever written', () => {
    const holders = Array.from({ length: 51 }, (_, index) => holder(String(index)));
    expect(read(JSON.stringify({ was: '{}', holders }))).toBe('unreadable');
  });

  it('keeps what was before the first holder, has each target once, and ends with the last', () => {
    const first = withHolder(undefined, 'first', holder('a'));
    const both = withHolder(first, 'later', holder('b'));
    expect(both.was).toBe('first');
    const again = withHolder(both, 'later', holder('a', 'new'));
    expect(again.holders.map(({ target, plan }) => `${target}:${plan}`)).toEqual(['b:p', 'a:new']);
    const left = withoutHolder(again, 'a');
    expect(left?.holders.map(({ target }) => target)).toEqual(['b']);
    expect(left && withoutHolder(left, 'b')).toBeUndefined();
  });
});

describe('alsoBadAfter', () => {
  it('keeps what was bad at earlier rollbacks, each once and not today`s, bounded', () => {
    expect(alsoBadAfter(undefined, 'r1')).toEqual([]);
    const earlier = { ...holder('a'), badRevision: 'r2', alsoBad: ['r1', 'r3', 'r1'] };
    expect(alsoBadAfter(earlier, 'r3')).toEqual(['r2', 'r1']);
    const many = {
      ...holder('a'),
      alsoBad: Array.from({ length: 20 }, (_, index) => `x${index}`),
      badRevision: 'new',
    };
    expect(alsoBadAfter(many, 'now')).toHaveLength(20);
    expect(alsoBadAfter(many, 'now')[0]).toBe('new');
  });
});

describe('annotationPatch', () => {
  it('makes the map where there is none, escapes the key, and removes only what is there', () => {
    const path = '/metadata/annotations/firebreak.dev~1suspended';
    expect(annotationPatch({}, SUSPENDED_ANNOTATION, 'x')).toEqual([
      { op: 'add', path: '/metadata/annotations', value: {} },
      { op: 'add', path, value: 'x' },
    ]);
    expect(annotationPatch({ annotations: {} }, SUSPENDED_ANNOTATION, undefined)).toEqual([]);
    const annotations = { [SUSPENDED_ANNOTATION]: 'x' };
    expect(annotationPatch({ annotations }, SUSPENDED_ANNOTATION, undefined)).toEqual([
      { op: 'remove', path },
    ]);
  });
});
