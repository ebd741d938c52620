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

/** What deploy/rbac.yaml grants in a namespace, and what for. Nothing works without the required ones. */
export const RIGHTS: Readonly<Record<'required' | 'optional', readonly Right[]>> = {
  required: [
    ...rights('apps', 'deployments', ['get', 'patch'], 'reading Deployments and rolling them back'),
    ...rights('apps', 'replicasets', ['list'], 'planning a rollback'),
    ...rights('apps', 'statefulsets', ['get', 'patch'], 'reading StatefulSets and rolling them back'),
    ...rights('apps', 'controllerrevisions', ['list'], 'planning a rollback of a StatefulSet'),
    ...rights('', 'pods', ['list'], 'waiting for a rollout and counting what current pods served'),
    ...rights('', 'configmaps', ['get'], 'evidence of referenced configuration, and the circuit breaker'),
    ...rights('', 'configmaps', ['create'], 'the circuit breaker'),
    ...rights('', 'configmaps', ['update'], 'the circuit breaker').map((right) => ({
      ...right,
      name: BREAKER_CONFIG_MAP,
    })),
  ],
  optional: [
    ...rights('argoproj.io', 'rollouts', ['get', 'patch'], 'targets that are Argo Rollouts'),
    ...rights('gateway.networking.k8s.io', 'httproutes', ['get', 'patch'], 'weights of HTTPRoutes'),
    ...rights('autoscaling', 'horizontalpodautoscalers', ['list'], 'warnings of autoscalers'),
  ],
};

/** Which required rights these credentials lack in a namespace, by SelfSubjectAccessReview. */
export async function missingRights(clients: ClusterClients, namespace: string): Promise<Right[]> {
  const missing: Right[] = [];
  for (const right of RIGHTS.required) {
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
