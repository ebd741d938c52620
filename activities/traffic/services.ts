import type { Breaker } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { findWorkload, type RawWorkload } from '../kubernetes/raw-objects.ts';

/** What annotations of a workload say of the way to it. */

/** Names of the HTTPRoutes, in the workload's namespace, whose weights follow its breaker; separated by commas. */
export const HTTP_ROUTES_ANNOTATION = 'firebreak.dev/http-routes';
/** Services that lead to the workload, separated by commas; default: the one of its name. `name:port` for a fallback's. */
export const SERVICE_ANNOTATION = 'firebreak.dev/service';

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const MAX_PORT = 65_535;
/** More is no list that a person wrote. */
const MAX_NAMES = 32;

export interface ServiceRef {
  service: string;
  port?: number;
}

export function routesOf(workload: RawWorkload | undefined): { names: string[]; problems: string[] } {
  const entries = listed(workload, HTTP_ROUTES_ANNOTATION);
  const names = entries.filter((name) => OBJECT_NAME.test(name));
  const problems =
    names.length === entries.length ? [] : [`the annotation ${HTTP_ROUTES_ANNOTATION} names no HTTPRoutes`];
  return { names, problems };
}

/** @returns at least one Service: that of the workload's name where the annotation says none. */
export function servicesOf(
  name: string,
  workload: RawWorkload | undefined,
): { services: [ServiceRef, ...ServiceRef[]]; problems: string[] } {
  const entries = listed(workload, SERVICE_ANNOTATION);
  const refs = entries.map(parseService).filter((ref) => ref !== undefined);
  const problems =
    refs.length === entries.length
      ? []
      : [`the annotation ${SERVICE_ANNOTATION} of ${name} is no list of Services, such as svc or svc:8000`];
  const [first = { service: name }, ...others] = refs;
  return { services: [first, ...others], problems };
}

/** A fallback is of the target's own kind, or a Deployment. */
export function fallbackKinds({ kind }: Target): [Target['kind'], ...Target['kind'][]] {
  return kind === 'Deployment' ? [kind] : [kind, 'Deployment'];
}

/** @returns the first that there is, by kind. */
export async function findFallback(
  clients: ClusterClients,
  target: Target,
  name: string,
): Promise<{ kind: Target['kind']; workload: RawWorkload } | undefined> {
  for (const kind of fallbackKinds(target)) {
    const workload = await findWorkload(clients, { ...target, kind, name });
    if (workload !== undefined) return { kind, workload };
  }
  return undefined;
}

/** The Service of a breaker's fallback. */
export async function fallbackService(
  clients: ClusterClients,
  target: Target,
  { fallback }: Breaker,
): Promise<{ ref: ServiceRef | null; problems: string[] }> {
  if (fallback === undefined) return { ref: null, problems: [] };
  try {
    const found = await findFallback(clients, target, fallback);
    const { services, problems } = servicesOf(fallback, found?.workload);
    return { ref: services[0], problems };
  } catch (error) {
    // Diverting must not wait for it: mostly the Service has the workload's name.
    const problem = `the annotations of ${fallback} could not be read: ${(error as Error).message}`;
    return { ref: { service: fallback }, problems: [problem] };
  }
}

function parseService(text: string): ServiceRef | undefined {
  const [service = '', port, ...more] = text.split(':');
  if (more.length > 0 || !OBJECT_NAME.test(service)) return undefined;
  if (port === undefined) return { service };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  return number >= 1 && number <= MAX_PORT ? { service, port: number } : undefined;
}

function listed(workload: RawWorkload | undefined, annotation: string): string[] {
  const text = workload?.metadata.annotations?.[annotation] ?? '';
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .slice(0, MAX_NAMES);
}
