import { describe, expect, it } from 'vitest';
import { isEndpointPath } from '../../domain/endpoint-path.ts';
import { compileRunbook } from '../compile.ts';
import { stepDefinition } from './definitions.ts';

/** A runbook with one step, whose `with` is written as given. */
function compiled(uses: string, input: string, more = '') {
  return compileRunbook(
    'test.yaml',
    `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: test, owner: team@example.com, version: 1 }
spec:
  match: ['alertname=~"Ai.*"']
  correlateBy: [cluster, namespace, deployment]
  target: { kind: Deployment, namespace: '\${{ labels.namespace }}', name: '\${{ labels.deployment }}' }
  metrics:
    harmRate: { promql: 'x{deployment=$d}', bind: { d: target.name } }
  steps:
    - id: it
      uses: ${uses}
      with: ${input}${more}
`,
  );
}

const APPROVAL = '\n      approval: { from: [ml-oncall] }';

function definitionOf(uses: string) {
  const definition = stepDefinition(uses);
  if (!definition) throw new Error(`there is no step type ${uses}`);
  return definition;
}

describe('inputs are refused', () => {
  it.each([
    ['notify', '{ text: hello }', 'spec.steps[0].with.to'],
    ['notify', "{ to: ml, text: '' }", 'spec.steps[0].with.text'],
    ['notify', "{ to: 'C0123 ABC', text: hello }", 'spec.steps[0].with.to'],
    ['measure', '{ values: {} }', 'spec.steps[0].with.values'],
    ['measure', '{ values: { Rate: metrics.harmRate } }', 'spec.steps[0].with.values.Rate'],
    ['measure', '{ values: { rate: metrics.harmRate }, onUnknown: skip }', 'spec.steps[0].with.onUnknown'],
    ['measure', '{ values: { rate: metrics.harmRate > } }', 'spec.steps[0].with.values.rate'],
    ['measure', '{ values: { rate: metrics.unheardOf } }', 'spec.steps[0].with.values.rate'],
    ['wait', '{ until: metrics.harmRate < 0.1 }', 'spec.steps[0].with.for'],
    ['wait', '{ for: 31d }', 'spec.steps[0].with.for'],
    ['wait', '{ for: 0s }', 'spec.steps[0].with.for'],
    ['wait', '{ for: 1h, until: metrics.harmRate }', 'spec.steps[0].with.until'],
    ['http', '{ method: POST }', 'spec.steps[0].with.endpoint'],
    ['http', '{ endpoint: gate, method: TRACE }', 'spec.steps[0].with.method'],
    ['http', '{ endpoint: gate, path: models }', 'spec.steps[0].with.path'],
    ['http', '{ endpoint: gate, path: /../admin }', 'spec.steps[0].with.path'],
    ['http', `{ endpoint: gate, path: '/models/\${{ target.name }}' }`, 'spec.steps[0].with.path'],
    ['http', '{ endpoint: gate, expectStatus: [] }', 'spec.steps[0].with.expectStatus'],
    ['http', '{ endpoint: gate, expectStatus: [100] }', 'spec.steps[0].with.expectStatus[0]'],
    ['http', '{ endpoint: gate, method: GET, json: { a: 1 } }', 'spec.steps[0].with.json'],
    ['http', `{ endpoint: gate, json: ${'x'.repeat(17_000)} }`, 'spec.steps[0].with.json'],
    ['task', '{ title: Fix, lane: control }', 'spec.steps[0].with.due'],
    ['task', '{ title: Fix, lane: later, due: 1d }', 'spec.steps[0].with.lane'],
    ['task', '{ title: Fix, lane: control, due: 400d }', 'spec.steps[0].with.due'],
    ['task', '{ title: Carry, lane: safety-debt, due: 14d }', 'spec.steps[0].with.expires'],
    ['task', '{ title: Pin, lane: exception, due: 14d, expires: 30d }', 'spec.steps[0].with.retires'],
    ['task', '{ title: Fix, lane: control, due: 14d, expires: 30d }', 'spec.steps[0].with.expires'],
  ])('%s with %s', (uses, input, path) => {
    const result = compiled(uses, input);
    const places = result.ok ? [] : result.problems.map((problem) => problem.path);
    expect(places).toContain(path);
  });

  it('of a wait whose step would end before it', () => {
    const result = compiled('wait', '{ for: 2d }', '\n      timeout: 1d');
    expect(result.ok ? [] : result.problems.map(({ rule }) => rule)).toEqual(['steps/timeout']);
  });
});

describe('inputs are compiled', () => {
  it.each<[string, string, Record<string, unknown>, string?]>([
    ['notify', '{ to: ml, text: hello }', { to: 'ml', text: 'hello' }],
    [
      'measure',
      '{ values: { rate: metrics.harmRate } }',
      { values: { rate: 'metrics.harmRate' }, onUnknown: 'fail' },
    ],
    ['approval', '{ summary: Go on? }', { summary: 'Go on?' }, APPROVAL],
    ['wait', '{ for: 15d }', { forMs: 1_296_000_000 }],
    ['http', '{ endpoint: gate }', { endpoint: 'gate', method: 'POST', path: '' }],
    [
      'task',
      '{ title: Carry, lane: safety-debt, due: 14d, expires: 90d }',
      {
        title: 'Carry',
        lane: 'safety-debt',
        rmfFunction: 'MANAGE',
        dueMs: 1_209_600_000,
        expiresMs: 7_776_000_000,
      },
    ],
  ])('%s with %s', (uses, input, expected, more) => {
    const result = compiled(uses, input, more);
    expect(result.ok ? [] : result.problems).toEqual([]);
    if (result.ok) expect(result.runbook.steps[0]?.with).toEqual(expected);
  });

  it('with time for a wait and the work around it', () => {
    const result = compiled('wait', '{ for: 15d }');
    expect(result.ok && result.runbook.steps[0]?.timeoutMs).toBe(15 * 86_400_000 + 300_000);
  });

  it('as a change of production where they are one', () => {
    const mutates = (uses: string, input: string, more = '') => {
      const result = compiled(uses, input, more);
      return result.ok ? result.runbook.steps[0]?.mutates : result.problems;
    };
    expect(mutates('http', '{ endpoint: gate, method: GET }')).toBe(false);
    expect(mutates('http', '{ endpoint: gate, method: PUT }')).toBe(true);
    expect(mutates('http', '{ endpoint: gate }')).toBe(true);
    // Not asked about what will not be done.
    expect(mutates('approval', '{ summary: Go on? }', APPROVAL)).toBe(true);
    expect(mutates('wait', '{ for: 1h }')).toBe(false);
  });
});

describe('measure', () => {
  it('tells the types of its values, as far as they are known before', () => {
    const { outputs } = definitionOf('measure');
    const values = {
      rate: 'metrics.harmRate',
      high: 'metrics.harmRate > 0.1',
      who: 'target.name',
      whole: 'target.replicas',
      any: 'steps.other.thing',
      broken: '1 +',
    };
    expect(typeof outputs === 'function' && outputs({ values })).toEqual({
      rate: 'double',
      high: 'bool',
      who: 'string',
      whole: 'double',
      any: 'dyn',
      broken: 'dyn',
    });
    // What is written wrongly is told by the schema.
    expect(typeof outputs === 'function' && outputs({ values: ['metrics.harmRate'] })).toEqual({});
  });
});

describe('http', () => {
  it('names every text of its body with its place', () => {
    const json = { a: 'x', b: [{ c: 'y' }, 1, null], d: true };
    expect(definitionOf('http').templates({ json })).toEqual([
      { path: ['json', 'a'], text: 'x' },
      { path: ['json', 'b', 0, 'c'], text: 'y' },
    ]);
  });

  it.each(['', '/a', '/a/', '/a/b.json', '/a/..b', '/v1/~x?dry=true&at=/x', '/a%20b'])(
    'allows the path %j',
    (path) => {
      expect(isEndpointPath(path)).toBe(true);
    },
  );

  it.each([
    '/',
    '//a',
    '/a//b',
    '/..',
    '/a/../b',
    '/./a',
    '/%2e%2E/a',
    '/a/%2e',
    '/a%2Fb',
    '/a%5cb',
    '/a%zz',
    '/a\\b',
    '/a#b',
    '/a b',
    'a',
    '?a=1',
    '/a?b\n',
    'http://evil.example',
    '/$x',
    '/{x}',
  ])('refuses the path %j', (path) => {
    expect(isEndpointPath(path)).toBe(false);
  });
});
