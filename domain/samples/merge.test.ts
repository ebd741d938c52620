import { describe, expect, it } from 'vitest';
import type { SampleSummary } from '../incident.ts';
import { mergeSamples, sampleKey } from './merge.ts';
import { countMarks, findSample } from './precision.ts';

const item = (source: string, id: string, more: object = {}): SampleSummary['items'][number] => ({
  id,
  ref: `s-${source}-${id}`,
  sha256: 'a'.repeat(64),
  length: 1,
  categories: ['hate'],
  requestId: '',
  ...more,
});
const summary = (from: string, items: SampleSummary['items'], more: object = {}): SampleSummary => ({
  count: items.length,
  from,
  byCategory: {},
  items,
  ...more,
});

describe('samples of several steps and tries', () => {
  it('stay, newest first, each once, and count together', () => {
    const first = summary('logs', [item('logs', 'a', { kept: true }), item('logs', 'b')], {
      keptUntilMs: 100,
      textsProblem: '1 of 2 texts were not kept',
    });
    const second = summary('db', [item('db', 'a', { categories: ['csam'] })], { keptUntilMs: 200 });
    const both = mergeSamples(first, second);
    expect(both).toMatchObject({
      count: 3,
      from: 'logs, db',
      byCategory: { hate: 2, csam: 1 },
      keptUntilMs: 100,
    });
    expect(both.items.map(({ ref }) => ref)).toEqual(['s-db-a', 's-logs-a', 's-logs-b']);
    const again = mergeSamples(both, summary('logs', [item('logs', 'c'), item('logs', 'a', { similar: 2 })]));
    expect(again.items.map(({ ref }) => ref)).toEqual(['s-logs-c', 's-logs-a', 's-db-a', 's-logs-b']);
    expect(again.items[1]).toMatchObject({ similar: 2, kept: true });
    expect(again.from).toBe('logs, db');
  });

  it('stay bounded', () => {
    let merged: SampleSummary | undefined;
    for (let round = 0; round < 10; round++) {
      const items = Array.from({ length: 50 }, (_, n) => item('logs', `${round}-${n}`));
      merged = mergeSamples(merged, summary('logs', items));
    }
    expect(merged).toMatchObject({ count: 200, byCategory: { hate: 200 } });
    expect(merged?.items[0]?.id).toBe('9-0');
  });

  it('of two sources with the same id are two, to reviewers too', () => {
    const both = mergeSamples(summary('logs', [item('logs', 'a')]), summary('db', [item('db', 'a')]));
    const keys = ['s-logs-a', 's-db-a'].map((ref) => {
      const found = findSample(both, ref);
      return found && sampleKey(found);
    });
    expect(new Set(keys).size).toBe(2);
    const [one = '', other = ''] = keys;
    expect(countMarks({ [one]: { ana: 'harmful' }, [other]: { ana: 'benign' } })).toMatchObject({
      harmful: 1,
      benign: 1,
      disagreed: [],
    });
  });
});
