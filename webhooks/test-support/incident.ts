import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import { workflowIdOfIncident } from '../../workflows/ids.ts';

export const INCIDENT_ID = 'inc-3f9a1c2b7d01-0a1b2c3d';
export const PLAN_HASH = 'a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90';

export function approvalOf(change: Partial<PendingApproval> = {}): PendingApproval {
  return {
    step: 'rollback',
    planHash: PLAN_HASH,
    summary: 'Roll back models/llm-api from revision 2 to revision 1',
    warnings: ['ConfigMaps are not restored'],
    diff: '- image: model:v2\n+ image: model:v1',
    fromRevision: 2,
    toRevision: 1,
    fromImage: 'model:v2',
    toImage: 'model:v1',
    changes: ['10:00 rollout of revision 2'],
    groups: ['ml-oncall', 'commander'],
    count: 1,
    breakGlass: false,
    approvedBy: [],
    requestedAtMs: Date.UTC(2026, 2, 1, 10, 1),
    expiresAtMs: Date.UTC(2026, 2, 1, 10, 11),
    ...change,
  };
}

export function viewOf(change: Partial<IncidentView> = {}): IncidentView {
  const incidentId = change.incidentId ?? INCIDENT_ID;
  return {
    incidentId,
    workflowId: workflowIdOfIncident(incidentId),
    title: 'Harmful outputs of models/llm-api',
    state: 'contained',
    severity: 'SEV1',
    mode: 'approve',
    runbook: { name: 'ai-harm-response', version: 1, hash: 'f'.repeat(64), owner: 'ml-safety@example.com' },
    target: { cluster: 'local', namespace: 'models', kind: 'Deployment', name: 'llm-api' },
    correlation: { cluster: 'local', namespace: 'models', deployment: 'llm-api' },
    milestones: {
      triggered: Date.UTC(2026, 2, 1, 10),
      paged: Date.UTC(2026, 2, 1, 10, 0, 2),
      contained: Date.UTC(2026, 2, 1, 10, 0, 9),
    },
    alerts: [],
    truncatedAlerts: 0,
    duplicateDeliveries: 0,
    steps: [
      { id: 'page', uses: 'page', status: 'succeeded', startedAtMs: 1, endedAtMs: 2 },
      { id: 'rollback', uses: 'rollback', status: 'awaiting-approval', startedAtMs: 1 },
    ],
    pendingApprovals: [approvalOf()],
    breaker: { state: 'open', share: 0, reason: 'harm rate 8%', fallback: 'llm-fallback' },
    pages: [],
    actionItems: [],
    humanNeeded: [],
    timeline: [
      {
        seq: 0,
        atMs: Date.UTC(2026, 2, 1, 10),
        kind: 'alert',
        text: 'Opened by an alert',
        actor: 'firebreak',
      },
      {
        seq: 1,
        atMs: Date.UTC(2026, 2, 1, 10, 0, 2),
        kind: 'page',
        text: 'Paged ml-oncall',
        actor: 'firebreak',
      },
    ],
    ...change,
  };
}
