import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMemory, writeMemory } from './route-annotation.ts';
import {
  divertRefs,
  type RawBackendRef,
  type RawRouteRule,
  REFUSING_SERVICE,
  type RouteBreaker,
  type RouteMemory,
  wantedRoute,
} from './route-weights.ts';

const NAMESPACE = 'ai';
const NONE: RouteMemory = { breakers: {}, rules: [] };
const KEY = 'deployment.llm';

function ref(name: string, weight?: number, more: Partial<RawBackendRef> = {}): RawBackendRef {
  return {
    group: '',
    kind: 'Service',
    name,
    port: 8000,
    ...(weight === undefined ? {} : { weight }),
    ...more,
  };
}

function breaker(share: number, fallback: string | null = 'fallback', services = ['llm']): RouteBreaker {
  return {
    state: share === 0 ? 'open' : 'half-open',
    since: '2026-01-01T12:00:00.000Z',
    share,
    services,
    fallback: fallback === null ? null : { service: fallback },
  };
}

/** `name=weight`, in order. */
function weights(refs: readonly RawBackendRef[]): string {
  return refs.map(({ name, weight }) => `${name}=${weight}`).join(' ');
}

function divert(refs: RawBackendRef[], ...breakers: RouteBreaker[]): string {
  return weights(divertRefs(refs, breakers, NAMESPACE).refs);
}

describe('weights by a breaker', () => {
  it.each([
    ['open, all to the fallback', [ref('llm')], breaker(0), 'llm=0 fallback=1000'],
    ['half-open, by share', [ref('llm')], breaker(0.1), 'llm=100 fallback=900'],
    ['a share too small for a weight', [ref('llm')], breaker(0.0001), 'llm=1 fallback=999'],
    [
      'a canary keeps its part',
      [ref('llm', 90), ref('next', 10)],
      breaker(0),
      'llm=0 next=10000 fallback=90000',
    ],
    [
      'a fallback that serves already',
      [ref('llm', 3), ref('fallback', 1)],
      breaker(0),
      'llm=0 fallback=4000',
    ],
    ['a target without weight', [ref('llm', 0), ref('next', 1)], breaker(0), 'llm=0 next=1'],
    ['open without a fallback', [ref('llm', 9), ref('next', 1)], breaker(0, null), 'llm=0 next=0'],
    [
      'half-open without a fallback',
      [ref('llm', 9), ref('next', 1)],
      breaker(0.1, null),
      `llm=900 next=1000 ${REFUSING_SERVICE}=8100`,
    ],
    [
      'several Services of the target',
      [ref('llm', 1), ref('llm-canary', 1)],
      breaker(0, 'fallback', ['llm', 'llm-canary']),
      'llm=0 llm-canary=0 fallback=2000',
    ],
    ['the target as its own fallback', [ref('llm')], breaker(0, 'llm'), 'llm=0'],
    [
      'its own namespace, spelled out',
      [ref('llm', 1, { namespace: NAMESPACE })],
      breaker(0),
      'llm=0 fallback=1000',
    ],
    [
      'a namesake in another namespace',
      [ref('llm', 1), ref('llm', 1, { namespace: 'other' })],
      breaker(0),
      'llm=0 llm=1000 fallback=1000',
    ],
    ['another kind', [ref('llm', 5, { kind: 'InferencePool', group: 'x.io' })], breaker(0), 'llm=5'],
  ])('%s', (_what, refs, one, expected) => {
    expect(divert(refs, one)).toBe(expected);
  });

  it('sends nothing on to a fallback that is diverted itself, nor in a circle', () => {
    const second = { ...breaker(0, 'third', ['fallback']) };
    expect(divert([ref('llm')], breaker(0), second)).toBe('llm=0 third=1000');
    expect(divert([ref('llm'), ref('fallback')], breaker(0), breaker(0, 'llm', ['fallback']))).toBe(
      'llm=0 fallback=0',
    );
  });

  it('takes the port of the target`s backend for the fallback, or its own', () => {
    const { refs } = divertRefs(
      [ref('llm', 1, { port: 81 }), ref('llm', 1, { port: 82 })],
      [breaker(0)],
      NAMESPACE,
    );
    expect(refs.slice(2).map(({ port, weight }) => [port, weight])).toEqual([
      [81, 1000],
      [82, 1000],
    ]);
    const own = { ...breaker(0), fallback: { service: 'fallback', port: 9000 } };
    expect(divertRefs([ref('llm')], [own], NAMESPACE).refs[1]).toEqual(ref('fallback', 1000, { port: 9000 }));
  });

  it('refuses, and says so, where a rule has no room for a fallback', () => {
    const refs = [ref('llm'), ...Array.from({ length: 15 }, (_, index) => ref(`other-${index}`))];
    const diverted = divertRefs(refs, [breaker(0)], NAMESPACE);
    expect(diverted.refs.every(({ weight }) => weight === 0)).toBe(true);
    expect(diverted.problems).toEqual([expect.stringContaining('16 backends')]);
  });
});

// --- any route ----------------------------------------------------------------------------------------------------

const anyRef = fc.record(
  {
    group: fc.constantFrom('', 'x.io'),
    kind: fc.constantFrom('Service', 'InferencePool'),
    namespace: fc.constantFrom(NAMESPACE, 'other'),
    name: fc.constantFrom('llm', 'llm-canary', 'fallback', 'next'),
    port: fc.constantFrom(80, 81),
    weight: fc.oneof(fc.constantFrom(0, 1, 100), fc.integer({ min: 0, max: 1_000_000 })),
    filters: fc.constant([{ type: 'RequestMirror' }]),
  },
  { requiredKeys: ['name'] },
) as fc.Arbitrary<RawBackendRef>;
const anyRules: fc.Arbitrary<RawRouteRule[]> = fc.array(
  fc.record(
    {
      matches: fc.constantFrom([{ path: { value: '/' } }], [{ path: { value: '/v1' } }]),
      backendRefs: fc.array(anyRef, { maxLength: 16 }),
    },
    { requiredKeys: [] },
  ),
  { maxLength: 6 },
);
const anyBreaker = fc
  .record({
    share: fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    fallback: fc.constantFrom('fallback', 'llm', 'next', null),
    services: fc.constantFrom(['llm'], ['llm', 'llm-canary']),
  })
  .map(({ share, fallback, services }) => breaker(share, fallback, [...services]));

interface Route {
  rules: RawRouteRule[];
  memory: RouteMemory;
}

/** Writes as the activity does, through the annotation's text. */
function write(
  route: Route,
  one: RouteBreaker | undefined,
  key = KEY,
  services = ['llm', 'llm-canary'],
): Route {
  const wanted = wantedRoute(NAMESPACE, route.rules, route.memory, key, services, one);
  const rules = route.rules.map((rule, index) =>
    wanted.differing.includes(index) ? { ...rule, backendRefs: wanted.refs[index] } : rule,
  );
  const text = wanted.memory === undefined ? undefined : writeMemory(wanted.memory);
  const memory = readMemory(text);
  if (memory === undefined) throw new Error(`what was written cannot be read: ${text}`);
  return { rules, memory };
}

function weightOf(refs: readonly RawBackendRef[] = [], names: readonly string[]): number {
  const local = refs.filter(
    ({ group = '', kind = 'Service', namespace = NAMESPACE, name }) =>
      group === '' && kind === 'Service' && namespace === NAMESPACE && names.includes(name),
  );
  return local.reduce((sum, { weight = 1 }) => sum + weight, 0);
}

describe('any route', () => {
  it('has exactly what was there when the breaker is closed, whatever came between', () => {
    fc.assert(
      fc.property(anyRules, fc.array(anyBreaker, { minLength: 1, maxLength: 4 }), (rules, breakers) => {
        let route: Route = { rules, memory: NONE };
        for (const one of breakers) route = write(route, one);
        expect(write(route, undefined)).toEqual({ rules, memory: NONE });
      }),
    );
  });

  it('gives back two breakers in any order', () => {
    fc.assert(
      fc.property(anyRules, anyBreaker, anyBreaker, fc.boolean(), (rules, one, two, firstFirst) => {
        const other = { ...two, services: ['next'] };
        let route = write({ rules, memory: NONE }, one);
        route = write(route, other, 'deployment.next', ['next']);
        const order = firstFirst ? [KEY, 'deployment.next'] : ['deployment.next', KEY];
        for (const key of order)
          route = write(route, undefined, key, key === KEY ? ['llm', 'llm-canary'] : ['next']);
        expect(route).toEqual({ rules, memory: NONE });
      }),
    );
  });

  it('gives an open target nothing, a half-open one no more than its share, and others what they had', () => {
    fc.assert(
      fc.property(anyRules, anyBreaker, (rules, one) => {
        const { rules: written } = write({ rules, memory: NONE }, one);
        written.forEach((rule, index) => {
          const before = rules[index]?.backendRefs ?? [];
          const after = rule.backendRefs ?? [];
          expect(after.length).toBeLessThanOrEqual(16);
          expect(after.every(({ weight = 1 }) => weight >= 0 && weight <= 1_000_000)).toBe(true);
          const total = (refs: RawBackendRef[]) => refs.reduce((sum, { weight = 1 }) => sum + weight, 0);
          const had = weightOf(before, one.services) / Math.max(1, total(before));
          const has = weightOf(after, one.services) / Math.max(1, total(after));
          // A weight is at least 1 of a thousand, one a backend.
          if (one.state === 'open') expect(weightOf(after, one.services)).toBe(0);
          else expect(has).toBeLessThanOrEqual(had * one.share + 0.02);
          if (total(after) > 0 && had > 0 && !one.services.includes('next')) {
            const others = (refs: RawBackendRef[]) => weightOf(refs, ['next']) / total(refs);
            if (one.fallback?.service !== 'next') expect(others(after)).toBeCloseTo(others(before), 1);
          }
        });
      }),
    );
  });

  it('is written once: the second time nothing differs', () => {
    fc.assert(
      fc.property(anyRules, anyBreaker, (rules, one) => {
        const once = write({ rules, memory: NONE }, one);
        const again = wantedRoute(NAMESPACE, once.rules, once.memory, KEY, one.services, one);
        expect(again.differing).toEqual([]);
        expect(again.memory ?? NONE).toEqual(once.memory);
      }),
    );
  });
});

describe('a route that others change meanwhile', () => {
  const matches = [{ path: { value: '/' } }];
  const original: RawRouteRule[] = [{ matches, backendRefs: [ref('llm', 9), ref('next', 1)] }];
  const diverted = write({ rules: original, memory: NONE }, breaker(0));
  const refsOf = ({ rules }: Route) => weights(rules[0]?.backendRefs ?? []);
  const changed = (backendRefs: RawBackendRef[]): Route => ({
    ...diverted,
    rules: [{ matches, backendRefs }],
  });

  it('is diverted again where its owner`s manifest was applied as before, and gets that back', () => {
    const again = write({ ...diverted, rules: original }, breaker(0));
    expect(refsOf(again)).toBe('llm=0 next=1000 fallback=9000');
    expect(write(again, undefined)).toEqual({ rules: original, memory: NONE });
  });

  it('takes a new manifest for its own backends', () => {
    const again = write(changed([ref('llm', 1), ref('next', 1)]), breaker(0));
    expect(refsOf(again)).toBe('llm=0 next=1000 fallback=1000');
    expect(refsOf(write(again, undefined))).toBe('llm=1 next=1');
  });

  it('does not take weights that were fiddled with for its own', () => {
    const again = write(changed([ref('llm', 500), ref('next', 1_000), ref('fallback', 500)]), breaker(0));
    expect(refsOf(again)).toBe('llm=0 next=1000 fallback=9000');
    expect(refsOf(write(again, undefined))).toBe('llm=9 next=1');
  });

  it('keeps a backend that was added, and leaves out one that was taken away', () => {
    const again = write(changed([ref('llm', 0), ref('fallback', 9_000), ref('third', 1)]), breaker(0));
    expect(refsOf(write(again, undefined))).toBe('llm=9 third=1');
  });

  it('knows a rule whose matches were edited by its backends', () => {
    const rules = [{ matches: [{ path: { value: '/v2' } }], backendRefs: diverted.rules[0]?.backendRefs }];
    expect(refsOf(write({ ...diverted, rules }, undefined))).toBe('llm=9 next=1');
  });

  it('knows rules that changed places, and diverts new ones', () => {
    const added: RawRouteRule = { matches: [{ path: { value: '/new' } }], backendRefs: [ref('llm', 7)] };
    const again = write({ ...diverted, rules: [added, ...diverted.rules] }, breaker(0));
    expect(again.rules.map(({ backendRefs = [] }) => weights(backendRefs))).toEqual([
      'llm=0 fallback=7000',
      'llm=0 next=1000 fallback=9000',
    ]);
    expect(write(again, undefined).rules).toEqual([added, ...original]);
  });
});

describe('the annotation on a route', () => {
  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"breakers":{},"rules":[{}]}',
    '{"breakers":{"x":{"state":"closed"}},"rules":[]}',
  ])('is no memory as %j', (text) => {
    expect(readMemory(text)).toBeUndefined();
  });
});
