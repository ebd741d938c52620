import type { V1ConfigMap } from '@kubernetes/client-node';
import type { BreakerProjection } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { type ClusterMap, clientsFor } from '../kubernetes/cluster-clients.ts';
import { isUnreadable, projectionOf, readConfigMap } from './breaker-config-map.ts';
import { fallbackKinds, findFallback } from './services.ts';

/** Reasons not to divert to a workload in the same namespace; none where it can serve. */
export async function checkFallback(
  clusters: ClusterMap,
  { target, fallback }: { target: Target; fallback: string },
): Promise<{ problems: string[] }> {
  if (fallback === target.name) return { problems: [`${fallback} is the target itself`] };
  const { namespace } = target;
  const clients = clientsFor(clusters, { ...target, name: fallback });
  const [found, configMap] = await Promise.all([
    findFallback(clients, target, fallback),
    readConfigMap(clients, namespace),
  ]);
  const problems: string[] = [];
  if (found === undefined) {
    problems.push(`there is no ${fallbackKinds(target).join(' or ')} ${namespace}/${fallback}`);
  } else if ((found.workload.status?.readyReplicas ?? 0) === 0) {
    problems.push(`${found.kind} ${namespace}/${fallback} has no ready replica`);
  }
  if (fallbackKinds(target).some((kind) => isUnreadable(configMap, { kind, name: fallback }))) {
    problems.push(`the breaker of ${fallback} cannot be read, so that it may be diverted itself`);
  }
  // Along the chain of diversions, until somebody serves; a circle that leaves the target out ends as well.
  const seen = new Set<string>();
  for (let name: string | null = fallback; name !== null && !seen.has(name); ) {
    seen.add(name);
    const diverted = diversionOf(configMap, target, name);
    if (diverted === undefined) break;
    if (name === fallback) problems.push(`${fallback} is diverted itself (breaker ${diverted.state})`);
    if (diverted.fallback === target.name) {
      problems.push(`${name} is diverted to ${target.name}: traffic would go in a circle`);
    }
    name = diverted.fallback;
  }
  return { problems };
}

/** The breaker of a workload of any kind that a fallback can be, where it is not closed. */
function diversionOf(
  configMap: V1ConfigMap | undefined,
  target: Target,
  name: string,
): BreakerProjection | undefined {
  return fallbackKinds(target)
    .map((kind) => projectionOf(configMap, { kind, name }))
    .find((projection) => projection !== undefined && projection.state !== 'closed');
}
