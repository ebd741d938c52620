import { describe, expect, it } from 'vitest';
import { type ExpressionContext, evaluateExpression, metricsOf, parseExpression } from './expressions.ts';

const CONTEXT: ExpressionContext = {
  metrics: {
    harmRate: { value: 0.08 },
    zero: { value: 0 },
    gone: { reason: 'no series' },
    nan: { value: Number.NaN },
    infinite: { value: Number.POSITIVE_INFINITY },
  },
  inputs: { limit: 0.05, fallback: 'llm-fallback', since: '2026-01-01T00:00:00Z' },
  incident: { severity: 'SEV1', round: 1, acknowledged: false, firing: 2 },
  nowMs: Date.parse('2026-02-01T00:00:00Z'),
  steps: { rollback: { revision: 4, applied: 'patched', images: ['a', 'b'] } },
  target: {
    cluster: 'c',
    namespace: 'n',
    kind: 'Deployment',
    name: 'llm',
    exists: true,
    mode: 'approve',
    riskTier: 'high',
    images: ['llm:v2'],
    revision: 2,
  },
  alert: { labels: { severity: 'critical', constructor_: 'x', long: `${'a'.repeat(50)}!` } },
};

describe('evaluateExpression', () => {
  it.each([
    ['metrics.harmRate > 0.05', true],
    ['metrics["harmRate"] > 0.05', true],
    ['metrics.harmRate > 1', false],
    ['metrics.zero == 0.0', true],
    ['metrics.harmRate > 0.05 || target.riskTier == "high" ? "SEV1" : "SEV2"', 'SEV1'],
    ['target.owner == ""', true],
    ['target.revision == 2 && target.revision + 1 == 3', true],
    ['target.images.exists(i, i.startsWith("llm:"))', true],
    ['target.images[0] == "llm:v2"', true],
    ['steps.rollback.revision == 4', true],
    ['steps.rollback.revision > 3', true],
    ['steps.rollback.images.size() == 2', true],
    ['alert.labels.severity == "critical"', true],
    ['has(alert.labels.nothing)', false],
    ['metrics.harmRate * 100.0 / 2.0 > 3.9', true],
    ['1 + 2', 3],
  ])('%s is %s', (text, value) => {
    expect(evaluateExpression(text, CONTEXT)).toEqual({ known: true, value });
  });

  it.each([
    ['metrics.gone > 0.05', /metrics.gone is unknown \(no series\)/],
    ['metrics.nan > 0.05', /metrics.nan is unknown/],
    ['!(metrics.nan > 0.05)', /metrics.nan is unknown/],
    ['metrics.infinite > 0.05', /metrics.infinite is unknown/],
    ['metrics.neverMeasured > 0.05', /metrics.neverMeasured is unknown/],
    ['metrics.constructor > 0.05', /metrics.constructor is unknown/],
    ['metrics.gone > 0.05 || metrics.harmRate > 0.5', /metrics.gone/],
    ['metrics.gone > 0.05 && metrics.harmRate > 0.01', /metrics.gone/],
    ['metrics.gone > 0.05 ? "SEV1" : "SEV2"', /metrics.gone/],
    ['steps.ticket.url != ""', /step ticket has no outputs yet/],
    ['steps.rollback.nothing == 1', /not there/],
    ['alert.labels.constructor == ""', /no label constructor/],
    ['target.replicas > 1', /not there/],
  ])('%s is unknown', (text, reason) => {
    const result = evaluateExpression(text, CONTEXT);
    expect(result).toMatchObject({ known: false });
    expect(result).toHaveProperty('reason', expect.stringMatching(reason));
  });

  it.each([
    ['metrics.gone > 0.05 || target.riskTier == "high"', true],
    ['target.riskTier == "high" || metrics.gone > 0.05', true],
    ['metrics.gone > 0.05 && target.riskTier == "low"', false],
    ['target.riskTier == "low" && metrics.gone > 0.05', false],
  ])('%s is decided by the other side', (text, value) => {
    expect(evaluateExpression(text, CONTEXT)).toEqual({ known: true, value });
  });

  it('keeps facts unknown that nobody has read', () => {
    const context = { ...CONTEXT, target: undefined };
    expect(evaluateExpression('target.riskTier == "high"', context)).toMatchObject({ known: false });
  });

  it.each([
    ['nonsense', 'metrics.harmRate >'],
    ['too long', `true${' || true'.repeat(400)}`],
    ['too deep', `${'('.repeat(200)}true${')'.repeat(200)}`],
    ['too many negations', `${'!'.repeat(1_500)}true`],
    ['a name that is not there', 'process.env.HOME'],
    ['a regular expression that could backtrack', 'alert.labels.long.matches("(a+)+$")'],
    ['a metric by a computed name', 'metrics[alert.labels.severity] > 1.0'],
    ['all metrics at once', 'metrics.all(m, metrics[m] < 1.0)'],
    ['a question for an unknown metric', '!has(metrics.gone)'],
    ['a division that could give NaN', 'metrics.zero / metrics.zero > 0.05'],
    ['a division by zero', 'metrics.harmRate / 0.0 > 0.05'],
    ['a label as a number', 'double(alert.labels.severity) > 0.05'],
    ['loops in loops', '[1,2].all(a, [1,2].all(b, [1,2].all(c, true)))'],
    ['a map', '{"a": 1}'],
  ])('gives unknown, and does not throw, for %s', (_name, text) => {
    expect(evaluateExpression(text, CONTEXT)).toMatchObject({ known: false });
  });
});

describe('parseExpression', () => {
  it('lists what is read, with its place', () => {
    const text = 'metrics.a > 0.1 || steps["my-id"].out == alert.labels.x && target.mode == "auto"';
    const { references, problems, type } = parseExpression(text);
    expect(problems).toEqual([]);
    expect(type).toBe('bool');
    expect(references.map(({ start, end, ...rest }) => [rest, text.slice(start, end)])).toEqual([
      [{ kind: 'metric', name: 'a' }, 'metrics.a'],
      [{ kind: 'step', id: 'my-id', output: 'out' }, 'steps["my-id"].out'],
      [{ kind: 'label', name: 'x' }, 'alert.labels.x'],
      [{ kind: 'target', field: 'mode' }, 'target.mode'],
    ]);
  });

  it.each([
    ['metrics.a > 5%', 'cel/syntax', /0.05 for 5%/],
    ['metrics.a = 1', 'cel/syntax', /write ==/],
    ['not metrics.a', 'cel/syntax', /! for not/],
    ['metrics.a * 2 > 1.0', 'cel/type', /2\.0/],
    ['"a" > 1', 'cel/type', /string > int is no operation/],
    ['target.nmae == "x"', 'cel/unknown-name', /did you mean name/],
    ['alert.annotations.summary == ""', 'cel/unknown-name', /labels only/],
  ])('tells what to write instead of %s', (text, rule, message) => {
    const [problem] = parseExpression(text).problems;
    expect(problem).toMatchObject({ rule });
    expect(problem?.message).toMatch(message);
  });

  it('names the metrics to be measured, each once', () => {
    expect(metricsOf(['metrics.a > metrics.b', 'metrics.a < 1.0', 'true', 'broken >'])).toEqual(['a', 'b']);
  });
});
