import { evaluateExpression, metricsOf } from '../../runbooks/expressions.ts';
import type { Evaluation, MeasurementActivities, MetricReading } from '../contract.ts';
import type { PrometheusClient } from './client.ts';
import { inTime, MEASURE_WITHIN_MS, readMetric, reasonOf } from './read-metrics.ts';

type EvaluateInput = Parameters<MeasurementActivities['evaluate']>[0];
type EvaluateResult = Awaited<ReturnType<MeasurementActivities['evaluate']>>;

/**
 * Reads the metrics that the expressions use, all at one moment of Prometheus' own clock, and evaluates the expressions
 * over them. Never throws for a measurement: what cannot be measured is unknown.
 * @param options notBeforeMs: see readMetric; untilMs: what is not read by then is unknown.
 */
export async function evaluate(
  client: PrometheusClient,
  input: EvaluateInput,
  { notBeforeMs, untilMs = Date.now() + MEASURE_WITHIN_MS }: { notBeforeMs?: number; untilMs?: number } = {},
): Promise<EvaluateResult> {
  const { target, facts, metrics, expressions } = input;
  const names = metricsOf(Object.values(expressions));
  const timely = <T>(work: Promise<T>) => inTime(work, untilMs - Date.now());
  const evidence: Record<string, MetricReading> = {};
  try {
    // Without any metric there is no need to ask.
    const atMs = names.length === 0 ? 0 : await timely(client.nowMs());
    const scope = { target, facts };
    const readings = await Promise.all(
      names.map((name) =>
        timely(readMetric(client, name, { metrics, scope, atMs, notBeforeMs })).catch(
          (error: unknown): MetricReading => ({ reason: reasonOf(error), promql: '', atMs }),
        ),
      ),
    );
    for (const [index, name] of names.entries()) {
      const reading = readings[index];
      if (reading !== undefined) evidence[name] = reading;
    }
  } catch (error) {
    for (const name of names) evidence[name] = { reason: reasonOf(error), promql: '', atMs: Date.now() };
  }
  const context = {
    ...input.context,
    metrics: evidence,
    nowMs: Date.now(),
    target: { ...target, ...facts },
  };
  const results: Record<string, Evaluation> = {};
  for (const [name, expression] of Object.entries(expressions)) {
    results[name] = evaluateExpression(expression, context);
  }
  return { results, evidence };
}
