import { describe, expect, it } from 'vitest';
import { readBreakers } from './breakers.ts';

const open = {
  state: 'open',
  since: '2026-01-01T00:00:00Z',
  reason: 'r',
  fallback: 'f',
  share: 0,
  commandId: 'c',
};

describe("a gateway's reading of the breakers", () => {
  it('takes each target from its key and passes over the flat keys', () => {
    const { breakers, unreadable } = readBreakers(
      { state: 'open', 'deployment.llm-api': JSON.stringify(open) },
      new Map(),
    );
    expect([...breakers]).toEqual([['deployment.llm-api', { state: 'open', fallback: 'f', share: 0 }]]);
    expect(unreadable).toEqual([]);
  });

  it.each([
    '{broken',
    '{}',
    JSON.stringify({ ...open, share: 2 }),
    JSON.stringify({ ...open, state: 'ajar' }),
  ])('keeps what was there when it cannot read %s', (text) => {
    const before = readBreakers({ 'deployment.llm-api': JSON.stringify(open) }, new Map()).breakers;
    const { breakers, unreadable } = readBreakers({ 'deployment.llm-api': text }, before);
    expect(breakers.get('deployment.llm-api')?.state).toBe('open');
    expect(unreadable).toEqual(['deployment.llm-api']);
  });

  it('forgets a target whose key is gone: that is a closed breaker', () => {
    const before = readBreakers({ 'deployment.llm-api': JSON.stringify(open) }, new Map()).breakers;
    expect(readBreakers({}, before).breakers.size).toBe(0);
  });
});
