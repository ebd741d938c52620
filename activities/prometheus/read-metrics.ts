import { ApplicationFailure } from '@temporalio/common';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import { EMPTY_CONTEXT, evaluateExpression } from '../../runbooks/expressions.ts';
import type { MetricReading } from '../contract.ts';
import { fail } from '../failure.ts';
import { within } from '../within.ts';
import type { PrometheusClient } from './client.ts';
import { bindPlaceholders, promDuration, selector } from './promql.ts';

/**
 * Values of a runbook's metrics at one moment. A counter's value is its rate per second over all its series, a ratio's
 * the quotient of two such rates; what cannot be told is unknown, with the reason.
 */

/** Twice the interval at which Prometheus scrapes by default: what is older says nothing of now. */
export const MAX_SAMPLE_AGE_MS = 120_000;

/**
 * A measurement takes several queries, one after the other; all together they have to end before the activity's own limit
 * (15 s, workflows/activities.ts), or a slow Prometheus would look like none at all, for ever.
 */
export const MEASURE_WITHIN_MS = 12_000;

/** Ends the wait for work that takes too long: what it would have told is unknown. */
export function inTime<T>(work: Promise<T>, leftMs: number): Promise<T> {
  return within(work, leftMs, () => new Unknown(`not measured within ${MEASURE_WITHIN_MS / 1_000} s`));
}

export interface MetricScope {
  target: Target;
  facts?: TargetFacts;
}

export type CounterSpec = Extract<MetricSpec, { type: 'counter' }>;

/** A reason why a value is unknown; its message is ours alone. */
class Unknown extends Error {}

/** The counter metric of that name. */
export function counterOf(metrics: Record<string, MetricSpec>, name: string): CounterSpec | undefined {
  const spec = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
  return spec?.type === 'counter' ? spec : undefined;
}

/** The series of a counter, as a PromQL selector. @throws InvalidInput when a label cannot be bound. */
export function counterSelector(spec: CounterSpec, scope: MetricScope): string {
  return selector(spec.counter, bindLabels(spec, scope));
}

/** What gives a metric's series as they are. @throws InvalidInput for a ratio, which has none of its own. */
export function instantQuery(spec: MetricSpec, scope: MetricScope): string {
  if (spec.type === 'ratio') throw fail('InvalidInput', 'a ratio has no series of its own');
  return spec.type === 'counter'
    ? counterSelector(spec, scope)
    : bindPlaceholders(spec.promql, bindAll(spec.bind, scope));
}

export function bindLabels(spec: CounterSpec, scope: MetricScope): Record<string, string> {
  return bindAll(spec.labels, scope);
}

/** What a label or placeholder is bound to is an expression: a field of the target, or a literal. */
function bindAll(bindings: Record<string, string>, { target, facts }: MetricScope): Record<string, string> {
  const bound = Object.entries(bindings).map(([name, expression]) => {
    const value = evaluateExpression(expression, { ...EMPTY_CONTEXT, target: { ...target, ...facts } });
    if (!value.known || typeof value.value !== 'string')
      throw fail('InvalidInput', `${name} cannot be bound to a text`);
    return [name, value.value];
  });
  return Object.fromEntries(bound);
}

/**
 * @param notBeforeMs windows of counters and ratios are cut so that they start no earlier.
 * @returns never throws: a query that fails is an unknown value.
 */
export async function readMetric(
  client: PrometheusClient,
  name: string,
  input: { metrics: Record<string, MetricSpec>; scope: MetricScope; atMs: number; notBeforeMs?: number },
): Promise<MetricReading> {
  const { atMs } = input;
  let promql = '';
  try {
    const { counters, windowMs, text } = describe(name, input);
    promql = text(promDuration(windowMs));
    for (const counter of counters) await refuseStale(client, counter, atMs);
    return { value: await readOne(client, promql, atMs), promql, atMs };
  } catch (error) {
    return { reason: reasonOf(error), promql, atMs };
  }
}

function describe(
  name: string,
  { metrics, scope, atMs, notBeforeMs }: Parameters<typeof readMetric>[2],
): { counters: string[]; windowMs: number; text(window: string): string } {
  const spec = Object.hasOwn(metrics, name) ? metrics[name] : undefined;
  if (spec === undefined) throw new Unknown('the runbook has no such metric');
  if (spec.type === 'promql') {
    const promql = instantQuery(spec, scope);
    return { counters: [], windowMs: 0, text: () => promql };
  }
  const windowMs = notBeforeMs === undefined ? spec.windowMs : Math.min(spec.windowMs, atMs - notBeforeMs);
  if (windowMs <= 0) throw new Unknown('its window has not begun yet');
  if (spec.type === 'counter') {
    const counter = counterSelector(spec, scope);
    return { counters: [counter], windowMs, text: (window) => rateOf(counter, window) };
  }
  const [numerator, denominator] = spec.of.map((part) => {
    const counter = counterOf(metrics, part);
    if (counter === undefined) throw new Unknown(`${part} is no counter of the runbook`);
    return counterSelector(counter, scope);
  });
  if (numerator === undefined || denominator === undefined) throw new Unknown('a ratio needs two counters');
  return {
    counters: [numerator, denominator],
    windowMs,
    text: (window) => `${rateOf(numerator, window)} / ${rateOf(denominator, window)}`,
  };
}

function rateOf(counter: string, window: string): string {
  return `sum(rate(${counter}[${window}]))`;
}

/** rate() goes on for as long as its window holds two samples; a counter that nobody scrapes any more is unknown. */
async function refuseStale(client: PrometheusClient, counter: string, atMs: number): Promise<void> {
  const { result } = await client.queryVector(`max(timestamp(${counter}))`, atMs);
  const newestMs = (result[0]?.value ?? Number.NaN) * 1_000;
  if (Number.isNaN(newestMs)) throw new Unknown('there are no current series of it');
  if (atMs - newestMs > MAX_SAMPLE_AGE_MS) {
    throw new Unknown(`its newest sample is ${Math.round((atMs - newestMs) / 1_000)} s old`);
  }
}

async function readOne(client: PrometheusClient, promql: string, atMs: number): Promise<number> {
  const { result, partial } = await client.queryVector(promql, atMs);
  if (partial) throw new Unknown('Prometheus could only see a part of the data');
  if (result.length > 1) throw new Unknown(`${result.length} series instead of one: sum them in the query`);
  const value = result[0]?.value;
  if (value === undefined) throw new Unknown('the query gave nothing: no series, or too few samples');
  if (!Number.isFinite(value)) throw new Unknown(`the value is ${value}: nothing was counted in its window`);
  return value;
}

export function reasonOf(error: unknown): string {
  if (error instanceof Unknown || error instanceof ApplicationFailure) return error.message;
  return 'it could not be measured';
}
