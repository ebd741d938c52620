import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { compileRunbook } from '../../runbooks/compile.ts';
import { matchesLabels } from '../../runbooks/match.ts';
import { secondTeamRules, secondTeamRunbook } from './second-team.ts';
import { demoRules, demoRunbook } from './timings.ts';

interface Rules {
  groups: { name: string; rules: { alert: string; expr: string; for: string; labels: object }[] }[];
}

function compiled(text: string): CompiledRunbook {
  const result = compileRunbook('demo.yaml', text);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('\n'));
  return result.runbook;
}

function ruleOf(text: string) {
  const rule = (parse(text) as Rules).groups[0]?.rules[0];
  if (rule === undefined) throw new Error('there is no rule');
  return rule;
}

describe('the second team', () => {
  const rule = ruleOf(secondTeamRules('ai-production'));

  it('has a runbook of its own by the same steps', () => {
    const [first, second] = [compiled(demoRunbook()), compiled(secondTeamRunbook())];
    expect(second.name).not.toBe(first.name);
    expect(second.steps).toEqual(first.steps);
  });

  it('is called by its own alert, and by no other', () => {
    const labelsOf = ({ alert, labels }: ReturnType<typeof ruleOf>) => ({ ...labels, alertname: alert });
    const alerts = [labelsOf(ruleOf(demoRules())), labelsOf(rule)];
    const matched = [demoRunbook(), secondTeamRunbook()].map((text) =>
      alerts.map((labels) => matchesLabels(compiled(text).match, labels)),
    );
    expect(matched).toEqual([
      [true, false],
      [false, true],
    ]);
  });

  it('looks at the harm of one namespace, by the limit and the times of the first', () => {
    const first = ruleOf(demoRules());
    expect(rule.expr.replaceAll('{namespace="ai-production"}', '')).toBe(first.expr);
    expect(rule.expr.match(/\{namespace="ai-production"\}/g)).toHaveLength(2);
    expect(rule.for).toBe(first.for);
  });
});

describe('the timings of the demo', () => {
  it('shorten how long each step of a restore is watched, and nothing else of it', () => {
    const restore = compiled(demoRunbook()).steps.find(({ uses }) => uses === 'restore');
    expect(restore?.with).toMatchObject({ steps: [0.25, 0.5], everyMs: 2_000 });
  });
});
