import { canonicalJson } from '../../domain/canonical-json.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { TrafficActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { type ClusterMap, clientsFor } from '../kubernetes/cluster-clients.ts';
import { findDeployment } from '../kubernetes/raw-objects.ts';
import { modeOf } from '../kubernetes/read-target.ts';
import {
  isWrittenByUs,
  projectionOf,
  readConfigMap,
  toBreaker,
  toProjection,
  withProjection,
  writeConfigMap,
} from './breaker-config-map.ts';

/** Every lost race means that another writer got through: this many in a row is no race any more. */
const MAX_WRITE_ATTEMPTS = 10;

export interface TrafficOptions {
  /** Clients by cluster name. */
  clusters: ClusterMap;
}

export function createTrafficActivities({ clusters }: TrafficOptions): TrafficActivities {
  return {
    checkFallback: (input) => checkFallback(clusters, input),
    projectBreaker: (input) => projectBreaker(clusters, input),
    readBreaker: async ({ target }) => {
      const clients = clientsFor(clusters, target);
      const projection = projectionOf(await readConfigMap(clients, target.namespace), target);
      if (projection === undefined) return {};
      return { breaker: toBreaker(projection), commandId: projection.commandId };
    },
  };
}

type Input<Name extends keyof TrafficActivities> = Parameters<TrafficActivities[Name]>[0];

async function projectBreaker(
  clusters: ClusterMap,
  { target, breaker, commandId }: Input<'projectBreaker'>,
): Promise<{ changed: boolean; resourceVersion: string }> {
  const clients = clientsFor(clusters, target);
  const deployment = await findDeployment(clients, target);
  if (modeOf(clients, target, deployment) === 'observe') {
    throw fail('Refused', `${targetKey(target)} is in mode observe: its traffic is not changed`);
  }
  const projection = toProjection(breaker, commandId);
  for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt += 1) {
    const configMap = await readConfigMap(clients, target.namespace);
    const standing = projectionOf(configMap, target);
    if (standing !== undefined && canonicalJson(standing) === canonicalJson(projection)) {
      return { changed: false, resourceVersion: configMap?.metadata?.resourceVersion ?? '' };
    }
    // An attempt that was given up for dead may wake after its successors: it must not bring an old state back. What
    // somebody else put there is another matter: that is written over.
    const newer = standing !== undefined && Date.parse(standing.since) > breaker.sinceMs;
    if (newer && isWrittenByUs(configMap, target)) {
      throw fail(
        'PreconditionFailed',
        `${targetKey(target)}: a newer state of the breaker (${standing.state} since ${standing.since}) stands already`,
      );
    }
    const written = await writeConfigMap(
      clients,
      target.namespace,
      withProjection(configMap, target, projection),
    );
    if (written !== undefined) {
      return { changed: true, resourceVersion: written.metadata?.resourceVersion ?? '' };
    }
  }
  throw fail(
    'Conflict',
    `${targetKey(target)}: other writers changed the breaker's ConfigMap ${MAX_WRITE_ATTEMPTS} times in a row`,
  );
}

async function checkFallback(
  clusters: ClusterMap,
  { target, fallback }: Input<'checkFallback'>,
): Promise<{ problems: string[] }> {
  if (fallback === target.name) return { problems: [`${fallback} is the target itself`] };
  const clients = clientsFor(clusters, target);
  const fallbackTarget: Target = { ...target, name: fallback };
  const deployment = await findDeployment(clientsFor(clusters, fallbackTarget), fallbackTarget);
  const problems: string[] = [];
  if (deployment === undefined) {
    problems.push(`there is no Deployment ${target.namespace}/${fallback}`);
  } else if ((deployment.status?.readyReplicas ?? 0) === 0) {
    problems.push(`Deployment ${target.namespace}/${fallback} has no ready replica`);
  }
  const configMap = await readConfigMap(clients, target.namespace);
  const seen = new Set<string>();
  for (let name: string | null = fallback; name !== null && !seen.has(name); ) {
    seen.add(name);
    const diverted = projectionOf(configMap, { kind: target.kind, name });
    if (diverted === undefined || diverted.state === 'closed') break;
    if (name === fallback) problems.push(`${fallback} is diverted itself (breaker ${diverted.state})`);
    if (diverted.fallback === target.name)
      problems.push(`${name} is diverted to ${target.name}: traffic would go in a circle`);
    name = diverted.fallback;
  }
  return { problems };
}
