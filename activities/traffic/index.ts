import { type Breaker, breakerKey } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import type { TrafficActivities } from '../contract.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from '../kubernetes/cluster-clients.ts';
import { findWorkload } from '../kubernetes/raw-objects.ts';
import {
  configMapDrift,
  projectionOf,
  readConfigMap,
  rememberedRoutes,
  toBreaker,
  toProjection,
} from './breaker-config-map.ts';
import { checkFallback } from './check-fallback.ts';
import { routeDrift } from './http-routes.ts';
import { projectBreaker } from './project-breaker.ts';
import { type BreakerWebhooks, createBreakerWebhooks, type TrafficWebhook } from './webhooks.ts';

export type { TrafficWebhook } from './webhooks.ts';

export interface TrafficOptions {
  /** Clients by cluster name. */
  clusters: ClusterMap;
  /** Who is told of breakers, by cluster name. */
  webhooks?: Record<string, readonly TrafficWebhook[]>;
}

/** @throws Error naming a webhook that cannot be used: a mistake of configuration. */
export function createTrafficActivities({ clusters, webhooks = {} }: TrafficOptions): TrafficActivities {
  const senders = new Map<string, BreakerWebhooks>(
    Object.entries(webhooks).map(([cluster, list]) => [cluster, createBreakerWebhooks(cluster, list)]),
  );
  return {
    checkFallback: (input) => checkFallback(clusters, input),
    projectBreaker: (input) =>
      projectBreaker(clientsFor(clusters, input.target), senders.get(input.target.cluster), input),
    readBreaker: ({ target, wanted }) => readBreaker(clientsFor(clusters, target), target, wanted),
  };
}

/** Webhooks cannot be read back: their receivers are told again when something changes. */
async function readBreaker(
  clients: ClusterClients,
  target: Target,
  wanted: Breaker | undefined,
): ReturnType<TrafficActivities['readBreaker']> {
  const configMap = await readConfigMap(clients, target.namespace);
  const projection = projectionOf(configMap, target);
  const standing =
    projection === undefined ? {} : { breaker: toBreaker(projection), commandId: projection.commandId };
  if (wanted === undefined) return { ...standing, drift: [], problems: [] };
  const drift = configMapDrift(configMap, target, toProjection(wanted, '', Date.now()));
  try {
    const workload = await findWorkload(clients, target);
    const before = rememberedRoutes(configMap, target);
    const routes = await routeDrift(clients, target, workload, before, wanted);
    return { ...standing, drift: [...drift, ...routes.drift], problems: routes.problems };
  } catch (error) {
    const problem = `the HTTPRoutes of ${breakerKey(target)} could not be compared: ${(error as Error).message}`;
    return { ...standing, drift, problems: [problem] };
  }
}
