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
/** So many scrapes must show that (almost) nothing arrives; a half for scrapes that do not fall on the window's edge. */
const QUIET_SCRAPES = 2.5;
const POLL_MS = 1_000;

type AwaitInput = Parameters<MeasurementActivities['awaitDiverted']>[0];
type AwaitResult = Awaited<ReturnType<MeasurementActivities['awaitDiverted']>>;

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
      if (look.effect !== 'not-seen' || Date.now() - startedMs >= input.timeoutMs) return look;
      detail = look.detail;
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
  { target, maxShare }: AwaitInput,
  counter: CounterSpec,
  startedMs: number,
): Promise<AwaitResult> {
  const atMs = await client.nowMs();
  const divertedMs = atMs - (Date.now() - startedMs);
  const promql = `${counterSelector(counter, { target })}[${promDuration(atMs - divertedMs + BEFORE_MS)}]`;
  const { result } = await client.queryRange(promql, atMs);
  if (result.length === 0)
    return { effect: 'unknown', atMs, detail: 'there is no requests series of the target' };
  const { diverted, detail } = compare(result, { divertedMs, atMs, maxShare });
  return { effect: diverted ? 'measured' : 'not-seen', atMs, detail };
}

/** Requests per scrape, over the last scrapes after the diversion and in the busy scrapes before it. */
function compare(
  series: RawSeries[],
  { divertedMs, atMs, maxShare }: { divertedMs: number; atMs: number; maxShare: number },
): { diverted: boolean; detail: string } {
  const spacings = series
    .map(medianSpacingMs)
    .filter((spacingMs) => spacingMs !== undefined && spacingMs > 0);
  const scrapeMs = Math.max(0, ...spacings.map((spacingMs) => spacingMs ?? 0));
  if (scrapeMs === 0) return { diverted: false, detail: 'too few samples of the requests so far' };
  const quietFromMs = atMs - QUIET_SCRAPES * scrapeMs;
  if (quietFromMs < divertedMs)
    return { diverted: false, detail: 'too few scrapes since the diversion so far' };

  const recent = countIncrements(series, { t0Ms: quietFromMs, untilMs: atMs, podStartedAtMs: {} });
  if (recent.liveSeriesCount === 0) return { diverted: false, detail: 'no current samples of the requests' };
  const before = countIncrements(series, {
    t0Ms: divertedMs - BEFORE_MS,
    untilMs: divertedMs,
    podStartedAtMs: {},
  });
  const beforePerScrape = medianOfBusy(before.increments, scrapeMs);
  const nowPerScrape = recent.total / QUIET_SCRAPES;
  const detail = `${nowPerScrape.toFixed(1)} requests per scrape, ${beforePerScrape.toFixed(1)} before`;
  return { diverted: nowPerScrape <= maxShare * beforePerScrape, detail };
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
