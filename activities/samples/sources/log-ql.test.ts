import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindLogQl, logQlProblem, quoteLogQl } from './log-ql.ts';
import { postgresQueryProblem } from './postgres-query.ts';

const TARGET = { cluster: 'prod', namespace: 'ai', kind: 'Deployment', name: 'llm-api' } as const;

describe('binding values into LogQL', () => {
  it('writes them as literals, outside literals only', () => {
    const query = '{ns=$namespace, pod=~"a$name.*$"} |~ `$name` | json | name=$name';
    expect(bindLogQl(query, TARGET)).toBe('{ns="ai", pod=~"a$name.*$"} |~ `$name` | json | name="llm-api"');
  });

  it('never lets a value end its literal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        const literal = quoteLogQl(value);
        expect(literal).toMatch(/^"(?:[^"\\\x00-\x1f\x7f-\uffff]|\\["\\]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*"$/);
      }),
    );
    expect(quoteLogQl('"} or {a="b')).toBe('"\\"} or {a=\\"b"');
  });

  it.each([
    ['{ns=$namespace}', undefined],
    ['{ns="ai"}', 'names no value of the target'],
    ['{ns="$namespace"}', 'names no value of the target'],
    ['{ns=$namespace, x=$deployment}', '$deployment is no value of a target'],
  ])('says what is wrong with %s', (query, problem) => {
    const found = logQlProblem(query);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });
});

describe('a query of PostgreSQL', () => {
  it.each([
    ['select 1 where $1 = $2 and $3 < $4 limit $5', undefined],
    ['with o as (select 1) select * from o where $1 = $2 and $3 < $4', undefined],
    ['delete from outputs where $1 = $2 and $3 < $4', 'one SELECT'],
    ['select * from outputs', 'does not use $1'],
    ['select * from outputs where ns = $1 and n = $2 and at between $3 and $40', '$40 is no parameter'],
  ])('is refused where it cannot be right: %s', (query, problem) => {
    const found = postgresQueryProblem(query);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });
});
