import { describe, expect, it } from 'vitest';
import { formatMatcher, parseMatcher } from './matcher.ts';

describe('parseMatcher', () => {
  it.each([
    ['rmf_function="MANAGE"', { label: 'rmf_function', op: '=', value: 'MANAGE' }],
    ['alertname=~"AiHarmful.*"', { label: 'alertname', op: '=~', value: 'AiHarmful.*' }],
    ['team!="a"', { label: 'team', op: '!=', value: 'a' }],
    ['team!~"a|b"', { label: 'team', op: '!~', value: 'a|b' }],
    ['  severity  =  critical  ', { label: 'severity', op: '=', value: 'critical' }],
    ['owner=""', { label: 'owner', op: '=', value: '' }],
    ['a="x\\"y"', { label: 'a', op: '=', value: 'x"y' }],
    ['a="x\\\\y"', { label: 'a', op: '=', value: 'x\\y' }],
    ['a="x\\ny"', { label: 'a', op: '=', value: 'x\ny' }],
    ['a=~"Ai\\.Harm\\d+"', { label: 'a', op: '=~', value: 'Ai\\.Harm\\d+' }],
    ['a="b, c}"', { label: 'a', op: '=', value: 'b, c}' }],
    ['a="=~"', { label: 'a', op: '=', value: '=~' }],
  ])('reads %s', (text, matcher) => {
    expect(parseMatcher(text)).toEqual({ ok: true, matcher });
  });

  it.each([
    ['', 0, /label name/],
    ['{a="b"}', 0, /without braces/],
    ['9a="b"', 0, /label name/],
    ['alertname', 9, /expected =/],
    ['alertname=', 10, /expected a value/],
    ['alertname=="x"', 9, /one =/],
    ['a="x', 2, /no end/],
    ['a="x\\', 2, /no end/],
    ['a="x" b', 6, /whole value/],
    ['a="x", b="y"', 5, /item of its own/],
    ['a=two words', 6, /whole value/],
    [`a="${'x'.repeat(1_000)}"`, 0, /at most 1000/],
  ])('refuses %s at %i', (text, at, message) => {
    const result = parseMatcher(text);
    expect(result).toMatchObject({ ok: false, at });
    expect(result).toHaveProperty('message', expect.stringMatching(message));
  });

  it('reads back what formatMatcher writes', () => {
    for (const value of ['plain', 'a"b', 'a\\b', 'a\\.b', 'line\nbreak', '']) {
      const matcher = { label: 'x', op: '=~' as const, value };
      expect(parseMatcher(formatMatcher(matcher))).toEqual({ ok: true, matcher });
    }
  });
});
