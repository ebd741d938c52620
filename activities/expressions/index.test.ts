import { expect, it } from 'vitest';
import type { ExpressionFacts } from '../contract.ts';
import { createExpressionActivities } from './index.ts';

const CONTEXT: ExpressionFacts = {
  steps: { gate: { approvedBy: ['maria'] }, ask: { status: 200, body: { blocked: true } } },
  inputs: { limit: 3 },
  incident: { severity: 'SEV2', round: 1, acknowledged: true, firing: 2 },
  alert: { labels: { env: 'metrics.harmRate > 0.0' } },
};

const { evaluateUntargeted } = createExpressionActivities();

it('evaluates what needs no measurement', async () => {
  const { results } = await evaluateUntargeted({
    expressions: {
      inputs: 'inputs.limit < 4',
      incident: 'incident.acknowledged && incident.firing == 2.0 && incident.severity == "SEV2"',
      steps: '"maria" in steps.gate.approvedBy && steps.ask.status == 200.0',
      body: 'steps.ask.body.blocked',
      label: 'alert.labels.env',
    },
    context: CONTEXT,
  });
  expect(results).toEqual({
    inputs: { known: true, value: true },
    incident: { known: true, value: true },
    steps: { known: true, value: true },
    body: { known: true, value: true },
    label: { known: true, value: 'metrics.harmRate > 0.0' },
  });
});

it('knows no metric and no target, and says so instead of failing', async () => {
  const { results } = await evaluateUntargeted({
    expressions: { rate: 'metrics.harmRate > 0.05', name: 'target.name == "a"', broken: '1 +' },
    context: CONTEXT,
  });
  expect(results.rate).toEqual({
    known: false,
    reason: 'metrics.harmRate is unknown (the incident has no target to measure)',
  });
  expect(results.name?.known).toBe(false);
  expect(results.broken?.known).toBe(false);
});

it('counts an unknown metric for nothing where the rest decides', async () => {
  const { results } = await evaluateUntargeted({
    expressions: { it: 'metrics.harmRate > 0.05 || incident.firing > 0.0' },
    context: CONTEXT,
  });
  expect(results.it).toEqual({ known: true, value: true });
});
