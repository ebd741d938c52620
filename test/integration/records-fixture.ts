import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';

const T0 = Date.UTC(2026, 2, 1, 12);

export function entry(seq: number, change: Partial<TimelineEntry> = {}): TimelineEntry {
  return { seq, atMs: T0 + seq * 1_000, kind: 'note', text: `entry ${seq}`, actor: 'firebreak', ...change };
}

export function entries(from: number, to: number): TimelineEntry[] {
  return Array.from({ length: to - from + 1 }, (_, index) => entry(from + index));
}

/** A view whose own timeline holds the given entries. */
export function viewOf(
  incidentId: string,
  timeline: TimelineEntry[] = [],
  change: Partial<IncidentView> = {},
): IncidentView {
  return {
    incidentId,
    workflowId: incidentId.replace(/^inc-/, 'incident-').replace(/-[^-]*$/, ''),
    title: 'Harmful outputs',
    state: 'triggered',
    severity: 'SEV2',
    mode: 'approve',
    runbook: { name: 'ai-harm-response', version: 1, hash: 'ab', owner: 'ml-safety@example.com' },
    target: { cluster: 'eu-1', namespace: 'ai', kind: 'Deployment', name: 'llm-api' },
    correlation: {},
    milestones: { triggered: T0 },
    alerts: [],
    truncatedAlerts: 0,
    duplicateDeliveries: 0,
    steps: [],
    pendingApprovals: [],
    pages: [],
    actionItems: [],
    humanNeeded: [],
    timeline,
    ...change,
  };
}
