import { BREAKER_CONFIG_MAP } from '../../domain/breaker.ts';
import { fromKubernetes } from '../failure.ts';
import type { ClusterClients } from './cluster-clients.ts';

/** A right in a namespace, as RBAC writes it. */
export interface Right {
  verb: string;
  group: string;
  resource: string;
  /** Only for the object of this name. */
  name?: string;
  /** What does not work without it. */
  needed: string;
}

function rights(group: string, resource: string, verbs: string[], needed: string): Right[] {
  return verbs.map((verb) => ({ verb, group, resource, needed }));
}

/** Everything that deploy/rbac.yaml grants in a namespace, and what for. */
const REQUIRED_RIGHTS: readonly Right[] = [
  ...rights('apps', 'deployments', ['get', 'list', 'watch'], 'reading targets'),
  ...rights('apps', 'deployments', ['patch'], 'rolling back'),
  ...rights('apps', 'replicasets', ['get', 'list', 'watch'], 'planning a rollback'),
  ...rights(
    '',
    'pods',
    ['get', 'list', 'watch'],
    'waiting for a rollout and counting what current pods served',
  ),
  ...rights('', 'configmaps', ['get'], 'evidence of referenced configuration, and the circuit breaker'),
  ...rights('', 'configmaps', ['create'], 'the circuit breaker'),
  ...rights('', 'configmaps', ['update'], 'the circuit breaker').map((right) => ({
    ...right,
    name: BREAKER_CONFIG_MAP,
  })),
];

/** Which required rights these credentials lack in a namespace, by SelfSubjectAccessReview. */
export async function missingRights(clients: ClusterClients, namespace: string): Promise<Right[]> {
  const missing: Right[] = [];
  for (const right of REQUIRED_RIGHTS) {
    const { verb, group, resource, name } = right;
    try {
      const review = await clients.authorization.createSelfSubjectAccessReview({
        body: { spec: { resourceAttributes: { namespace, verb, group, resource, name } } },
      });
      if (review.status?.allowed !== true) missing.push(right);
    } catch (error) {
      throw fromKubernetes(error, `ask for the right to ${verb} ${resource} in ${namespace}`);
    }
  }
  return missing;
}
