/** How a scenario ended, by what the cluster and Prometheus say: nothing here is taken from Firebreak's own word. */
import { BREAKER_CONFIG_MAP, type BreakerProjection, breakerKey } from '../../domain/breaker.ts';
import { pollUntil } from '../stack/poll.ts';
import { apiStatus, connectKube, explain } from '../world/kube-client.ts';
import type { ModelRef } from '../world/models.ts';
import type { Expectation } from '../world/scenarios.ts';

/** The local Prometheus answers in milliseconds. */
const QUERY_TIMEOUT_MS = 10_000;
/** Every target is scraped once a second: over this long four scrapes are seen, and no moment before the end. */
const WINDOW_SECONDS = 4;
/** What was diverted last leaves the window after it; the rest is for slow machines. */
const SETTLES_WITHIN_MS = 15_000;
/** Two scrapes are compared at each of these steps, so that no pair of them is passed over. */
const STEP_SECONDS = 0.5;
const RATE_WINDOW = '3s';
const SCRAPE_MS = 1_000;
/** Longer than any scenario takes. */
const LOOKED_BACK = '15m';
/** Requests that were under way when the breaker changed may still end at the target. */
const NEARLY_NONE = 0.01;
/** Of the users' requests: rates over a few scrapes are rough. */
const MOST = 0.5;

export interface Traffic {
  prometheusUrl: string;
  namespace: string;
  target: string;
  fallback: string;
  /** Of the target's users; the fallback has own ones besides, far fewer. */
  usersRps: number;
}

/** The breaker as gateways read it; undefined where none was ever written. @throws Error when it cannot be read. */
export async function breakerOf({ kubeconfig, namespace, name }: ModelRef) {
  const { core } = connectKube(kubeconfig);
  try {
    const { data } = await core.readNamespacedConfigMap({ namespace, name: BREAKER_CONFIG_MAP });
    const text = data?.[breakerKey({ kind: 'Deployment', name })];
    return text === undefined ? undefined : (JSON.parse(text) as BreakerProjection);
  } catch (error) {
    if (apiStatus(error) === 404) return undefined;
    throw explain(error, `reading ConfigMap ${namespace}/${BREAKER_CONFIG_MAP}`);
  }
}

/** Kubernetes counts it up with every change of the Deployment's spec. */
export async function generationOf({ kubeconfig, namespace, name }: ModelRef): Promise<number> {
  const { apps } = connectKube(kubeconfig);
  try {
    return (await apps.readNamespacedDeployment({ namespace, name })).metadata?.generation ?? 0;
  } catch (error) {
    throw explain(error, `reading Deployment ${namespace}/${name}`);
  }
}

/**
 * Who gets the users' requests by the counters of the last seconds: waits until that is `expected`, or else says what is
 * so when the waiting ends.
 */
export async function servedBy(
  traffic: Traffic,
  expected: Expectation['servedBy'],
): Promise<Expectation['servedBy'] | string> {
  let last = 'unknown';
  await pollUntil('the traffic being as expected', SETTLES_WITHIN_MS, async () => {
    last = await lookWhoServes(traffic);
    return last === expected || undefined;
  }).catch(() => undefined);
  return last;
}

async function lookWhoServes(traffic: Traffic): Promise<string> {
  const over = (deployment: string) =>
    query(traffic, 'query', {
      query: `sum(increase(${requestsOf(traffic, deployment)}[${WINDOW_SECONDS}s])) / ${WINDOW_SECONDS}`,
    });
  const [target, fallback] = (await Promise.all([over(traffic.target), over(traffic.fallback)])).map(
    (series) => Number(series[0]?.value?.[1] ?? Number.NaN),
  );
  // Both come from one process: where the fallback's counters are seen, a target without any has no pods and no requests.
  if (fallback === undefined || Number.isNaN(fallback)) return 'unknown: Prometheus has no counters';
  const own = Number.isNaN(target) || target === undefined ? 0 : target;
  if (takesUsers(traffic, fallback) && own < traffic.usersRps * NEARLY_NONE) return 'fallback';
  if (takesUsers(traffic, own) && fallback < traffic.usersRps * MOST) return 'target';
  return `both: ${own.toFixed(0)} requests a second at the target, ${fallback.toFixed(0)} at the fallback`;
}

/**
 * Whether the target got no request at all between two scrapes while the fallback took the users': the whole was diverted.
 * @param fromMs epoch milliseconds of the incident's start. @param toMs of the first share that was let back, or of its end.
 */
export async function divertedWhole(traffic: Traffic, fromMs: number, toMs: number): Promise<boolean> {
  const rates = (deployment: string) =>
    query(traffic, 'query_range', {
      query: `sum(irate(${requestsOf(traffic, deployment)}[${RATE_WINDOW}]))`,
      start: String(fromMs / 1_000),
      end: String((toMs + SCRAPE_MS) / 1_000),
      step: String(STEP_SECONDS),
    });
  const [target, fallback] = await Promise.all([rates(traffic.target), rates(traffic.fallback)]);
  const fallbackAt = new Map(fallback[0]?.values);
  return (target[0]?.values ?? []).some(
    ([at, rate]) => Number(rate) === 0 && takesUsers(traffic, Number(fallbackAt.get(at) ?? 0)),
  );
}

/** Pods of a revision of the target that got any request at all, those that are gone included. */
export async function podsServing(traffic: Traffic, revision: number): Promise<number> {
  const requests = `ai_requests_total{namespace="${traffic.namespace}",deployment="${traffic.target}",revision="${revision}"}`;
  const counted = await query(traffic, 'query', {
    query: `count(max_over_time(${requests}[${LOOKED_BACK}]) > 0)`,
  });
  return Number(counted[0]?.value?.[1] ?? 0);
}

/** Whether the gateway ever refused users of the target because its breaker named no fallback. */
export async function everBlocked(traffic: Traffic): Promise<boolean> {
  const { namespace, target } = traffic;
  const refused = `ai_gateway_unserved_total{namespace="${namespace}",deployment="${target}",reason="blocked"}`;
  const counted = await query(traffic, 'query', {
    query: `sum(max_over_time(${refused}[${LOOKED_BACK}]))`,
  });
  return Number(counted[0]?.value?.[1] ?? 0) > 0;
}

function takesUsers({ usersRps }: Traffic, rps: number): boolean {
  return rps >= usersRps * MOST;
}

function requestsOf({ namespace }: Traffic, deployment: string): string {
  return `ai_requests_total{namespace="${namespace}",deployment="${deployment}"}`;
}

interface Series {
  value?: [number, string];
  values?: [number, string][];
}

async function query(
  { prometheusUrl }: Traffic,
  kind: 'query' | 'query_range',
  parameters: Record<string, string>,
): Promise<Series[]> {
  const answer = await fetch(`${prometheusUrl}/api/v1/${kind}?${new URLSearchParams(parameters)}`, {
    signal: AbortSignal.timeout(QUERY_TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`Prometheus answered ${answer.status} to ${parameters.query}`);
  return ((await answer.json()) as { data: { result: Series[] } }).data.result;
}
