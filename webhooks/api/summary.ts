import type { IncidentView } from '../../domain/incident.ts';
import { targetKey } from '../../domain/target.ts';

/** An incident as a line of a list. */
export interface IncidentSummary {
  incidentId: string;
  title: string;
  state: IncidentView['state'];
  severity: IncidentView['severity'];
  outcome?: IncidentView['outcome'];
  mode: IncidentView['mode'];
  target?: string;
  runbook: string;
  triggeredAtMs?: number;
  /** Steps that wait for a decision. */
  awaitingApproval: string[];
  humanNeeded: string[];
  commander?: string;
}

export function summarize(view: IncidentView): IncidentSummary {
  return {
    incidentId: view.incidentId,
    title: view.title,
    state: view.state,
    severity: view.severity,
    outcome: view.outcome,
    mode: view.mode,
    target: view.target === undefined ? undefined : targetKey(view.target),
    runbook: view.runbook.name,
    triggeredAtMs: view.milestones.triggered,
    awaitingApproval: view.pendingApprovals.map(({ step }) => step),
    humanNeeded: view.humanNeeded,
    commander: view.commander,
  };
}
