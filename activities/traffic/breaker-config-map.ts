import type { V1ConfigMap } from '@kubernetes/client-node';
import {
  BREAKER_CONFIG_MAP,
  type Breaker,
  type BreakerProjection,
  breakerKey,
  HALF_OPEN_LEASE_MS,
} from '../../domain/breaker.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';

/** The ConfigMap that gateways read: its JSON entries, one a target, and the guide's flat key. */

/** The guide's own key, for gateways that know nothing of targets; it begins only while there is one target. */
const FLAT_STATE_KEY = 'state';
const FIELD_MANAGER = 'firebreak';
/**
 * On the ConfigMap: names of the HTTPRoutes that a target's breaker was ever written to, by its key. A workload that is given
 * another annotation while it is diverted names them no longer, and they must be given back all the same.
 */
const ROUTES_ANNOTATION = 'firebreak.dev/http-routes';
/** The newest are kept. */
const MAX_REMEMBERED_ROUTES = 64;
/** `<kind>.<name>`: a target's entry, where it holds JSON. */
const ENTRY_KEY = /^[a-z0-9]+\../;
/** Kubernetes' longest name. */
const MAX_NAME_CHARS = 253;
/** A sentence of ours with a runbook's words in it. Readers refuse entries of more than 64 KiB. */
const MAX_REASON_CHARS = 1_000;

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
  return text === undefined ? undefined : parseProjection(text);
}

function parseProjection(text: string): BreakerProjection | undefined {
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

/** Whether a target has an entry that cannot be read: it says something, and nobody knows what. */
export function isUnreadable(
  configMap: V1ConfigMap | undefined,
  target: Pick<Target, 'kind' | 'name'>,
): boolean {
  return configMap?.data?.[breakerKey(target)] !== undefined && projectionOf(configMap, target) === undefined;
}

/** @param nowMs a half-open breaker's lease begins then. */
export function toProjection(breaker: Breaker, commandId: string, nowMs: number): BreakerProjection {
  return {
    state: breaker.state,
    since: new Date(breaker.sinceMs).toISOString(),
    reason: truncate(stripControl(breaker.reason), MAX_REASON_CHARS),
    fallback: breaker.fallback ?? null,
    share: breaker.share,
    commandId,
    validUntil: breaker.state === 'half-open' ? new Date(nowMs + HALF_OPEN_LEASE_MS).toISOString() : null,
  };
}

/**
 * Whether what stands is what is wanted, with more than half of its lease left. A lease that ends later than any that is
 * given now is somebody else's, or of a clock that is wrong.
 */
export function stands(standing: BreakerProjection, wanted: BreakerProjection, nowMs: number): boolean {
  if (!sameBreaker(standing, wanted) || standing.commandId !== wanted.commandId) return false;
  if (wanted.validUntil === null) return standing.validUntil === null;
  const leftMs = Date.parse(standing.validUntil ?? '') - nowMs;
  return leftMs > HALF_OPEN_LEASE_MS / 2 && leftMs <= HALF_OPEN_LEASE_MS;
}

/** The same for everybody who reads it, whichever command wrote it and however long it holds. */
export function sameBreaker(one: BreakerProjection, other: BreakerProjection): boolean {
  const { commandId: _one, validUntil: _until, ...first } = one;
  const { commandId: _other, validUntil: _later, ...second } = other;
  return canonicalJson(first) === canonicalJson(second);
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

/** Names of the routes that the target's breaker was written to before. */
export function rememberedRoutes(configMap: V1ConfigMap | undefined, target: Target): string[] {
  const names = allRoutes(configMap)[breakerKey(target)];
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
}

function allRoutes(configMap: V1ConfigMap | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(configMap?.metadata?.annotations?.[ROUTES_ANNOTATION] ?? '{}');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/**
 * The ConfigMap with a target's entry set. Entries of other targets, and keys of other people, stay.
 * @param routes names of the HTTPRoutes that the entry is projected to as well.
 */
export function withProjection(
  configMap: V1ConfigMap | undefined,
  target: Target,
  projection: BreakerProjection,
  routes: readonly string[],
): V1ConfigMap {
  const data: Record<string, string> = {
    ...configMap?.data,
    [breakerKey(target)]: JSON.stringify(projection),
  };
  const flat = flatState(data, projection);
  if (flat !== undefined) data[FLAT_STATE_KEY] = flat;
  else delete data[FLAT_STATE_KEY];
  const metadata = configMap?.metadata;
  const before = rememberedRoutes(configMap, target);
  const added = routes.filter((name) => !before.includes(name));
  const remembered = { ...allRoutes(configMap) };
  if (added.length > 0) remembered[breakerKey(target)] = [...before, ...added].slice(-MAX_REMEMBERED_ROUTES);
  return {
    ...configMap,
    metadata: {
      ...metadata,
      name: BREAKER_CONFIG_MAP,
      namespace: target.namespace,
      labels: { ...metadata?.labels, 'app.kubernetes.io/managed-by': 'firebreak' },
      annotations:
        added.length > 0
          ? { ...metadata?.annotations, [ROUTES_ANNOTATION]: JSON.stringify(remembered) }
          : metadata?.annotations,
    },
    data,
  };
}

/** @returns what is not as wanted in the ConfigMap, in words. A closed breaker needs no entry. */
export function configMapDrift(
  configMap: V1ConfigMap | undefined,
  target: Target,
  wanted: BreakerProjection,
): string[] {
  const where = `ConfigMap ${target.namespace}/${BREAKER_CONFIG_MAP}`;
  const key = breakerKey(target);
  const text = configMap?.data?.[key];
  if (text === undefined) {
    return wanted.state === 'closed' ? [] : [`${where} has no ${key}, which should be ${wanted.state}`];
  }
  const standing = projectionOf(configMap, target);
  if (standing === undefined) return [`${where}: ${key} cannot be read`];
  if (!sameBreaker(standing, wanted)) {
    return [`${where}: ${key} is ${inWords(standing)} instead of ${inWords(wanted)}`];
  }
  const flat = flatState(configMap?.data ?? {}, wanted);
  if (flat !== configMap?.data?.[FLAT_STATE_KEY]) {
    return [`${where}: ${FLAT_STATE_KEY} is not ${flat ?? 'absent'}`];
  }
  return [];
}

/**
 * For gateways that know one target only; the guide spells it half_open. With several targets nobody can tell whose gateway
 * reads it: while one of them is not closed, a key that holds traffic back stays as it is, because it may be that one's
 * containment. When all are closed it says so, for whoever went by it; otherwise there is none.
 * @param data with the target's entry as it shall be.
 */
function flatState(data: Record<string, string>, { state }: BreakerProjection): string | undefined {
  const targets = Object.entries(data).filter(([key, text]) => ENTRY_KEY.test(key) && text.startsWith('{'));
  if (targets.length === 1) return state.replace('-', '_');
  const standing = data[FLAT_STATE_KEY];
  if (standing === undefined) return undefined;
  // What cannot be read may be open.
  if (targets.every(([, text]) => parseProjection(text)?.state === 'closed')) return 'closed';
  return standing === 'closed' ? undefined : standing;
}

function inWords({ state, share, fallback, since }: BreakerProjection): string {
  const to = fallback === null ? 'blocked' : `fallback ${truncate(stripControl(fallback), MAX_NAME_CHARS)}`;
  return state === 'closed' ? `closed since ${since}` : `${state} (share ${share}, ${to}) since ${since}`;
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
