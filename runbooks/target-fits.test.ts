import { describe, expect, it } from 'vitest';
import type { CompiledRunbook, Matcher } from '../domain/runbook.ts';
import { targetFits } from './target-fits.ts';

const TARGET = { cluster: 'eu-1', namespace: 'ai', kind: 'Deployment', name: 'llm-api' } as const;

function fits(
  fields: Partial<NonNullable<CompiledRunbook['target']>>,
  match: Matcher[] = [],
  target: Parameters<typeof targetFits>[1] = TARGET,
): boolean {
  const wanted = {
    kind: 'Deployment',
    cluster: `\${{ labels.cluster }}`,
    namespace: `\${{ labels.namespace }}`,
    name: `\${{ labels.deployment }}`,
    ...fields,
  } as const;
  return targetFits({ target: wanted, match }, target);
}

describe('a target that a runbook can be about', () => {
  it('has the literals of the runbook', () => {
    expect(fits({})).toBe(true);
    expect(fits({ cluster: 'eu-1', namespace: 'ai' })).toBe(true);
    expect(fits({ namespace: 'other' })).toBe(false);
    expect(fits({}, [], { ...TARGET, kind: 'StatefulSet' as 'Deployment' })).toBe(false);
    expect(targetFits({ target: undefined, match: [] }, TARGET)).toBe(false);
  });

  it('fits text around labels, and the same label everywhere', () => {
    expect(fits({ name: `llm-\${{ labels.app }}` })).toBe(true);
    expect(fits({ name: `llm.\${{ labels.app }}` })).toBe(false);
    expect(fits({ name: `\${{ labels.namespace }}-api` })).toBe(false);
    expect(fits({ name: `\${{ labels.namespace }}` })).toBe(false);
  });

  it('fits matchers over the labels that it is made of; other labels are not known here', () => {
    expect(fits({}, [{ label: 'namespace', op: '=', value: 'ai' }])).toBe(true);
    expect(fits({}, [{ label: 'namespace', op: '=~', value: 'prod-.*' }])).toBe(false);
    expect(fits({}, [{ label: 'namespace', op: '!=', value: 'ai' }])).toBe(false);
    expect(fits({}, [{ label: 'alertname', op: '=', value: 'Other' }])).toBe(true);
  });
});
