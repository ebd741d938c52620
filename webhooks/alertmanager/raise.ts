import type { SignalingActivities } from '../../activities/contract.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { targetKey } from '../../domain/target.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import { deliver } from './deliver.ts';
import type { RouteAlert } from './group.ts';
import { ownDelivery, targetLabels } from './own-delivery.ts';
import { type AllowedTargets, createRouteAlert, routeTo } from './route-alert.ts';

export interface RaiseAlertDeps {
  gateway: IncidentGateway;
  runbooks: () => readonly CompiledRunbook[];
  clusters: AllowedTargets;
  now?: () => number;
}

/**
 * Opens (or tells) an incident of something that was noticed without Alertmanager, on the way that its alerts take. Told
 * again with the same key, it is the same alert. With `runbook`, that one answers where it is loaded; else whichever matches.
 * @throws GatewayError where Temporal did not take it.
 */
export function createRaiseAlert(deps: RaiseAlertDeps): SignalingActivities['raiseAlert'] {
  return async ({ target, alertname, summary, key, status = 'firing', labels, runbook }) => {
    const nowMs = (deps.now ?? Date.now)();
    const own = targetLabels(target);
    const loaded = deps.runbooks();
    const named = loaded.find(({ name }) => name === runbook);
    const routeAlert: RouteAlert =
      named === undefined
        ? createRouteAlert(loaded, deps.clusters)
        : (matched) => routeTo(named, matched, deps.clusters);
    // As they were, they find the incident before this one; but never another target than the one it is about.
    const asGiven = { rmf_function: 'MANAGE', ...own, ...labels, alertname };
    const meant = routeAlert(asGiven)?.target;
    const same = meant?.ok === true && targetKey(meant.target) === targetKey(target);
    const all = same ? asGiven : { ...asGiven, ...own };
    const { incidents } = await deliver(ownDelivery({ key, status, labels: all, summary }, nowMs), nowMs, {
      gateway: deps.gateway,
      routeAlert,
    });
    return { incidents: incidents.map(({ workflowId }) => workflowId) };
  };
}
