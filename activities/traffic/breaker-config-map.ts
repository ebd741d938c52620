import type { V1ConfigMap } from '@kubernetes/client-node';
import {
  BREAKER_CONFIG_MAP,
  type Breaker,
  type BreakerProjection,
  breakerKey,
} from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';

/** The ConfigMap that gateways read: its JSON entries, one a target, and the guide's flat key. */

/** The guide's own key, for gateways that know nothing of targets; there only while there is one target. */
const FLAT_STATE_KEY = 'state';
const FIELD_MANAGER = 'firebreak';

/** @returns undefined where it does not exist yet. */
export async function readConfigMap(
  clients: ClusterClients,
  namespace: string,
): Promise<V1ConfigMap | undefined> {
  try {
    return await clients.core.readNamespacedConfigMap({ namespace, name: BREAKER_CONFIG_MAP });
  } catch (error) {
    if (kubernetesStatus(error) === 404) return undefined;
    throw fromKubernetes(error, `read ConfigMap ${namespace}/${BREAKER_CONFIG_MAP}`);
  }
}

/** @returns what stands there for a target; undefined when nothing does, or nothing that can be read. */
export function projectionOf(
  configMap: V1ConfigMap | undefined,
  target: Pick<Target, 'kind' | 'name'>,
): BreakerProjection | undefined {
  const text = configMap?.data?.[breakerKey(target)];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isProjection(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isProjection(value: unknown): value is BreakerProjection {
  if (typeof value !== 'object' || value === null) return false;
  const { state, since, reason, fallback, share, commandId } = value as Record<string, unknown>;
  return (
    (state === 'closed' || state === 'open' || state === 'half-open') &&
    typeof since === 'string' &&
    !Number.isNaN(Date.parse(since)) &&
    typeof reason === 'string' &&
    (fallback === null || typeof fallback === 'string') &&
    typeof share === 'number' &&
    typeof commandId === 'string'
  );
}

export function toProjection(breaker: Breaker, commandId: string): BreakerProjection {
  return {
    state: breaker.state,
    since: new Date(breaker.sinceMs).toISOString(),
    reason: breaker.reason,
    fallback: breaker.fallback ?? null,
    share: breaker.share,
    commandId,
  };
}

export function toBreaker({ state, since, reason, fallback, share }: BreakerProjection): Breaker {
  return { state, sinceMs: Date.parse(since), reason, fallback: fallback ?? undefined, share };
}

/** Whether Firebreak was the last to write a target's entry, by the API server's record of who set which field. */
export function isWrittenByUs(configMap: V1ConfigMap | undefined, target: Target): boolean {
  const field = `f:${breakerKey(target)}`;
  return (configMap?.metadata?.managedFields ?? []).some(({ manager, fieldsV1 }) => {
    const data = (fieldsV1 as Record<string, object> | undefined)?.['f:data'];
    return manager === FIELD_MANAGER && data !== undefined && Object.hasOwn(data, field);
  });
}

/** The ConfigMap with a target's entry set. Entries of other targets, and keys of other people, stay. */
export function withProjection(
  configMap: V1ConfigMap | undefined,
  target: Target,
  projection: BreakerProjection,
): V1ConfigMap {
  const data: Record<string, string> = {
    ...configMap?.data,
    [breakerKey(target)]: JSON.stringify(projection),
  };
  const targets = Object.keys(data).filter((key) =>
    key.startsWith(breakerKey({ kind: target.kind, name: '' })),
  );
  // The guide spells it half_open; the other two are the same.
  if (targets.length === 1) data[FLAT_STATE_KEY] = projection.state.replace('-', '_');
  else delete data[FLAT_STATE_KEY];
  const metadata = configMap?.metadata;
  return {
    ...configMap,
    metadata: {
      ...metadata,
      name: BREAKER_CONFIG_MAP,
      namespace: target.namespace,
      labels: { ...metadata?.labels, 'app.kubernetes.io/managed-by': 'firebreak' },
    },
    data,
  };
}

/**
 * Creates the ConfigMap, or replaces it where it is still the one that was read.
 * @returns undefined when another writer was faster: read again.
 */
export async function writeConfigMap(
  clients: ClusterClients,
  namespace: string,
  body: V1ConfigMap,
): Promise<V1ConfigMap | undefined> {
  const name = BREAKER_CONFIG_MAP;
  const fieldManager = FIELD_MANAGER;
  try {
    if (body.metadata?.resourceVersion === undefined) {
      return await clients.core.createNamespacedConfigMap({ namespace, body, fieldManager });
    }
    return await clients.core.replaceNamespacedConfigMap({ namespace, name, body, fieldManager });
  } catch (error) {
    const status = kubernetesStatus(error);
    // 409 is a changed resourceVersion, or one that was created meanwhile; 404 one that was deleted meanwhile.
    if (status === 409 || (status === 404 && body.metadata?.resourceVersion !== undefined)) return undefined;
    throw fromKubernetes(error, `write ConfigMap ${namespace}/${name}`);
  }
}
