import { describe, expect, it } from 'vitest';
import { loadRunbooks } from '../../runbooks/load.ts';
import { RecordingGateway } from '../test-support/recording-gateway.ts';
import { createRaiseAlert } from './raise.ts';

const target = { cluster: 'prod', namespace: 'ai', kind: 'Deployment' as const, name: 'llm-api' };
const clusters = { prod: { namespaces: { ai: { mode: 'approve' as const } } } };
const alert = { target, alertname: 'FirebreakBreakerTripped', summary: 'harm', key: 'k' };

async function setUp() {
  const gateway = new RecordingGateway();
  const { runbooks } = await loadRunbooks();
  return {
    gateway,
    raise: createRaiseAlert({ gateway, clusters, runbooks: () => runbooks, now: () => 1_000 }),
  };
}

describe('raising an alert', () => {
  it('opens an incident of the runbook that it names, on the target', async () => {
    const { gateway, raise } = await setUp();
    const { incidents } = await raise({ ...alert, runbook: 'ai-harm-response' });
    expect(incidents).toHaveLength(1);
    expect(gateway.started[0]).toMatchObject({
      workflowId: incidents[0],
      start: { runbook: { name: 'ai-harm-response' }, target: { ok: true, target }, mode: 'approve' },
      alerts: { alerts: [{ status: 'firing', annotations: { summary: 'harm' } }] },
    });
  });

  it('opens the default runbook where the one that it names is not loaded', async () => {
    const { gateway, raise } = await setUp();
    await raise({ ...alert, runbook: 'gone' });
    expect(gateway.started[0]?.start.runbook.name).toBe('default');
  });

  it('is the same alert when it is told again, and ends it', async () => {
    const { gateway, raise } = await setUp();
    await raise(alert);
    await raise(alert);
    await raise({ ...alert, status: 'resolved' });
    const fingerprints = [...gateway.started, ...gateway.signalled].flatMap(({ alerts }) =>
      alerts.alerts.map(({ fingerprint }) => fingerprint),
    );
    expect(fingerprints).toHaveLength(3);
    expect(new Set(fingerprints).size).toBe(1);
  });

  it('finds the incident before it by the labels of that one', async () => {
    const { gateway, raise } = await setUp();
    const labels = { namespace: 'ai', deployment: 'llm-api', cluster: '' };
    await raise({ ...alert, runbook: 'ai-harm-response', labels });
    expect(gateway.started[0]?.start.correlation).toMatchObject({ cluster: '' });
  });

  it('never lets labels choose another target than the one it is about', async () => {
    const { gateway, raise } = await setUp();
    await raise({
      ...alert,
      runbook: 'ai-harm-response',
      labels: { namespace: 'kube-system', deployment: 'x' },
    });
    expect(gateway.started[0]?.start.target).toEqual({ ok: true, target });
  });
});
