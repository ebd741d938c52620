import { createHash } from 'node:crypto';
import type { Alert } from '../../domain/alert.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { IncidentStart } from '../gateway/types.ts';
import { boundAlert, truncate } from './bound.ts';

/** Where one alert goes; undefined: no runbook is meant for it. */
export type RouteAlert = (labels: Record<string, string>) => IncidentStart | undefined;

/** The alerts of one delivery that belong to one incident; firing ones first. */
export interface AlertGroup {
  workflowId: string;
  start: IncidentStart;
  alerts: Alert[];
}

/** Correlation values end up in ids' hashes and in every view; real ones are names. */
const MAX_CORRELATION_VALUE = 512;

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

/** Sorts a delivery's alerts by incident: one runbook and one set of correlation values each. */
export function groupAlerts(
  alerts: readonly Alert[],
  routeAlert: RouteAlert,
): { groups: AlertGroup[]; unmatched: Alert[] } {
  const groups = new Map<string, AlertGroup>();
  const unmatched: Alert[] = [];
  for (const alert of alerts) {
    const start = routeAlert(alert.labels);
    if (start === undefined) {
      unmatched.push(alert);
      continue;
    }
    const correlation = Object.fromEntries(
      Object.entries(start.correlation).map(([label, value]) => [
        label,
        truncate(value, MAX_CORRELATION_VALUE),
      ]),
    );
    const workflowId = incidentWorkflowId(start.runbook.name, correlation, sha256Hex);
    const group = groups.get(workflowId) ?? { workflowId, start: { ...start, correlation }, alerts: [] };
    group.alerts.push(boundAlert(alert));
    groups.set(workflowId, group);
  }
  for (const group of groups.values()) {
    // Firing first: what may start an incident goes out before what never does.
    group.alerts.sort((a, b) => (a.status === b.status ? 0 : a.status === 'firing' ? -1 : 1));
  }
  return { groups: [...groups.values()], unmatched };
}
