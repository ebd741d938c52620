import type { V1ConfigMap } from '@kubernetes/client-node';
import type { Breaker, BreakerProjection } from '../../domain/breaker.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { fail } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { findWorkload } from '../kubernetes/raw-objects.ts';
import { modeOf } from '../kubernetes/read-target.ts';
import { within } from '../within.ts';
import {
  isWrittenByUs,
  projectionOf,
  readConfigMap,
  rememberedRoutes,
  sameBreaker,
  stands,
  toProjection,
  withProjection,
  writeConfigMap,
} from './breaker-config-map.ts';
import { projectRoutes, type RouteOutcome } from './http-routes.ts';
import { routesOf } from './services.ts';
import type { BreakerWebhooks } from './webhooks.ts';

/** Every lost race means that another writer got through: this many in a row is no race any more. */
const MAX_WRITE_ATTEMPTS = 10;
/**
 * For everything beside the ConfigMap, together. Workflows give an attempt 10 s, of which reading the workload may take five;
 * one that ends in time can say what went wrong.
 */
const BESIDE_BUDGET_MS = 4_500;

export interface ProjectInput {
  target: Target;
  breaker: Breaker;
  commandId: string;
}

interface Written {
  changed: boolean;
  resourceVersion: string;
  /** What stands there now; its lease may be an earlier one. */
  projection: BreakerProjection;
  /** Names of the HTTPRoutes that a breaker of the target was ever written to. */
  routes: string[];
}

/**
 * Writes the breaker to the ConfigMap, to HTTPRoutes, and tells webhooks. The ConfigMap must be written; what else fails is
 * told, and tried again by whoever calls again.
 *
 * The order keeps "contained" truthful: nothing may be more open than the ConfigMap says, which is what is read as the state
 * of the breaker. So on the way to the target the ConfigMap comes first, and the others follow only once it says so: if that
 * is where it ends, traffic is held back longer than needed. Opening goes everywhere at once: every one of them that is
 * written holds something back, whichever of the others fails.
 * @throws Refused in observe mode, PreconditionFailed where a newer state stands, Conflict, and as the API answers.
 */
export async function projectBreaker(
  clients: ClusterClients,
  webhooks: BreakerWebhooks | undefined,
  { target, breaker, commandId }: ProjectInput,
): Promise<{ changed: boolean; resourceVersion: string; problems: string[] }> {
  const workload = await findWorkload(clients, target);
  if (modeOf(clients, target, workload) === 'observe') {
    throw fail('Refused', `${targetKey(target)} is in mode observe: its traffic is not changed`);
  }
  const opening = breaker.state === 'open';
  const mayWrite = () =>
    opening ? refusalToOpen(clients, target, breaker) : refusalToFollow(clients, target, breaker);
  const named = routesOf(workload).names;
  const beside = (projection: BreakerProjection, before: Promise<string[]>) =>
    Promise.all([
      inTime(
        'HTTPRoutes',
        before.then((names) => projectRoutes(clients, target, workload, names, breaker, mayWrite)),
      ),
      webhooks?.send(target, projection, BESIDE_BUDGET_MS) ?? [],
    ]);

  if (!opening) {
    const written = await writeEntry(clients, target, breaker, commandId, named);
    return joined(written, await beside(written.projection, Promise.resolve(written.routes)));
  }
  const [written, others] = await Promise.allSettled([
    writeEntry(clients, target, breaker, commandId, named),
    beside(toProjection(breaker, commandId, Date.now()), routesBefore(clients, target)),
  ]);
  if (written.status === 'rejected') throw written.reason;
  if (others.status === 'rejected') throw others.reason;
  return joined(written.value, others.value);
}

function joined(
  { changed, resourceVersion }: Written,
  [routes, webhookProblems]: [RouteOutcome, string[]],
): { changed: boolean; resourceVersion: string; problems: string[] } {
  return {
    changed: changed || routes.changed,
    resourceVersion,
    problems: [...routes.problems, ...webhookProblems],
  };
}

async function inTime(what: string, work: Promise<RouteOutcome>): Promise<RouteOutcome> {
  try {
    return await within(work, BESIDE_BUDGET_MS, () =>
      fail('Unavailable', `${what} were not all written within ${BESIDE_BUDGET_MS} ms`),
    );
  } catch (error) {
    return { changed: false, problems: [(error as Error).message] };
  }
}

async function writeEntry(
  clients: ClusterClients,
  target: Target,
  breaker: Breaker,
  commandId: string,
  routes: readonly string[],
): Promise<Written> {
  for (let attempt = 1; attempt <= MAX_WRITE_ATTEMPTS; attempt += 1) {
    const configMap = await readConfigMap(clients, target.namespace);
    const nowMs = Date.now();
    const projection = toProjection(breaker, commandId, nowMs);
    const standing = projectionOf(configMap, target);
    const wanted = withProjection(configMap, target, projection, routes);
    const known = rememberedRoutes(wanted, target);
    // The flat key is compared as well: somebody may have changed it alone.
    const restStands =
      wanted.data?.state === configMap?.data?.state &&
      known.join() === rememberedRoutes(configMap, target).join();
    if (standing !== undefined && stands(standing, projection, nowMs) && restStands) {
      const resourceVersion = configMap?.metadata?.resourceVersion ?? '';
      return { changed: false, resourceVersion, projection: standing, routes: known };
    }
    const newer = newerOfOurs(configMap, target, breaker);
    if (newer !== undefined) throw fail('PreconditionFailed', `${targetKey(target)}: ${newer}`);
    const written = await writeConfigMap(clients, target.namespace, wanted);
    if (written !== undefined) {
      const resourceVersion = written.metadata?.resourceVersion ?? '';
      return { changed: true, resourceVersion, projection, routes: known };
    }
  }
  throw fail(
    'Conflict',
    `${targetKey(target)}: other writers changed the breaker's ConfigMap ${MAX_WRITE_ATTEMPTS} times in a row`,
  );
}

/** Opening waits for no ConfigMap: where it cannot be read, the routes that the workload names are opened. */
async function routesBefore(clients: ClusterClients, target: Target): Promise<string[]> {
  try {
    return rememberedRoutes(await readConfigMap(clients, target.namespace), target);
  } catch {
    return [];
  }
}

/**
 * An attempt that was given up for dead may wake after its successors: it must not bring an old state back. What somebody
 * else put there is another matter: that is written over.
 */
function newerOfOurs(
  configMap: V1ConfigMap | undefined,
  target: Target,
  breaker: Breaker,
): string | undefined {
  const standing = projectionOf(configMap, target);
  if (standing === undefined || Date.parse(standing.since) <= breaker.sinceMs) return undefined;
  if (!isWrittenByUs(configMap, target)) return undefined;
  return `a newer state of the breaker (${standing.state} since ${standing.since}) stands already`;
}

/** Opening does not need the ConfigMap, only that it says nothing newer. */
async function refusalToOpen(
  clients: ClusterClients,
  target: Target,
  breaker: Breaker,
): Promise<string | undefined> {
  try {
    return newerOfOurs(await readConfigMap(clients, target.namespace), target, breaker);
  } catch {
    return undefined;
  }
}

/** Towards the target nothing goes before the ConfigMap, and not after it was changed again. */
async function refusalToFollow(
  clients: ClusterClients,
  target: Target,
  breaker: Breaker,
): Promise<string | undefined> {
  const standing = projectionOf(await readConfigMap(clients, target.namespace), target);
  const wanted = toProjection(breaker, '', Date.now());
  return standing !== undefined && sameBreaker(standing, wanted)
    ? undefined
    : 'the ConfigMap does not say so any more, and nothing may be more open than it';
}
