import type {
  Evaluation,
  ExpressionFacts,
  MeasurementActivities,
  MetricReading,
} from '../../activities/contract.ts';
import { bindLabels, type CounterSpec } from '../../activities/prometheus/read-metrics.ts';
import { bucketIncrements, historyGrid } from '../../domain/harm-history/buckets.ts';
import type { HarmReading } from '../../domain/harm-history/types.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import { collectCounts } from '../../domain/verification/collect-counts.ts';
import { judge } from '../../domain/verification/judge.ts';
import { type ErrorEvidence, type HarmLook, judgeHarm } from '../../domain/verification/judge-harm.ts';
import type {
  CollectedCounts,
  EvidenceProblem,
  GuardResult,
  RawSeries,
  Verdict,
} from '../../domain/verification/types.ts';
import { evaluateExpression, metricsOf } from '../../runbooks/expressions.ts';
import type { Point } from '../scenario/fields.ts';
import { valueAt } from './over-time.ts';
import { COUNTERS, type Counter, FALLBACK, SCRAPE_INTERVAL_MS, type Traffic } from './traffic.ts';

/** As in activities/prometheus/judge-recovery.ts: samples before T0, to find each series' baseline. */
const BASELINE_MS = 300_000;
/** As in activities/prometheus/read-metrics.ts: what is older says nothing of now. */
const MAX_SAMPLE_AGE_MS = 120_000;
/** Counters by the names of the guide, where the runbook calls the metric something else. */
const GUIDE_COUNTERS: Record<string, Counter> = {
  ai_requests_total: 'requests',
  ai_outputs_classified_total: 'classified',
  ai_harmful_outputs_total: 'harmful',
};
/** rate() reaches beyond the first and last sample, up to this part of their distance (Prometheus' extrapolatedRate). */
const EXTRAPOLATE_WITHIN = 1.1;

type EvaluateInput = Parameters<MeasurementActivities['evaluate']>[0];
type JudgeInput = Parameters<MeasurementActivities['judgeRecovery']>[0];
type HistoryInput = Parameters<MeasurementActivities['readHarmHistory']>[0];
type HarmInput = Parameters<MeasurementActivities['judgeHarm']>[0];

interface Query {
  target: Target;
  facts: TargetFacts;
  metrics: Record<string, MetricSpec>;
  context: ExpressionFacts;
}

/** A reason why a value is unknown. */
class Unknown extends Error {}

export interface MeasurementOptions {
  traffic: Traffic;
  /** Values that the scenario gives, by metric, with absolute times. */
  metrics: Readonly<Record<string, Point<number | 'unknown'>[]>>;
  /** Name of the incident's target; any other deployment is its fallback. Absent: known by the fallback's name. */
  targetName?: string;
  /** Name of the deployment that serves while traffic is diverted; undefined while none ever did. */
  fallback(): string | undefined;
  /** Told of every expression that was decided, for coverage. */
  decided(expression: string, result: Evaluation): void;
}

/** Prometheus and what is read from it: metrics over the simulated traffic, expressions and verdicts by the real code. */
export class Measurement {
  readonly #options: MeasurementOptions;

  constructor(options: MeasurementOptions) {
    this.#options = options;
  }

  /** @param away why Prometheus cannot be asked; undefined: it can. */
  evaluate(
    input: EvaluateInput,
    nowMs: number,
    away: string | undefined,
    notBeforeMs?: number,
  ): { results: Record<string, Evaluation>; evidence: Record<string, MetricReading> } {
    const evidence: Record<string, MetricReading> = {};
    for (const name of metricsOf(Object.values(input.expressions))) {
      evidence[name] = away
        ? { reason: away, promql: '', atMs: nowMs }
        : this.#read(name, input, nowMs, notBeforeMs);
    }
    const { target, facts } = input;
    const context = { ...input.context, metrics: evidence, nowMs, target: { ...target, ...facts } };
    const results: Record<string, Evaluation> = {};
    for (const [name, expression] of Object.entries(input.expressions)) {
      const result = evaluateExpression(expression, context);
      this.#options.decided(expression, result);
      results[name] = result;
    }
    return { results, evidence };
  }

  evaluateUntargeted(
    expressions: Record<string, string>,
    context: ExpressionFacts,
    nowMs: number,
  ): { results: Record<string, Evaluation> } {
    const reason = 'the incident has no target to measure';
    const metrics = Object.fromEntries(
      metricsOf(Object.values(expressions)).map((name) => [name, { reason }]),
    );
    const results = Object.entries(expressions).map(([name, expression]): [string, Evaluation] => {
      const result = evaluateExpression(expression, { ...context, metrics, nowMs });
      this.#options.decided(expression, result);
      return [name, result];
    });
    return { results: Object.fromEntries(results) };
  }

  /** The real judge over raw samples of the pods that serve now. */
  judgeRecovery(input: JudgeInput, nowMs: number, away: string | undefined): Verdict {
    const { guards, ...options } = input.options;
    const { traffic } = this.#options;
    const problems: EvidenceProblem[] = [];
    let counts: CollectedCounts | null = null;
    if (away) {
      problems.push({ gate: 'query-failed', detail: away });
    } else {
      const serving = traffic.servingAt(nowMs);
      const fromMs = input.t0Ms - BASELINE_MS;
      const read = (name: Counter): RawSeries[] =>
        input.metrics[name]?.type === 'counter' ? traffic.series(name, [serving], fromMs, nowMs) : [];
      const classified = read('classified');
      const started = Object.fromEntries(
        [...classified, ...read('requests')].map(({ metric }) => [
          metric.pod ?? '',
          traffic.servingSinceMs(nowMs),
        ]),
      );
      counts = collectCounts(
        {
          harmful: read('harmful'),
          classified,
          ...(input.metrics.requests?.type === 'counter' ? { requests: read('requests') } : {}),
        },
        { t0Ms: input.t0Ms, untilMs: nowMs, podStartedAtMs: started },
      );
    }
    return judge({
      counts,
      atMs: nowMs,
      guards: this.#guards(guards, input, nowMs, away),
      problems,
      options,
    });
  }

  /** The real judge over raw samples of all pods that the deployment had in the window. */
  judgeHarm(input: HarmInput, nowMs: number, away: string | undefined): HarmLook {
    const { metrics, target, limits } = input;
    const { traffic, targetName, fallback } = this.#options;
    const t0Ms = Math.max(nowMs - input.windowMs, input.sinceMs ?? Number.NEGATIVE_INFINITY);
    const problem: EvidenceProblem | undefined =
      away !== undefined || t0Ms >= nowMs
        ? { gate: 'query-failed', detail: away ?? 'its window has not begun yet' }
        : undefined;
    const isFallback = targetName === undefined ? target.name === fallback() : target.name !== targetName;
    const keys = isFallback ? [FALLBACK] : traffic.revisions();
    const read = (name: Counter): RawSeries[] | undefined =>
      metrics[name]?.type === 'counter' ? traffic.series(name, keys, t0Ms - BASELINE_MS, nowMs) : undefined;
    const series = {
      harmful: read('harmful') ?? [],
      classified: read('classified') ?? [],
      requests: read('requests'),
    };
    const counts = problem ? null : collectCounts(series, { t0Ms, untilMs: nowMs, podStartedAtMs: {} });
    const errors = problem ? undefined : this.#errors(input, isFallback, nowMs);
    const problems = problem ? [problem] : [];
    return judgeHarm({ counts, problems, atMs: nowMs, maxSampleAgeMs: MAX_SAMPLE_AGE_MS, errors }, limits);
  }

  /** Requests that fail are not simulated: the target's share of errors is what the scenario says, the fallback has none. */
  #errors({ metrics }: HarmInput, isFallback: boolean, nowMs: number): ErrorEvidence | undefined {
    const counted = metrics.errors?.type === 'counter' && metrics.requests?.type === 'counter';
    if (!counted && metrics.errorRate === undefined) return undefined;
    if (isFallback) return { rate: 0 };
    const value = valueAt(this.#options.metrics.errorRate ?? [], nowMs);
    return typeof value === 'number' ? { rate: value } : { unknown: notGiven('errorRate').message };
  }

  /** The real buckets over samples of all revisions that served in the range. */
  readHarmHistory(input: HistoryInput, nowMs: number, away: string | undefined): HarmReading {
    const { metrics } = input;
    const nothing = (reason: string): HarmReading => ({ stepMs: 0, points: [], reason });
    if (metrics.harmful?.type !== 'counter' || metrics.classified?.type !== 'counter') {
      return nothing('the runbook has no counters named harmful and classified');
    }
    if (away !== undefined) return nothing(away);
    const { traffic } = this.#options;
    const untilMs = Math.min(input.toMs, nowMs);
    const grid = historyGrid({ fromMs: input.fromMs, toMs: untilMs, scrapeIntervalMs: SCRAPE_INTERVAL_MS });
    if (grid.count === 0) return nothing('the range is empty');
    const read = (name: Counter): RawSeries[] =>
      traffic.series(name, traffic.revisions(), grid.startMs - BASELINE_MS, untilMs);
    const { points, problems } = bucketIncrements(
      { harmful: read('harmful'), classified: read('classified') },
      grid,
    );
    if (points.every((point) => point.classified === 0)) problems.push('nothing was classified in the range');
    return {
      stepMs: grid.stepMs,
      points,
      ...(problems.length === 0 ? {} : { reason: problems.join('; ') }),
    };
  }

  #guards(guards: string[], input: JudgeInput, nowMs: number, away: string | undefined): GuardResult[] {
    const expressions = Object.fromEntries(guards.map((guard, index) => [String(index), guard]));
    const { results } = this.evaluate({ ...input, expressions }, nowMs, away, input.t0Ms);
    return guards.map((expr, index) => {
      const result = results[String(index)];
      const holds = result?.known === true && typeof result.value === 'boolean' ? result.value : 'unknown';
      return { expr, holds };
    });
  }

  #read(name: string, query: Query, atMs: number, notBeforeMs: number | undefined): MetricReading {
    const given = this.#options.metrics[name];
    if (given !== undefined) {
      const value = valueAt(given, atMs);
      return value === undefined || value === 'unknown'
        ? { reason: 'the scenario says so', promql: name, atMs }
        : { value, promql: name, atMs };
    }
    try {
      return { value: this.#derive(name, query, atMs, notBeforeMs), promql: name, atMs };
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      return { reason: error.message, promql: name, atMs };
    }
  }

  #derive(name: string, query: Query, atMs: number, notBeforeMs: number | undefined): number {
    const spec = query.metrics[name];
    if (spec === undefined) throw new Unknown('the runbook has no such metric');
    if (spec.type === 'promql') throw notGiven(name);
    const windowMs = notBeforeMs === undefined ? spec.windowMs : Math.min(spec.windowMs, atMs - notBeforeMs);
    if (windowMs <= 0) throw new Unknown('its window has not begun yet');
    if (spec.type === 'counter') return this.#rate(name, query, atMs, windowMs);
    const [numerator, denominator] = spec.of.map((counter) => {
      const known = query.metrics[counter];
      if (known?.type !== 'counter') throw new Unknown(`${counter} is no counter of the runbook`);
      if (this.#kindOf(counter, known, query) === undefined) throw notGiven(name);
      return this.#rate(counter, query, atMs, windowMs);
    });
    const quotient = (numerator ?? Number.NaN) / (denominator ?? Number.NaN);
    if (!Number.isFinite(quotient))
      throw new Unknown(`the value is ${quotient}: nothing was counted in its window`);
    return quotient;
  }

  /** sum(rate(counter[window])), as Prometheus computes it from samples. */
  #rate(name: string, query: Query, atMs: number, windowMs: number): number {
    const spec = query.metrics[name];
    const kind = spec?.type === 'counter' ? this.#kindOf(name, spec, query) : undefined;
    if (kind === undefined) throw notGiven(name);
    const { traffic } = this.#options;
    const keys = kind.fallback ? [FALLBACK] : traffic.revisions();
    const series = traffic.series(kind.counter, keys, atMs - windowMs, atMs);
    const newestMs = Math.max(0, ...series.map(({ values }) => (values.at(-1)?.[0] ?? 0) * 1_000));
    if (newestMs === 0) throw new Unknown('there are no current series of it');
    if (atMs - newestMs > MAX_SAMPLE_AGE_MS)
      throw new Unknown(`its newest sample is ${Math.round((atMs - newestMs) / 1_000)} s old`);
    const rates = series.flatMap((one) => rateOf(one, atMs - windowMs, atMs));
    if (rates.length === 0) throw new Unknown('the query gave nothing: no series, or too few samples');
    return rates.reduce((sum, rate) => sum + rate, 0);
  }

  /** Which simulated counter a metric of the runbook is, by its name or that of its Prometheus counter, and whose. */
  #kindOf(
    name: string,
    spec: CounterSpec,
    { target, facts, metrics }: Query,
  ): { counter: Counter; fallback: boolean } | undefined {
    const counter =
      COUNTERS.find((one) => one === name) ??
      COUNTERS.find((one) => {
        const known = metrics[one];
        return known?.type === 'counter' && known.counter === spec.counter;
      }) ??
      GUIDE_COUNTERS[spec.counter];
    if (counter === undefined) return undefined;
    const values = Object.values(bindLabels(spec, { target, facts }));
    if (values.includes(target.name) || values.length === 0) return { counter, fallback: false };
    const fallback = this.#options.fallback();
    return fallback !== undefined && values.includes(fallback) ? { counter, fallback: true } : undefined;
  }
}

function notGiven(name: string): Unknown {
  return new Unknown(`the scenario gives no value: write one under world.metrics.${name}`);
}

/** As `extrapolatedRate` in Prometheus' promql/functions.go, for a counter that never restarts. */
function rateOf({ values }: RawSeries, fromMs: number, untilMs: number): number[] {
  const first = values[0];
  const last = values.at(-1);
  if (first === undefined || last === undefined || values.length < 2) return [];
  const [firstMs, lastMs] = [first[0] * 1_000, last[0] * 1_000];
  const sampledMs = lastMs - firstMs;
  const betweenMs = sampledMs / (values.length - 1);
  const reach = (gapMs: number): number => (gapMs < betweenMs * EXTRAPOLATE_WITHIN ? gapMs : betweenMs / 2);
  const coveredMs = sampledMs + reach(firstMs - fromMs) + reach(untilMs - lastMs);
  const increase = (Number(last[1]) - Number(first[1])) * (coveredMs / sampledMs);
  return [increase / ((untilMs - fromMs) / 1_000)];
}
