import { describe, expect, it } from 'vitest';
import type { CompiledRunbook } from './runbook.ts';
import { shownLabels, withOnly } from './shown-labels.ts';

function runbook(severity: string): CompiledRunbook {
  return {
    apiVersion: 'firebreak.dev/v1alpha1',
    name: 'r',
    owner: 'o@example.com',
    version: 1,
    hash: '0'.repeat(64),
    match: [{ label: 'rmf_function', op: '=', value: 'MANAGE' }],
    correlateBy: ['namespace', 'deployment'],
    inputs: {},
    gitops: 'refuse',
    metrics: {},
    severity,
    resolveAfterMs: 0,
    quietForMs: 0,
    watchEveryMs: 0,
    steps: [],
  };
}

describe('labels that are shown', () => {
  it('are those by which a runbook matches and correlates, and the name of the alert', () => {
    expect([...shownLabels(runbook('"SEV1"'))].sort()).toEqual([
      'alertname',
      'deployment',
      'namespace',
      'rmf_function',
    ]);
  });

  it.each([
    ['alert.labels.team == "ml" ? "SEV1" : "SEV2"'],
    ['alert.labels["team"] == "ml" ? "SEV1" : "SEV2"'],
    ["alert.labels['team'] == 'ml' ? 'SEV1' : 'SEV2'"],
    ['"team" in alert.labels ? "SEV1" : "SEV2"'],
  ])('are those that it decides by: %s', (severity) => {
    expect(shownLabels(runbook(severity))).toContain('team');
  });

  it('leave out what is in any other label', () => {
    const labels = { alertname: 'Harm', namespace: 'models', customer: 'somebody' };
    expect(withOnly(shownLabels(runbook('"SEV1"')), labels)).toEqual({
      alertname: 'Harm',
      namespace: 'models',
    });
  });
});
