import { describe, expect, it } from 'vitest';
import { parseMatcher } from '../domain/matcher.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import { loadRunbooks } from './load.ts';
import { chooseRunbook, correlationOf, matchesLabels, resolveTarget } from './match.ts';

const { runbooks } = await loadRunbooks();
const harm = runbooks.find((runbook) => runbook.name === 'ai-harm-response') as CompiledRunbook;
const LABELS = {
  alertname: 'AiHarmfulOutputRateHigh',
  rmf_function: 'MANAGE',
  cluster: 'west',
  namespace: 'ai-production',
  deployment: 'llm-api',
};

function matches(text: string, labels: Record<string, string>): boolean {
  const parsed = parseMatcher(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return matchesLabels([parsed.matcher], labels);
}

describe('matchesLabels', () => {
  it.each([
    ['a="x"', { a: 'x' }, true],
    ['a="x"', { a: 'xy' }, false],
    ['a="x"', {}, false],
    ['a=""', {}, true],
    ['a!="x"', {}, true],
    ['a!="x"', { a: 'x' }, false],
    ['a=~"x.*"', { a: 'xyz' }, true],
    ['a=~"x"', { a: 'xyz' }, false],
    ['a=~"y|x"', { a: 'xx' }, false],
    ['a=~"y|x"', { a: 'x' }, true],
    ['a=~"x\\.y"', { a: 'x.y' }, true],
    ['a=~"x\\.y"', { a: 'xzy' }, false],
    ['a=~"x.*"', { a: 'x\nforged' }, false],
    ['a=~"x"', { a: 'x\n' }, false],
    ['a=~".*"', {}, true],
    ['a=~".+"', {}, false],
    ['a!~"x.*"', { a: 'xyz' }, false],
    ['a!~"x.*"', {}, true],
    ['constructor=""', {}, true],
  ])('%s over %o is %s', (text, labels, expected) => {
    expect(matches(text, labels)).toBe(expected);
  });

  it('takes time linear in the label, whatever the pattern', () => {
    expect(matches('a=~"(a+)+b"', { a: 'a'.repeat(50_000) })).toBe(false);
  });

  it('matches nothing without matchers', () => {
    expect(matchesLabels([], LABELS)).toBe(false);
  });
});

describe('chooseRunbook', () => {
  it('takes the first that matches', () => {
    const second = { ...harm, name: 'second' };
    expect(chooseRunbook([harm, second], LABELS)).toMatchObject({
      runbook: { name: 'ai-harm-response' },
      by: 'match',
    });
    expect(chooseRunbook([second, harm], LABELS)).toMatchObject({ runbook: { name: 'second' }, by: 'match' });
  });

  it('takes the default for other alerts about AI risk, and none for the rest', () => {
    expect(chooseRunbook(runbooks, { alertname: 'Drift', rmf_function: 'MEASURE' })).toMatchObject({
      runbook: { name: 'default' },
      by: 'default',
    });
    expect(chooseRunbook(runbooks, { alertname: 'DiskFull' })).toBeUndefined();
    expect(chooseRunbook(runbooks, {})).toBeUndefined();
  });
});

describe('correlationOf', () => {
  it('takes the labels of correlateBy only, absent ones as empty', () => {
    expect(correlationOf(harm, { namespace: 'n', pod: 'p' })).toEqual({
      cluster: '',
      namespace: 'n',
      deployment: '',
    });
  });
});

describe('resolveTarget', () => {
  it('reads the target from the labels', () => {
    expect(resolveTarget(harm, LABELS, ['west', 'east'])).toEqual({
      ok: true,
      target: { cluster: 'west', namespace: 'ai-production', kind: 'Deployment', name: 'llm-api' },
    });
  });

  it('takes the only cluster where the alert names none, and refuses to guess among several', () => {
    const { cluster: _cluster, ...labels } = LABELS;
    expect(resolveTarget(harm, labels, ['west'])).toMatchObject({ ok: true, target: { cluster: 'west' } });
    expect(resolveTarget(harm, labels, ['west', 'east'])).toMatchObject({
      ok: false,
      reason: /2 are configured/,
    });
    expect(resolveTarget(harm, labels, [])).toMatchObject({ ok: false });
    expect(resolveTarget(harm, { ...LABELS, cluster: 'north' }, ['west'])).toMatchObject({ ok: false });
  });

  it('uses no label outside correlateBy, whatever the plan says', () => {
    const target = {
      kind: 'Deployment' as const,
      cluster: 'west',
      namespace: `\${{ labels.pod }}`,
      name: 'x',
    };
    expect(resolveTarget({ ...harm, target }, { ...LABELS, pod: 'ns' }, ['west'])).toMatchObject({
      ok: false,
    });
  });

  it.each([
    '../..',
    'a" or 1',
    'a"} or vector(1) #',
    'ns/deployments/other',
    'UPPER',
    '-a',
    'a-',
    'a..b',
    'a%2Fb',
    'a\u0000b',
    'ａ',
    'kube-system\n',
    `\${{ labels.cluster }}`,
    'x'.repeat(10_000),
    '\u001b[31m\u202egnp',
    '',
  ])('refuses the hostile value %j', (hostile) => {
    for (const label of ['namespace', 'deployment', 'cluster']) {
      const result = resolveTarget(harm, { ...LABELS, [label]: hostile }, ['west', 'east']);
      if (result.ok) throw new Error(`${label} was taken`);
      const quoted = /"(.*)"/su.exec(result.reason)?.[1] ?? '';
      expect([...quoted].length).toBeLessThanOrEqual(100);
      expect(result.reason).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });

  it('says so where the runbook has no target', () => {
    expect(resolveTarget({ ...harm, target: undefined }, LABELS, ['west'])).toMatchObject({
      ok: false,
      reason: /no target/,
    });
  });
});
