import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindPlaceholders, promDuration, regexLiteral, selector, stringLiteral } from './promql.ts';

describe('stringLiteral', () => {
  it('ends only where it ends, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const literal = stringLiteral(text);
        expect(literal).toMatch(/^"([^"\\\u0000-\u001f]|\\["\\]|\\x[0-9a-f]{2})*"$/u);
        const back = literal
          .slice(1, -1)
          .replace(/\\(x[0-9a-f]{2}|.)/gs, (_all, code: string) =>
            code.length === 3 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : code,
          );
        expect(back).toBe(text.toWellFormed());
      }),
    );
  });
});

describe('selector', () => {
  it('writes values as literals and refuses names that are none', () => {
    expect(selector('ai_requests_total', { namespace: 'a"b' }, [{ label: 'pod', pattern: 'x-.+' }])).toBe(
      'ai_requests_total{namespace="a\\"b",pod=~"x-.+"}',
    );
    expect(() => selector('up} or vector(1', {})).toThrow(/name/);
    expect(() => selector('up', { 'a="b",c': 'x' })).toThrow(/name/);
  });

  it('matches a text as itself in a regular expression', () => {
    expect(new RegExp(`^${regexLiteral('a.b+c(d)[e]$-')}$`).test('a.b+c(d)[e]$-')).toBe(true);
    expect(new RegExp(`^${regexLiteral('a.b')}$`).test('axb')).toBe(false);
  });
});

describe('bindPlaceholders', () => {
  it('puts literals in place of placeholders, and leaves strings and comments alone', () => {
    const promql = 'x{a=$d,b=~"v$d$",c=\'$d\',d=`\\$d`} # $nobody\n + y{a=$d}';
    expect(bindPlaceholders(promql, { d: 'l"m' })).toBe(
      'x{a="l\\"m",b=~"v$d$",c=\'$d\',d=`\\$d`} \n + y{a="l\\"m"}',
    );
  });

  it('is not led out of a string by an escaped quote', () => {
    expect(bindPlaceholders('x{a="\\"$d"}', { d: 'v' })).toBe('x{a="\\"$d"}');
  });

  it('refuses a placeholder that is bound to nothing, inherited names too', () => {
    for (const promql of ['x{a=$d}', 'x{a=$toString}', 'x{a=$}']) {
      expect(() => bindPlaceholders(promql, { e: 'v' })).toThrow(/bound to nothing/);
    }
  });
});

describe('promDuration', () => {
  it('is never zero', () => {
    expect([promDuration(0), promDuration(0.2), promDuration(300_000)]).toEqual(['1ms', '1ms', '300000ms']);
  });
});
