/** Workflow ids and task queues: pure, the only place that builds them. */
import type { Target } from '../domain/target.ts';
import { targetKey } from '../domain/target.ts';

/** Length of the hex digest used in incident ids: 48 bits, enough for correlation keys of one installation. */
const ID_DIGEST_LENGTH = 12;

/**
 * The workflow id of the incident for a runbook and its correlation values.
 * `sha256Hex` is passed in because workflow code has no node:crypto.
 */
export function incidentWorkflowId(
  runbook: string,
  correlation: Record<string, string>,
  sha256Hex: (text: string) => string,
): string {
  const sorted = Object.entries(correlation).sort(([a], [b]) => (a < b ? -1 : 1));
  return `incident-${sha256Hex(JSON.stringify([runbook, sorted])).slice(0, ID_DIGEST_LENGTH)}`;
}

/** Shortest part of a run id that tells two runs of one workflow id apart in practice. */
const RUN_PART_LENGTH = 8;

/** Incident id: the workflow id's digest and the start of the run id that opened it: `inc-3f9a1c2b7d01-0a1b2c3d`. */
export function incidentId(workflowId: string, runId: string): string {
  return `${workflowId.replace(/^incident-/, 'inc-')}-${runId.replaceAll('-', '').slice(-RUN_PART_LENGTH)}`;
}

/** The workflow id of an incident id. */
export function workflowIdOfIncident(id: string): string {
  return id.replace(/^inc-/, 'incident-').replace(/-[0-9a-f]{8}$/, '');
}

export function targetWorkflowId(target: Target): string {
  return `target-${targetKey(target)}`;
}

export function pagingWorkflowId(id: string): string {
  return `paging-${id}`;
}

/** One an installation: watches that alerts arrive at all. */
export const WATCHDOG_WORKFLOW_ID = 'watchdog';
/** Start of the pages' keys of the watchdog, and of the ids that its pages go by. */
export const WATCHDOG_KEY_PREFIX = 'firebreak-watchdog-';

/** Watches what a closed incident was about. */
export function aftercareWorkflowId(id: string): string {
  return `aftercare-${id}`;
}

/** Destroys what is kept of an incident's samples when its time has come. */
export function evidenceWorkflowId(id: string): string {
  return `evidence-${id}`;
}

/** Queue of the worker that may act on a cluster. */
export function clusterTaskQueue(cluster: string): string {
  return `firebreak-cluster-${cluster}`;
}
