import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../domain/canonical-json.ts';
import { compileRunbook, sealRunbook } from './compile.ts';
import { LIBRARY_PATH } from './load.ts';
import { RULES } from './rules.ts';

const VALID = `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: test, owner: team@example.com, version: 1 }
spec:
  match: ['alertname=~"Ai.*"']
  correlateBy: [cluster, namespace, deployment]
  target: { kind: Deployment, namespace: '\${{ labels.namespace }}', name: '\${{ labels.deployment }}' }
  metrics:
    harmful: { counter: ai_harmful_outputs_total, labels: { namespace: target.namespace } }
    classified: { counter: ai_outputs_classified_total, labels: { namespace: target.namespace } }
    requests: { counter: ai_requests_total, labels: { namespace: target.namespace } }
    harmRate: { ratio: [harmful, classified], window: 5m }
    p99: { promql: 'histogram_quantile(0.99, x{deployment=$d})', bind: { d: target.name } }
  severity: 'metrics.harmRate > 0.05 ? "SEV1" : "SEV2"'
  steps:
    - { id: page, uses: page, with: { roles: [ml-oncall], escalate: { after: 5m, to: [commander] } } }
    - { id: divert, uses: divert, whenever: metrics.harmRate > 0.05, with: { to: fallback } }
    - { id: ticket, uses: ticket }
    - { id: sample, uses: sample, with: { from: outputs, attachTo: ticket } }
    - { id: snapshot, uses: snapshot }
    - { id: rollback, uses: rollback, needs: [snapshot], approval: { from: [ml-oncall] } }
    - { id: verify, uses: verify, needs: [rollback], with: { guards: ['metrics.p99 < 2.0'] } }
    - { id: restore, uses: restore, needs: [verify] }
    - { id: postmortem, uses: postmortem, needs: [verify], always: true }
`;

/** The valid runbook with one text replaced by another. */
function changed(from: string, to: string): string {
  if (!VALID.includes(from)) throw new Error(`the valid runbook does not hold ${from}`);
  return VALID.replace(from, () => to);
}

function problemsOf(text: string) {
  const result = compileRunbook('test.yaml', text);
  return result.problems;
}

/** Line and column (from 1) of the nth occurrence of a text. */
function placeOf(text: string, part: string): { line: number; column: number } {
  const at = text.indexOf(part);
  if (at === -1) throw new Error(`not found: ${part}`);
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

describe('compileRunbook refuses', () => {
  // What is replaced, by what, the rule, where (the first occurrence of a text), and what the message says.
  it.each([
    ['owner: team@example.com, ', '', 'schema/missing-field', 'metadata', /owner is missing/],
    ['version: 1', 'version: one', 'schema/wrong-type', 'one', /takes a number|whole number/],
    ['kind: Runbook', 'kind: Workflow', 'schema/wrong-value', 'Workflow', /there is Runbook/],
    ['window: 5m', 'window: 5 minutes', 'schema/wrong-value', '5 minutes', /write 90s, 5m/],
    ['correlateBy:', 'corelateBy:', 'schema/unknown-field', 'corelateBy', /did you mean correlateBy/],
    ['{ from: outputs,', '{ from: outputs, limt: 5,', 'schema/unknown-field', 'limt', /did you mean limit/],
    ['{ from: outputs,', '{ from: outputs, limit: 51,', 'schema/wrong-value', '51', /50/],
    ['to: fallback', 'to: Fall_back', 'schema/wrong-value', 'Fall_back', /name of a Deployment/],
    [
      'approval: { from: [ml-oncall] }',
      'approval: { preapprovedWhen: harmful, from: [a] }',
      'cel/unknown-name',
      'harmful, from',
      /unknown name harmful/,
    ],
    ['uses: ticket', 'uses: tikcet', 'steps/unknown-type', 'tikcet', /did you mean ticket/],
    ['id: ticket', 'id: page', 'steps/duplicate-id', 'page, uses: ticket', /another id/],
    [
      'needs: [rollback]',
      'needs: [rollbakc, rollback]',
      'steps/unknown-need',
      'rollbakc',
      /did you mean rollback/,
    ],
    ['needs: [snapshot]', 'needs: [verify]', 'steps/cycle', '[verify]', /could ever start/],
    ['whenever: metrics', 'when: "true", whenever: metrics', 'steps/conditions', 'whenever', /not both/],
    [
      'attachTo: ticket',
      'attachTo: page',
      'steps/attach-to',
      'page } }\n    - { id: snapshot',
      /did you mean|there is ticket/,
    ],
    ['needs: [rollback], with', 'needs: [rollback], timeout: 5m, with', 'steps/timeout', '5m, with', /30m/],
    [', approval: { from: [ml-oncall] }', '', 'rollback/approval', '{ id: rollback', /asks people/],
    ['needs: [rollback]', 'needs: [page]', 'rollback/verify', '{ id: rollback', /needs: \[rollback\]/],
    ['needs: [verify]', 'needs: [rollback]', 'restore/proof', '{ id: restore', /proved revision/],
    ['needs: [verify]', 'needs: [verify], always: true', 'restore/proof', '{ id: restore', /always/],
    [
      '    - { id: restore, uses: restore, needs: [verify] }\n',
      '',
      'divert/restore',
      '{ id: divert',
      /brings the traffic back/,
    ],
    ['labels.deployment', 'labels.pod', 'target/label', 'labels.pod', /not in correlateBy/],
    ['{{ labels.deployment }}', '{{ alert.name }}', 'target/template', `\${{ alert.name }}`, /only labels/],
    [
      'ratio: [harmful, classified]',
      'ratio: [harmfull, classified]',
      'metrics/unknown',
      'harmfull',
      /did you mean harmful/,
    ],
    ['ratio: [harmful, classified]', 'ratio: [harmful, p99]', 'metrics/unknown', 'p99]', /no counter metric/],
    [
      'labels: { namespace: target.namespace }',
      'labels: { namespace: labels.namespace }',
      'metrics/label',
      'labels.namespace } }',
      /target\.name/,
    ],
    ['deployment=$d', 'deployment=$e', 'metrics/bind', '$e', /bound to nothing/],
    ['deployment=$d', 'deployment="$d"', 'metrics/bind', '$d', /inside quotes/],
    [
      'ratio: [harmful, classified], window',
      'rate: 1, window',
      'schema/wrong-value',
      'harmRate: {',
      /exactly one of/,
    ],
    ['[\'alertname=~"Ai.*"\']', '[]', 'match/empty', 'match', /answers no alert/],
    ['alertname=~"Ai.*"', 'alertname~"Ai.*"', 'match/syntax', '~"Ai', /expected =/],
    ['=~"Ai.*"', '=~"Ai(?=x)"', 'match/syntax', "'alertname", /RE2/],
    ['metrics.p99 < 2.0', 'metrics.p98 < 2.0', 'cel/unknown-metric', 'metrics.p98', /did you mean p99/],
    ['metrics.p99 < 2.0', 'metrics.p99 <', 'cel/syntax', "'] } }", /ends too early/],
    ['metrics.p99 < 2.0', 'metrics.p99 < 2.0 and true', 'cel/syntax', 'and true', /write && for and/],
    ['metrics.p99 < 2.0', 'metrics.p99', 'cel/type', 'metrics.p99', /write a comparison/],
    ['metrics.p99 < 2.0', 'steps.page.ok', 'cel/step-not-needed', 'steps.page.ok', /add needs: \[page\]/],
    ['metrics.p99 < 2.0', 'steps.rolback.ok', 'cel/unknown-step', 'steps.rolback', /did you mean rollback/],
    [
      'metrics.p99 < 2.0',
      'target.riskTeir == "high"',
      'cel/unknown-name',
      'target.riskTeir',
      /did you mean riskTier/,
    ],
    ['metrics.p99 < 2.0', 'has(metrics.p99)', 'cel/not-allowed', 'has(metrics.p99)', /whenUnknown/],
    ['metrics.p99 < 2.0', 'metrics.p99 / metrics.harmful < 2.0', 'cel/not-allowed', 'metrics.p99 /', /ratio/],
    ['"SEV1" : "SEV2"', '"SEV1" : "SEV5"', 'cel/type', '"SEV5"', /no severity/],
    ['metrics.harmRate > 0.05 ? "SEV1" : "SEV2"', 'SEV1', 'cel/unknown-name', 'SEV1', /in quotes/],
    [
      'counter: ai_outputs_classified_total',
      'counter: ai-outputs',
      'schema/wrong-value',
      'ai-outputs',
      /Prometheus counter/,
    ],
    ['classified: {', 'looked_at: {', 'verify/metrics', 'verify, needs', /named classified/],
    [
      'version: 1',
      'version: 1, version: 2',
      'yaml/syntax',
      'version: 2',
      /stands twice in this map, here and on line 3/,
    ],
    ['kind: Runbook', 'kind: !kind Runbook', 'yaml/tag', '!kind', /plain value/],
    ['metadata: {', 'metadata: { <<: { a: 1 },', 'yaml/merge-key', '<<', /merge keys/],
    ['metadata: {', 'metadata: { __proto__: { a: 1 },', 'yaml/key', '__proto__', /no name/],
    ['kind: Runbook', 'kind: Runbook\n---\nkind: Runbook', 'yaml/syntax', '---', /one runbook/],
  ] as const)('%s -> %s (%s)', (from, to, rule, at, message) => {
    const text = changed(from, to);
    const found = problemsOf(text).find((problem) => problem.rule === rule);
    expect(found, JSON.stringify(problemsOf(text), null, 1)).toBeDefined();
    expect(found).toMatchObject({ file: 'test.yaml', ...placeOf(text, at) });
    expect(found?.message).toMatch(message);
  });

  it('every mistake at once, in the order of the file', () => {
    const text = VALID.replace('version: 1', 'version: 0')
      .replace('window: 5m', 'window: soon')
      .replace('uses: ticket', 'uses: tiket')
      .replace('metrics.p99 < 2.0', 'metrics.p9 < 2.0');
    expect(problemsOf(text).map((problem) => problem.rule)).toEqual([
      'schema/wrong-value',
      'schema/wrong-value',
      'steps/unknown-type',
      'steps/attach-to',
      'cel/unknown-metric',
    ]);
  });

  it('steps that act on a target where the runbook has none', () => {
    const text = VALID.replace(/ {2}target: .*\n/, '');
    expect(problemsOf(text).map((problem) => problem.rule)).toContain('target/missing');
  });

  it.each([
    ['an empty file', ''],
    ['a list', '- a'],
    ['only a number', '12'],
    ['steps that are no maps', 'spec: { steps: [1, null, [a]], metrics: [], match: x, correlateBy: 3 }'],
    ['thousands of open brackets', '['.repeat(50_000)],
    ['an alias inside itself', 'a: &a [*a]'],
    ['many aliases', `a: &a [x]\nb: [${'*a, '.repeat(60)}]`],
    ['a file too large', `# ${'x'.repeat(300_000)}`],
    ['control characters', 'kind: "\\u0000\\u202e"\nspec: {steps: [{uses: constructor, id: __proto__}]}'],
  ])('%s without failing itself', (_name, text) => {
    const problems = problemsOf(text);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) {
      expect(Object.keys(RULES)).toContain(problem.rule);
      expect(problem.line).toBeGreaterThanOrEqual(1);
      expect(problem.column).toBeGreaterThanOrEqual(1);
    }
  });

  it('a problem in a folded or literal block at its own line', () => {
    const text = VALID.replace(
      / {2}severity: .*\n/,
      '  severity: |\n    metrics.harmRate > 0.05\n      ? "SEV1" : metrics.nope\n',
    );
    const found = problemsOf(text).find((problem) => problem.rule === 'cel/unknown-metric');
    expect(found).toMatchObject(placeOf(text, 'metrics.nope'));
  });
});

describe('compileRunbook', () => {
  it('makes a plan with defaults, and durations in milliseconds', () => {
    const result = compileRunbook('test.yaml', VALID);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    const { runbook } = result;
    expect(runbook).toMatchObject({
      name: 'test',
      match: [{ label: 'alertname', op: '=~', value: 'Ai.*' }],
      target: { kind: 'Deployment', cluster: '${' + '{ labels.cluster }}' },
      resolveAfterMs: 300_000,
      quietForMs: 3_600_000,
      watchEveryMs: 15_000,
    });
    expect(runbook.metrics.harmRate).toEqual({
      type: 'ratio',
      of: ['harmful', 'classified'],
      windowMs: 300_000,
    });
    const step = (id: string) => runbook.steps.find((candidate) => candidate.id === id);
    expect(step('page')?.whenUnknown).toBe('run');
    expect(step('divert')?.whenUnknown).toBe('run');
    expect(step('sample')?.whenUnknown).toBe('run');
    expect(step('rollback')?.whenUnknown).toBe('skip');
    expect(step('rollback')?.approval).toEqual({
      from: ['ml-oncall'],
      count: 1,
      timeoutMs: 600_000,
      onTimeout: 'escalate',
    });
    expect(step('sample')?.with).toEqual({
      from: 'outputs',
      attachTo: 'ticket',
      limit: 50,
      windowMs: 900_000,
    });
    expect(step('verify')?.timeoutMs).toBe(35 * 60_000);
  });

  it('hashes the content: the same for another layout, another for another plan', () => {
    const hashOf = (text: string) => {
      const result = compileRunbook('x.yaml', text);
      return result.ok ? result.runbook.hash : '';
    };
    expect(hashOf(VALID)).toMatch(/^[0-9a-f]{64}$/);
    expect(hashOf(`# a comment\n${VALID}`)).toBe(hashOf(VALID));
    expect(hashOf(changed('version: 1', 'version: 2'))).not.toBe(hashOf(VALID));
  });

  it('gives plain JSON whose hash can be made again', () => {
    const result = compileRunbook('x.yaml', VALID);
    if (!result.ok) throw new Error('not valid');
    const copy = JSON.parse(JSON.stringify(result.runbook));
    expect(copy).toEqual(result.runbook);
    expect(sealRunbook(copy).hash).toBe(result.runbook.hash);
    expect(canonicalJson(copy)).toBe(canonicalJson(result.runbook));
  });

  it.each([
    ['to: previous', 'previous'],
    ['to: last-known-good', 'last-known-good'],
    ['to: revision 7', { revision: 7 }],
    ['to: { revision: 7 }', { revision: 7 }],
  ])('reads rollback %s', (written, to) => {
    const text = changed('uses: rollback,', `uses: rollback, with: { ${written} },`);
    const result = compileRunbook('x.yaml', text);
    expect(result.ok && result.runbook.steps.find((step) => step.id === 'rollback')?.with.to).toEqual(to);
  });

  it.each([
    ['a literal block', /severity: .*\n/, 'severity: |\n    metrics.harmRate > 0.05 ? "SEV1" : "SEV2"\n'],
    [
      'an anchor and its alias',
      'labels: { namespace: target.namespace } }\n    classified: { counter: ai_outputs_classified_total, labels: { namespace: target.namespace } }',
      'labels: &l { namespace: target.namespace } }\n    classified: { counter: ai_outputs_classified_total, labels: *l }',
    ],
    [
      'a dollar in a regular expression and in a comment',
      'x{deployment=$d}',
      'x{deployment=$d,le=~"1$"} # $x',
    ],
    ['a literal bound to a label', 'namespace: target.namespace }', 'namespace: \'"prod"\' }'],
    [
      'a step between rollback and verify',
      'uses: verify, needs: [rollback]',
      'uses: verify, needs: [between]',
    ],
    ['an output of a needed step', 'metrics.p99 < 2.0', 'metrics.p99 < 2.0 && steps.rollback.revision > 1'],
    [
      'a step id with a dash',
      'metrics.p99 < 2.0',
      'metrics.p99 < 2.0 && steps["rollback"].applied == "patched"',
    ],
  ])('takes %s', (_name, from, to) => {
    let text = VALID.replace(from, () => to);
    if (text.includes('[between]')) text += '    - { id: between, uses: changes, needs: [rollback] }\n';
    expect(problemsOf(text)).toEqual([]);
    expect(text).not.toBe(VALID);
  });

  it.each(['ai-harm-response.yaml', 'default.yaml'])('takes the shipped %s', (file) => {
    expect(problemsOf(readFileSync(`${LIBRARY_PATH}/${file}`, 'utf8'))).toEqual([]);
  });

  const WITH_INPUT = changed(
    '  metrics:\n',
    '  inputs: { fallback: { default: llm-a }, limit: { default: 0.05 } }\n  metrics:\n',
  )
    .replace('to: fallback', `to: '\${{ inputs.fallback }}'`)
    .replace('metrics.p99 < 2.0', 'metrics.p99 < inputs.limit');
  const divertTo = (inputs: Record<string, string | number | boolean>) => {
    const result = compileRunbook('x.yaml', WITH_INPUT, { inputs: { test: inputs } });
    return result.ok ? result.runbook.steps.find(({ id }) => id === 'divert')?.with.to : result.problems;
  };

  it('puts the values of inputs under with: the default, or what the installation sets', () => {
    expect(divertTo({})).toBe('llm-a');
    expect(divertTo({ fallback: 'llm-b' })).toBe('llm-b');
  });

  it('tells what the installation sets wrongly', () => {
    const rulesFor = (inputs: Record<string, string | number | boolean>) => {
      const told = divertTo(inputs);
      return Array.isArray(told) ? told.map(({ rule }) => rule) : told;
    };
    expect(rulesFor({ fallback: 3 })).toEqual(['inputs/wrong-type']);
    expect(rulesFor({ fallback: 'LLM B' })).toEqual(['inputs/wrong-value']);
    expect(rulesFor({ falback: 'llm-b' })).toEqual(['inputs/unknown']);
    // What is put in is never read again: it would be filled in when the step runs.
    expect(rulesFor({ fallback: `llm-\${{ target.name }}` })).toEqual(['inputs/wrong-value']);
  });

  it('tells names that a shipped runbook cannot know as warnings', () => {
    const installation = { roles: ['sre'], groups: { sre: ['ada'] } };
    const severities = (shipped: boolean) =>
      compileRunbook('x.yaml', VALID, { installation, shipped }).problems.map(({ rule, severity }) => [
        rule,
        severity,
      ]);
    expect(severities(false)).toEqual([
      ['config/role', 'error'],
      ['config/role', 'error'],
      ['config/group', 'error'],
    ]);
    expect(severities(true)).toEqual([
      ['config/role', 'warning'],
      ['config/role', 'warning'],
      ['config/group', 'warning'],
    ]);
    expect(compileRunbook('x.yaml', VALID, { installation, shipped: true }).ok).toBe(true);
  });

  it('keeps warnings about what has errors itself to itself', () => {
    const text = VALID.replace(', escalate: { after: 5m, to: [commander] }', '').replace(
      'roles: [ml',
      'rolls: [ml',
    );
    expect(problemsOf(text).map(({ rule }) => rule)).not.toContain('page/no-escalation');
  });
});
