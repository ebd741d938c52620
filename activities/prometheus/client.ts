import axios from 'axios';
import type { RawSeries } from '../../domain/verification/types.ts';
import { fail, fromAxios } from '../failure.ts';

/** Raw samples of a large deployment over half an hour are a few MiB; an answer beyond this is a wrong query. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface PrometheusAccess {
  /** Base URL; a path before /api is kept, as gateways of Thanos or Mimir have one. */
  url: string;
  /** The token itself, not a reference to it. */
  bearerToken?: string;
  timeoutMs?: number;
  /** Labels by which replicas of this Prometheus tell their copies of a series apart. */
  replicaLabels?: readonly string[];
}

interface VectorElement {
  metric: Record<string, string>;
  /** NaN and the infinities are possible. */
  value: number;
}

interface Answer<Result> {
  result: Result;
  /** Parts of the data could not be reached (Thanos, Mimir and remote read say so in `warnings`). */
  partial: boolean;
}

/** Prometheus' HTTP API, as much as is asked of it: https://prometheus.io/docs/prometheus/latest/querying/api/ */
export interface PrometheusClient {
  /** Labels by which replicas tell their copies of a series apart; absent: there is one Prometheus. */
  readonly replicaLabels?: readonly string[];
  /** Prometheus' own time, in epoch milliseconds: the only clock that measurements are compared with. */
  nowMs(): Promise<number>;
  /** An instant vector, or a scalar as a vector of one without labels. */
  queryVector(promql: string, atMs: number): Promise<Answer<VectorElement[]>>;
  /** Raw samples: a range selector in an instant query. */
  queryRange(promql: string, atMs: number): Promise<Answer<RawSeries[]>>;
  /** The value of each series at every step of a range, both ends included: at most 11,000 steps, which is Prometheus' limit. */
  querySteps(promql: string, range: StepRange): Promise<Answer<RawSeries[]>>;
  /** Labels and scrape interval of what is being scraped. Not every Prometheus-compatible store has this. */
  listActiveTargets(): Promise<{ labels: Record<string, string>; scrapeInterval?: string }[]>;
}

export interface StepRange {
  fromMs: number;
  toMs: number;
  stepMs: number;
}

export type PrometheusMap = Record<string, PrometheusClient>;

type Sample = [seconds: number, value: string];

/** All methods throw ApplicationFailure: Unavailable, Unauthorized, InvalidInput for a query that cannot be run. */
export function createPrometheusClient(access: PrometheusAccess): PrometheusClient {
  const http = axios.create({
    baseURL: `${access.url.replace(/\/+$/, '')}/api/v1`,
    timeout: access.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxContentLength: MAX_ANSWER_BYTES,
    // A token must not follow a redirect to another host.
    maxRedirects: 0,
    headers: access.bearerToken === undefined ? {} : { Authorization: `Bearer ${access.bearerToken}` },
  });

  function query(promql: string, atMs: number | undefined) {
    return post('/query', { query: promql, ...(atMs === undefined ? {} : { time: String(atMs / 1_000) }) });
  }

  async function post(path: '/query' | '/query_range', fields: Record<string, string>) {
    const form = new URLSearchParams(fields);
    try {
      const { data } = await http.post(path, form, {
        signal: AbortSignal.timeout(http.defaults.timeout ?? DEFAULT_TIMEOUT_MS),
      });
      if (data?.status !== 'success' || data.data === undefined) throw notUnderstood();
      return { type: data.data.resultType, result: data.data.result, partial: hasWarnings(data) };
    } catch (error) {
      throw fromAxios(error, 'the Prometheus query');
    }
  }

  return {
    replicaLabels: access.replicaLabels,

    async nowMs() {
      const { type, result } = await query('time()', undefined);
      const seconds = type === 'scalar' ? Number((result as Sample)[1]) : Number.NaN;
      if (!Number.isFinite(seconds)) throw notUnderstood();
      return Math.round(seconds * 1_000);
    },

    async queryVector(promql, atMs) {
      const { type, result, partial } = await query(promql, atMs);
      if (type === 'scalar')
        return { result: [{ metric: {}, value: Number((result as Sample)[1]) }], partial };
      if (type !== 'vector')
        throw fail('InvalidInput', `the Prometheus query gives a ${type}, a vector is needed`);
      const elements = (result as { metric: Record<string, string>; value?: Sample }[]).map(
        ({ metric, value }) => ({
          metric,
          // A native histogram has no value.
          value: value === undefined ? Number.NaN : Number(value[1]),
        }),
      );
      return { result: elements, partial };
    },

    async queryRange(promql, atMs) {
      const { type, result, partial } = await query(promql, atMs);
      return { result: matrixOf(type, result), partial };
    },

    async querySteps(promql, { fromMs, toMs, stepMs }) {
      const { type, result, partial } = await post('/query_range', {
        query: promql,
        start: String(fromMs / 1_000),
        end: String(toMs / 1_000),
        step: String(stepMs / 1_000),
      });
      return { result: matrixOf(type, result), partial };
    },

    async listActiveTargets() {
      try {
        const { data } = await http.get('/targets', { params: { state: 'active' } });
        const targets: { labels?: Record<string, string>; scrapeInterval?: string }[] =
          data?.data?.activeTargets ?? [];
        return targets.map(({ labels = {}, scrapeInterval }) => ({ labels, scrapeInterval }));
      } catch (error) {
        throw fromAxios(error, "the list of Prometheus' targets");
      }
    },
  };
}

/** A native histogram has no values. */
function matrixOf(type: string, result: unknown): RawSeries[] {
  if (type !== 'matrix')
    throw fail('InvalidInput', `the Prometheus query gives a ${type}, raw samples are needed`);
  return (result as { metric: Record<string, string>; values?: Sample[] }[]).map(
    ({ metric, values = [] }) => ({ metric, values }),
  );
}

function hasWarnings(data: { warnings?: unknown }): boolean {
  return Array.isArray(data.warnings) && data.warnings.length > 0;
}

function notUnderstood() {
  return fail('Unavailable', 'the Prometheus query was answered by something that is not the Prometheus API');
}

/** @throws InvalidInput for a cluster this worker does not know. */
export function prometheusFor(clients: PrometheusMap, cluster: string): PrometheusClient {
  const client = Object.hasOwn(clients, cluster) ? clients[cluster] : undefined;
  if (client === undefined)
    throw fail('InvalidInput', `this worker has no Prometheus of cluster "${cluster}"`);
  return client;
}
