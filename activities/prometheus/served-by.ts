import type { Served } from '../kubernetes/choose-revision.ts';
import type { ServedBy } from '../kubernetes/plan-rollback.ts';
import { type PrometheusMap, prometheusFor } from './client.ts';
import { findScrapeIntervalMs } from './measurement-clock.ts';
import { promDuration, regexLiteral, selector } from './promql.ts';
import { bindLabels, counterOf } from './read-metrics.ts';

/** A revision that last served longer ago than this is not "known" by what it served. */
const MAX_LOOKBACK_MS = 7 * 24 * 3_600_000;
/** The time that a revision served is measured in steps of a sixtieth of what is asked for, a minute for an hour. */
const STEPS = 60;
/** Steps of one subquery: a week of minutes. Bounds what the query costs where less than an hour is asked for. */
const MAX_STEPS = 10_080;
/** rate() needs two samples in its window; scrapes may be lost. */
const RATE_SCRAPES = 4;

/**
 * What the pods of a ReplicaSet served, by their names. Increments are Prometheus' own (extrapolated at the edges):
 * precise enough to choose by; recovery itself is judged by raw counts.
 */
export function createServedBy(clients: PrometheusMap): ServedBy {
  return async (target, replicaSetName, { metrics, forMs }): Promise<Served | undefined> => {
    const harmful = counterOf(metrics, 'harmful');
    const classified = counterOf(metrics, 'classified');
    if (harmful === undefined || classified === undefined) return undefined;
    const client = prometheusFor(clients, target.cluster);
    const atMs = await client.nowMs();
    const pods = [{ label: 'pod', pattern: `${regexLiteral(replicaSetName)}-[a-z0-9]+` }];
    const stepMs = Math.max(1_000, forMs / STEPS);
    const lookbackMs = Math.min(MAX_LOOKBACK_MS, stepMs * MAX_STEPS);
    const lookback = promDuration(lookbackMs);
    const rateMs = Math.max(stepMs, RATE_SCRAPES * (await findScrapeIntervalMs(client, target, atMs)));
    const [harmfulSeries, classifiedSeries] = [harmful, classified].map((spec) =>
      selector(spec.counter, bindLabels(spec, { target }), pods),
    );

    async function read(promql: string): Promise<number | undefined> {
      const { result, partial } = await client.queryVector(promql, atMs);
      const value = result[0]?.value;
      return partial || result.length !== 1 || value === undefined || !Number.isFinite(value)
        ? undefined
        : value;
    }
    const classifiedCount = await read(`sum(increase(${classifiedSeries}[${lookback}]))`);
    // No series of the harmful counter is no proof that nothing was harmful: somebody must have counted.
    const harmfulCount = await read(`sum(increase(${harmfulSeries}[${lookback}]))`);
    if (classifiedCount === undefined || harmfulCount === undefined) return undefined;
    const busy = `sum(rate(${classifiedSeries}[${promDuration(rateMs)}])) > 0`;
    const steps = await read(`count_over_time((${busy})[${lookback}:${promDuration(stepMs)}])`);
    return { classified: classifiedCount, harmful: harmfulCount, seconds: ((steps ?? 0) * stepMs) / 1_000 };
  };
}
