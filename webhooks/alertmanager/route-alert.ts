import { DRILL_LABEL, drillOf } from '../../domain/drill.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import type { Mode, TargetResolution } from '../../domain/target.ts';
import { chooseRunbook, correlationOf, resolveTarget } from '../../runbooks/match.ts';
import type { IncidentStart } from '../gateway/types.ts';
import type { RouteAlert } from './group.ts';

/** What may be acted on: by cluster, by namespace, with the mode of its workloads. */
export type AllowedTargets = Readonly<
  Record<string, { namespaces: Readonly<Record<string, { mode: Mode }>> }>
>;

/**
 * Which runbook, correlation and target an alert's labels mean. A target that is missing, ambiguous or not allowed is no
 * reason to drop the alert: the incident opens, pages, and needs a human.
 */
export function createRouteAlert(runbooks: readonly CompiledRunbook[], clusters: AllowedTargets): RouteAlert {
  return (labels) => {
    const chosen = chooseRunbook(runbooks, labels);
    return chosen && routeTo(chosen.runbook, labels, clusters);
  };
}

/** What the labels mean to one runbook, whether it matches them or not. */
export function routeTo(
  runbook: CompiledRunbook,
  labels: Record<string, string>,
  clusters: AllowedTargets,
): IncidentStart {
  const target = allowedTarget(resolveTarget(runbook, labels, Object.keys(clusters)), clusters);
  const start = {
    runbook,
    correlation: correlationOf(runbook, labels),
    target,
    mode: modeOf(target, clusters),
  };
  const practised = drillOf(labels);
  if (practised === undefined) return start;
  // An incident of its own: a real alert about the same target is never taken for a part of the drill.
  const correlation = { ...start.correlation, [DRILL_LABEL]: practised.id };
  return { ...start, correlation, drill: practised.drill };
}

function allowedTarget(resolution: TargetResolution, clusters: AllowedTargets): TargetResolution {
  if (!resolution.ok) return resolution;
  const { cluster, namespace } = resolution.target;
  const allowed =
    Object.hasOwn(clusters, cluster) && Object.hasOwn(clusters[cluster]?.namespaces ?? {}, namespace);
  // The name is a valid namespace's, so it can be repeated.
  return allowed
    ? resolution
    : { ok: false, reason: `namespace ${namespace} of cluster ${cluster} is not in the configuration` };
}

/** By configuration; the workload's own annotation, read later, wins over it. */
function modeOf(resolution: TargetResolution, clusters: AllowedTargets): Mode {
  if (!resolution.ok) return 'observe';
  const { cluster, namespace } = resolution.target;
  return clusters[cluster]?.namespaces[namespace]?.mode ?? 'observe';
}
