import { type Breaker, breakerKey } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { FIELD_MANAGER, type RawMetadata, type RawWorkload } from '../kubernetes/raw-objects.ts';
import { ORIGINAL_BACKENDS_ANNOTATION, readMemory, writeMemory } from './route-annotation.ts';
import {
  type RawRouteRule,
  REFUSING_SERVICE,
  type RouteBreaker,
  type RouteMemory,
  type RouteWanted,
  wantedRoute,
} from './route-weights.ts';
import {
  fallbackService,
  HTTP_ROUTES_ANNOTATION,
  routesOf,
  SERVICE_ANNOTATION,
  servicesOf,
} from './services.ts';

/** Weights of Gateway API HTTPRoutes as a projection of the breaker. */

const HTTP_ROUTE = { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes' } as const;
/** A gateway's controller writes a route's status about as often as we write its weights: each costs one attempt. */
const MAX_PATCH_ATTEMPTS = 5;
/** Conditions that, when False, mean that the gateway does not do what the route says. */
const NEEDED_CONDITIONS = ['Accepted', 'ResolvedRefs'];

interface RawHttpRoute {
  metadata: RawMetadata;
  spec?: { rules?: RawRouteRule[] };
  status?: { parents?: { conditions?: { type?: string; status?: string; reason?: string }[] }[] };
}

export interface RouteOutcome {
  changed: boolean;
  problems: string[];
}

/**
 * Writes the breaker into the weights of the routes that the workload names, and of those that remember a breaker of it.
 * Never throws for what a route's trouble is.
 * @param before names of routes that the workload named before; they may have something to be given back.
 * @param mayWrite asked after a route was read and before it is written; the reason not to, where there is one.
 */
export async function projectRoutes(
  clients: ClusterClients,
  target: Target,
  workload: RawWorkload | undefined,
  before: readonly string[],
  breaker: Breaker,
  mayWrite: () => Promise<string | undefined>,
): Promise<RouteOutcome> {
  const found = await findRoutes(clients, target, workload, before, breaker);
  const outcomes = await Promise.all(
    found.routes.map(async (route): Promise<RouteOutcome> => {
      try {
        return await projectRoute(clients, target, route, found.projected, mayWrite);
      } catch (error) {
        const failure = fromKubernetes(error, `write ${nameOf(route)}`);
        return { changed: false, problems: [`${failure.message}${hintOf(error)}`] };
      }
    }),
  );
  return {
    changed: outcomes.some(({ changed }) => changed),
    problems: [...found.problems, ...outcomes.flatMap(({ problems }) => problems)],
  };
}

/** What the routes' weights are that the breaker does not say. */
export async function routeDrift(
  clients: ClusterClients,
  target: Target,
  workload: RawWorkload | undefined,
  before: readonly string[],
  breaker: Breaker,
): Promise<{ drift: string[]; problems: string[] }> {
  const found = await findRoutes(clients, target, workload, before, breaker);
  const drift: string[] = [];
  const problems = [...found.problems];
  for (const route of found.routes) {
    const memory = memoryOf(route);
    const wanted = wantedOf(route, memory ?? { breakers: {}, rules: [] }, target, found.projected);
    problems.push(...problemsOf(route, wanted, found.projected));
    for (const index of wanted.differing) {
      const now = weightsText(route.spec?.rules?.[index]?.backendRefs);
      drift.push(`${nameOf(route)}: rule ${index} has ${now} instead of ${weightsText(wanted.refs[index])}`);
    }
    if (memory === undefined) {
      drift.push(`${nameOf(route)}: the annotation ${ORIGINAL_BACKENDS_ANNOTATION} cannot be read`);
    }
  }
  return { drift, problems };
}

/** The breaker as routes take it. */
interface Projected {
  services: string[];
  /** undefined: closed. */
  breaker: RouteBreaker | undefined;
}

interface FoundRoutes {
  routes: RawHttpRoute[];
  projected: Projected;
  problems: string[];
}

async function findRoutes(
  clients: ClusterClients,
  target: Target,
  workload: RawWorkload | undefined,
  before: readonly string[],
  breaker: Breaker,
): Promise<FoundRoutes> {
  const named = routesOf(workload);
  const services = servicesOf(target.name, workload);
  const { routes, problems } = await readRoutes(clients, target, named.names, before);
  // Without a route nothing else matters, and no call is made for it.
  const fallback =
    routes.length === 0 ? { ref: null, problems: [] } : await fallbackService(clients, target, breaker);
  const { state, sinceMs, share } = breaker;
  const names = services.services.map(({ service }) => service);
  const since = new Date(sinceMs).toISOString();
  return {
    routes,
    projected: {
      services: names,
      breaker:
        state === 'closed' ? undefined : { state, since, share, services: names, fallback: fallback.ref },
    },
    problems: [
      ...named.problems,
      ...(named.names.length === 0 ? [] : services.problems),
      ...fallback.problems,
      ...problems,
    ],
  };
}

/** Those that the workload names, and those that it named before and that still remember a breaker of it. */
async function readRoutes(
  clients: ClusterClients,
  target: Target,
  named: readonly string[],
  before: readonly string[],
): Promise<{ routes: RawHttpRoute[]; problems: string[] }> {
  const { namespace } = target;
  const routes: RawHttpRoute[] = [];
  const problems: string[] = [];
  const names = [...new Set([...named, ...before])];
  await Promise.all(
    names.map(async (name) => {
      try {
        const route = await readRoute(clients, namespace, name);
        const remembers = Object.hasOwn(memoryOf(route)?.breakers ?? {}, breakerKey(target));
        if (remembers || named.includes(name)) routes.push(route);
      } catch (error) {
        const isGone = kubernetesStatus(error) === 404;
        // One that was deleted since has nothing to be given back.
        if (isGone && !named.includes(name)) return;
        problems.push(
          isGone
            ? missingText(error, namespace, name)
            : `${fromKubernetes(error, `read HTTPRoute ${namespace}/${name}`).message}${hintOf(error)}`,
        );
      }
    }),
  );
  return { routes, problems: [...new Set(problems)].sort() };
}

function missingText(error: unknown, namespace: string, name: string): string {
  // A kind that is not served is answered in plain text, an object that is not there by a Status.
  const { body } = error as { body?: unknown };
  const isKind = (typeof body === 'string' ? body : JSON.stringify(body ?? '')).includes('page not found');
  return isKind
    ? `the cluster does not serve HTTPRoutes (${HTTP_ROUTE.group}/${HTTP_ROUTE.version}), which ${HTTP_ROUTES_ANNOTATION} names: install the Gateway API`
    : `there is no HTTPRoute ${namespace}/${name}: create it, or take it out of ${HTTP_ROUTES_ANNOTATION}`;
}

async function projectRoute(
  clients: ClusterClients,
  target: Target,
  listed: RawHttpRoute,
  projected: Projected,
  mayWrite: () => Promise<string | undefined>,
): Promise<RouteOutcome> {
  let route = listed;
  for (let attempt = 1; ; attempt += 1) {
    const memory = memoryOf(route);
    if (memory === undefined && projected.breaker?.state !== 'open') {
      const problem = `${nameOf(route)}: the annotation ${ORIGINAL_BACKENDS_ANNOTATION} cannot be read, so its weights stay as they are: set its backends as they should be, and take the annotation off`;
      return { changed: false, problems: [problem] };
    }
    const standing = memory?.breakers[breakerKey(target)];
    const since = projected.breaker?.since;
    if (standing !== undefined && since !== undefined && standing.since > since) {
      return { changed: false, problems: [`${nameOf(route)}: a newer state of the breaker stands there`] };
    }
    const wanted = wantedOf(route, memory ?? { breakers: {}, rules: [] }, target, projected);
    const problems = problemsOf(route, wanted, projected);
    if (memory === undefined) {
      problems.push(
        `${nameOf(route)}: the annotation ${ORIGINAL_BACKENDS_ANNOTATION} could not be read: the backends that stood there are taken for the original ones`,
      );
    }
    const operations = patchOf(route, wanted);
    if (operations.length === 0) return { changed: false, problems };
    const refused = await mayWrite();
    if (refused !== undefined) return { changed: false, problems: [`${nameOf(route)}: ${refused}`] };
    if (await patchRoute(clients, route, operations)) return { changed: true, problems };
    const again = await readRoute(clients, target.namespace, route.metadata.name);
    const sameStill = again.metadata.resourceVersion === route.metadata.resourceVersion;
    if (sameStill || attempt === MAX_PATCH_ATTEMPTS) {
      const why = sameStill ? 'the API refused its new weights (422)' : 'others keep changing it';
      return { changed: false, problems: [...problems, `${nameOf(route)} could not be written: ${why}`] };
    }
    route = again;
  }
}

function wantedOf(
  route: RawHttpRoute,
  memory: RouteMemory,
  target: Target,
  { services, breaker }: Projected,
): RouteWanted {
  return wantedRoute(
    route.metadata.namespace,
    route.spec?.rules ?? [],
    memory,
    breakerKey(target),
    services,
    breaker,
  );
}

/** JSON Patch (RFC 6902); empty where everything is as it should be. */
function patchOf(route: RawHttpRoute, wanted: RouteWanted): object[] {
  const { metadata } = route;
  const operations: object[] = wanted.differing.map((index) => ({
    op: 'replace',
    path: `/spec/rules/${index}/backendRefs`,
    value: wanted.refs[index],
  }));
  const before = metadata.annotations?.[ORIGINAL_BACKENDS_ANNOTATION];
  const after = wanted.memory === undefined ? undefined : writeMemory(wanted.memory);
  const path = `/metadata/annotations/${ORIGINAL_BACKENDS_ANNOTATION.replaceAll('/', '~1')}`;
  if (after !== before) {
    if (after === undefined) operations.push({ op: 'remove', path });
    else {
      if (metadata.annotations === undefined) {
        operations.push({ op: 'add', path: '/metadata/annotations', value: {} });
      }
      operations.push({ op: 'add', path, value: after });
    }
  }
  if (operations.length === 0) return [];
  return [
    { op: 'test', path: '/metadata/uid', value: metadata.uid },
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    ...operations,
  ];
}

/** @returns false where a test failed: it was changed meanwhile, or what is written is refused. */
async function patchRoute(
  { objects }: ClusterClients,
  { metadata }: RawHttpRoute,
  operations: readonly object[],
): Promise<boolean> {
  const { namespace, name } = metadata;
  try {
    const call = { ...HTTP_ROUTE, namespace, name, body: operations, fieldManager: FIELD_MANAGER };
    await objects.patchNamespacedCustomObject(call);
    return true;
  } catch (error) {
    const status = kubernetesStatus(error);
    if (status === 422 || status === 409) return false;
    throw error;
  }
}

async function readRoute(
  { objects }: ClusterClients,
  namespace: string,
  name: string,
): Promise<RawHttpRoute> {
  return await objects.getNamespacedCustomObject({ ...HTTP_ROUTE, namespace, name });
}

function memoryOf({ metadata }: RawHttpRoute): RouteMemory | undefined {
  return readMemory(metadata.annotations?.[ORIGINAL_BACKENDS_ANNOTATION]);
}

/** What makes the projection less than it seems. */
function problemsOf(route: RawHttpRoute, wanted: RouteWanted, { services, breaker }: Projected): string[] {
  const problems = wanted.problems.map((problem) => `${nameOf(route)}: ${problem}`);
  const list = services.join(', ');
  if (breaker !== undefined && wanted.rules === 0) {
    problems.push(
      `${nameOf(route)} has no backend that is the Service ${list}: correct ${SERVICE_ANNOTATION} or ${HTTP_ROUTES_ANNOTATION} of the workload`,
    );
  } else if (breaker?.state !== 'open' && wanted.rules > 0 && wanted.weight === 0) {
    problems.push(
      `${nameOf(route)}: no rule of it gives the Service ${list} any weight, nor is another known: set the weights as they should be`,
    );
  }
  if (breaker === undefined) return problems;
  const expected = wanted.refs.some((refs) => refs?.some(({ name }) => name === REFUSING_SERVICE));
  const conditions = (route.status?.parents ?? []).flatMap((parent) => parent.conditions ?? []);
  const failing = new Set<string>();
  for (const { type = '', status, reason = '' } of conditions) {
    if (status !== 'False' || !NEEDED_CONDITIONS.includes(type)) continue;
    // The Service that refuses a part of the requests is one that is not there.
    if (expected && reason === 'BackendNotFound') continue;
    failing.add(`${type} is False${/^\w{1,100}$/.test(reason) ? ` (${reason})` : ''}`);
  }
  for (const text of failing) {
    problems.push(`${nameOf(route)} is not obeyed by its gateway: ${text}; see its status`);
  }
  return problems;
}

function weightsText(refs: RawRouteRule['backendRefs']): string {
  const texts = (refs ?? []).map(({ name, weight = 1 }) => `${name}=${weight}`);
  return texts.length === 0 ? 'no backends' : texts.join(' ');
}

function nameOf({ metadata }: RawHttpRoute): string {
  return `HTTPRoute ${metadata.namespace}/${metadata.name}`;
}

function hintOf(error: unknown): string {
  return kubernetesStatus(error) === 403
    ? `: grant get and patch on httproutes.${HTTP_ROUTE.group} (deploy/rbac.yaml)`
    : '';
}
