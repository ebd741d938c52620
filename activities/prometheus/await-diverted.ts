import { ApplicationFailure } from '@temporalio/common';
import { countIncrements } from '../../domain/verification/count-increments.ts';
import type { RawSeries } from '../../domain/verification/types.ts';
import type { MeasurementActivities } from '../contract.ts';
import { heartbeatAndPause, heartbeatDuring, waitingSinceMs } from '../kubernetes/progress.ts';
import type { PrometheusClient } from './client.ts';
import { medianSpacingMs } from './measurement-clock.ts';
import { promDuration } from './promql.ts';
import { type CounterSpec, counterOf, counterSelector, reasonOf } from './read-metrics.ts';

/** What arrived before is looked for in this much time before the diversion. */
const BEFORE_MS = 300_000;
/** So many whole scrapes, or more, must show that (almost) nothing arrives. */
const MIN_QUIET_SCRAPES = 2;
/** Of a scrape, on top: scrapes do not fall on the window's edge. */
const EDGE_SCRAPES = 0.5;
/** So many requests, or more, had to be expected in the silence: none of them comes by chance in exp(-5) < 1% of cases. */
const MIN_EXPECTED_REQUESTS = 5;
const POLL_MS = 1_000;

type AwaitInput = Parameters<MeasurementActivities['awaitDiverted']>[0];
type AwaitResult = Awaited<ReturnType<MeasurementActivities['awaitDiverted']>>;

/** `never`: waiting longer does not help. */
type Look = AwaitResult & { never?: boolean };

/** Waits until the target's requests, over the last scrapes, are at most a share of what arrived before. */
export async function awaitDiverted(client: PrometheusClient, input: AwaitInput): Promise<AwaitResult> {
  const startedMs = waitingSinceMs();
  const counter = counterOf(input.metrics, 'requests');
  if (counter === undefined) {
    return { effect: 'unknown', atMs: Date.now(), detail: 'the runbook has no counter named requests' };
  }
  let detail = 'nothing was measured';
  for (;;) {
    try {
      const look = await heartbeatDuring({ startedMs }, () => lookAt(client, input, counter, startedMs));
      const { never, ...result } = look;
      if (result.effect === 'measured' || never || Date.now() - startedMs >= input.timeoutMs) return result;
      detail = result.detail;
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || error.nonRetryable) throw error;
      detail = reasonOf(error);
      if (Date.now() - startedMs >= input.timeoutMs) return { effect: 'not-seen', atMs: Date.now(), detail };
    }
    await heartbeatAndPause(POLL_MS, { startedMs, detail });
  }
}

async function lookAt(
  client: PrometheusClient,
  { target, maxShare, timeoutMs }: AwaitInput,
  counter: CounterSpec,
  startedMs: number,
): Promise<Look> {
  const atMs = await client.nowMs();
  const divertedMs = atMs - (Date.now() - startedMs);
  const promql = `${counterSelector(counter, { target })}[${promDuration(atMs - divertedMs + BEFORE_MS)}]`;
  const { result } = await client.queryRange(promql, atMs);
  if (result.length === 0)
    return { effect: 'unknown', atMs, detail: 'there is no requests series of the target', never: true };
  return { ...compare(result, { divertedMs, atMs, maxShare, timeoutMs }), atMs };
}

/**
 * Requests per scrape, over the last scrapes after the diversion and in those before it.
 * @param series raw samples of the requests counter, from `BEFORE_MS` before the diversion on.
 * @param moment all in Unix milliseconds, but for `timeoutMs`: for how long it is looked again after the diversion.
 */
export function compare(
  series: RawSeries[],
  moment: { divertedMs: number; atMs: number; maxShare: number; timeoutMs: number },
): Pick<AwaitResult, 'effect' | 'detail'> {
  const { divertedMs, atMs, maxShare, timeoutMs } = moment;
  const spacings = series
    .map(medianSpacingMs)
    .filter((spacingMs) => spacingMs !== undefined && spacingMs > 0);
  const scrapeMs = Math.max(0, ...spacings.map((spacingMs) => spacingMs ?? 0));
  const notSeen = (detail: string) => ({ effect: 'not-seen' as const, detail });
  if (scrapeMs === 0) return notSeen('too few samples of the requests so far');
  const before = trafficBefore(series, divertedMs, scrapeMs);
  if (before.requests === 0) {
    const detail = 'no requests were seen before the diversion: that none arrive now says nothing';
    return { effect: 'unknown', detail };
  }
  const quietScrapes = quietScrapesFor(before, scrapeMs, timeoutMs);
  const beforePerScrape = (before.requests / before.coveredMs) * scrapeMs;
  const quietMs = (quietScrapes + EDGE_SCRAPES) * scrapeMs;
  if (quietMs > timeoutMs) {
    const rate = `${beforePerScrape.toFixed(1)} requests per scrape before`;
    return notSeen(`${rate} are too few to tell in ${Math.round(timeoutMs / 1_000)} s that they stopped`);
  }
  const quietFromMs = atMs - quietMs;
  if (quietFromMs < divertedMs) return notSeen('too few scrapes since the diversion so far');

  const recent = countIncrements(series, { t0Ms: quietFromMs, untilMs: atMs, podStartedAtMs: {} });
  if (recent.liveSeriesCount === 0) return notSeen('no current samples of the requests');
  const nowPerScrape = recent.total / (quietScrapes + EDGE_SCRAPES);
  const detail = `${nowPerScrape.toFixed(1)} requests per scrape, ${beforePerScrape.toFixed(1)} before`;
  return { effect: nowPerScrape <= maxShare * beforePerScrape ? 'measured' : 'not-seen', detail };
}

interface Traffic {
  /** As many as arrived; fewer where bursts were among them. */
  requests: number;
  /** The time between the first and the last sample, in which they arrived. */
  coveredMs: number;
}

/**
 * The lower one of two rates: the mean is not fooled by scrapes without a request, and the median of the others not by a
 * burst. What is too low makes the silence that is asked for longer.
 */
function trafficBefore(series: RawSeries[], divertedMs: number, scrapeMs: number): Traffic {
  const fromMs = divertedMs - BEFORE_MS;
  const times = series
    .flatMap(({ values }) => values.map(([seconds]) => seconds * 1_000))
    .filter((tMs) => tMs >= fromMs && tMs <= divertedMs)
    .sort((a, b) => a - b);
  const coveredMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  if (coveredMs === 0) return { requests: 0, coveredMs };
  const { total, increments } = countIncrements(series, {
    t0Ms: fromMs,
    untilMs: divertedMs,
    podStartedAtMs: {},
  });
  const ofMedian = medianOfBusy(increments, scrapeMs) * (coveredMs / scrapeMs);
  return { requests: Math.min(total, ofMedian), coveredMs };
}

/**
 * For how many scrapes nothing must arrive. With n requests in a time B before, a Poisson stream that goes on is silent
 * for a time W with the probability (B / (B + W))^n: the rate is known no better than by n (given all n, each of them fell
 * into B, by the binomial test of two Poisson rates). W = B (e^(m/n) - 1) makes that e^-m; where n is large it is the time
 * in which m requests are expected, and more where it is small. It is looked again and again: a silence may begin with each
 * request that comes before the last look, so m grows by the logarithm of their number.
 * @returns more than fit into `timeoutMs` where there were too few requests.
 */
function quietScrapesFor({ requests, coveredMs }: Traffic, scrapeMs: number, timeoutMs: number): number {
  const neededFor = (scrapes: number) => {
    const leftMs = Math.max(0, timeoutMs - (scrapes + EDGE_SCRAPES) * scrapeMs);
    const expected = MIN_EXPECTED_REQUESTS + Math.log1p((requests / coveredMs) * leftMs);
    return (coveredMs * Math.expm1(expected / requests)) / scrapeMs;
  };
  let scrapes = MIN_QUIET_SCRAPES;
  // The longer the silence, the fewer the chances for one: what is needed falls while this rises.
  while (scrapes * scrapeMs <= timeoutMs && scrapes < neededFor(scrapes)) scrapes += 1;
  return scrapes;
}

/** The median over scrapes in which anything arrived: an attempt that starts again late still sees the traffic of before. */
function medianOfBusy(increments: [tMs: number, amount: number][], scrapeMs: number): number {
  const scrapes = new Map<number, number>();
  for (const [tMs, amount] of increments) {
    const scrape = Math.floor(tMs / scrapeMs);
    scrapes.set(scrape, (scrapes.get(scrape) ?? 0) + amount);
  }
  const amounts = [...scrapes.values()].sort((a, b) => a - b);
  return amounts[amounts.length >> 1] ?? 0;
}
