import type { IncidentView } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { EMPTY_CONTEXT, evaluateExpression, metricsOf } from '../../runbooks/expressions.ts';
import type { Decided } from './decided.ts';

/** Combinations that are tried for one moment: conditions read two or three metrics. */
const MAX_TRIES = 5_000;
/** Decisions within this of one another were made on one measurement. */
const SAME_MOMENT_MS = 1_000;
const RISK_TIER = /target\.riskTier\s*==\s*(?:"([^"]*)"|'([^']*)')/;
/** Texts within expressions, which can hold digits too. */
const TEXTS = /"[^"]*"|'[^']*'/g;

export type Value = number | 'unknown';

/** Values with which every expression comes to what it came to. */
export interface Solution {
  /** By metric, from a time on. */
  metrics: Map<string, { atMs: number; value: Value }[]>;
  riskTier: string | undefined;
  /** Expressions for which no value was found. */
  unsolved: string[];
}

/**
 * Finds values of metrics that explain what was decided: readings are not recorded over time, but what came of them is. The
 * numbers that expressions compare with, and those around them, are tried; a value stays until it does not fit any more.
 */
export function explain(decided: readonly Decided[], view: IncidentView, runbook: CompiledRunbook): Solution {
  const solution: Solution = { metrics: new Map(), riskTier: undefined, unsolved: [] };
  const settled = new Map<string, Value>();
  for (const moment of momentsOf(decided)) {
    const needed = moment.filter(
      ({ expression, came }) => !fits(expression, came, settled, view, runbook, solution),
    );
    if (needed.length === 0) continue;
    const names = metricsOf(needed.map(({ expression }) => expression));
    // What else is decided on these metrics at this moment has to stay as it is.
    const all = moment.filter(({ expression }) =>
      metricsOf([expression]).some((name) => names.includes(name)),
    );
    const found = search(names, all.length === 0 ? needed : all, settled, view, runbook, solution);
    if (found === undefined) {
      solution.unsolved.push(...needed.map(({ expression }) => expression));
      continue;
    }
    const atMs = moment[0]?.atMs ?? 0;
    if (found.riskTier !== undefined) solution.riskTier = found.riskTier;
    for (const [name, value] of found.values) {
      if (settled.get(name) === value) continue;
      settled.set(name, value);
      solution.metrics.set(name, [...(solution.metrics.get(name) ?? []), { atMs, value }]);
    }
  }
  return solution;
}

function momentsOf(decided: readonly Decided[]): Decided[][] {
  const moments: Decided[][] = [];
  for (const one of decided) {
    const last = moments.at(-1);
    if (last?.[0] && one.atMs - last[0].atMs <= SAME_MOMENT_MS) last.push(one);
    else moments.push([one]);
  }
  return moments;
}

function search(
  names: readonly string[],
  decided: readonly Decided[],
  settled: ReadonlyMap<string, Value>,
  view: IncidentView,
  runbook: CompiledRunbook,
  { riskTier }: Solution,
): { values: Map<string, Value>; riskTier: string | undefined } | undefined {
  const texts = decided.map(({ expression }) => expression);
  const compared = texts.flatMap((text) => {
    const [, one, other] = RISK_TIER.exec(text) ?? [];
    return [one ?? other].filter((tier) => tier !== undefined);
  });
  const tiers = [riskTier, ...compared];
  const candidates = names.map((name) => candidatesOf(name, texts, runbook, settled.get(name)));
  let tries = 0;
  for (const tier of new Set(tiers)) {
    const tried = new Map(settled);
    const next = (index: number): boolean => {
      const name = names[index];
      if (name === undefined) {
        tries++;
        return decided.every(({ expression, came }) =>
          fits(expression, came, tried, view, runbook, { riskTier: tier }),
        );
      }
      return (candidates[index] ?? []).some((value) => {
        tried.set(name, value);
        return tries < MAX_TRIES && next(index + 1);
      });
    };
    if (next(0)) return { values: tried, riskTier: tier };
  }
  return undefined;
}

/** The value that there is, then those around the numbers that the metric is compared with. */
function candidatesOf(
  name: string,
  texts: readonly string[],
  runbook: CompiledRunbook,
  now: Value | undefined,
): Value[] {
  const spec = runbook.metrics[name];
  const numbers = texts
    .filter((text) => text.includes(`metrics.${name}`))
    .flatMap((text) => [
      ...[...text.replace(TEXTS, '').matchAll(/\d+(?:\.\d+)?/g)].map(([number]) => Number(number)),
      ...[...text.matchAll(/inputs\.(\w+)/g)].map(([, input]) => Number(runbook.inputs[input ?? ''])),
    ])
    .filter((number) => Number.isFinite(number));
  const around = numbers.flatMap((number) => [number * 2, number / 2, number]);
  const values: Value[] = [...(now === undefined ? [] : [now]), ...around, 0, 1, 'unknown'];
  // Half of the outputs cannot be two of them.
  const possible = (value: Value) => spec?.type !== 'ratio' || value === 'unknown' || value <= 1;
  return [...new Set(values)].filter(possible);
}

function fits(
  expression: string,
  came: Decided['came'],
  values: ReadonlyMap<string, Value>,
  view: IncidentView,
  runbook: CompiledRunbook,
  { riskTier }: Pick<Solution, 'riskTier'>,
): boolean {
  const metrics = Object.fromEntries(
    [...values].flatMap(([name, value]) => (value === 'unknown' ? [] : [[name, { value }]])),
  );
  const result = evaluateExpression(expression, {
    ...EMPTY_CONTEXT,
    metrics,
    inputs: runbook.inputs,
    steps: Object.fromEntries(view.steps.map(({ id, outputs }) => [id, outputs ?? {}])),
    incident: { severity: view.severity, round: 1, acknowledged: false, firing: 1 },
    alert: { labels: view.alerts[0]?.labels ?? {} },
    ...(view.target ? { target: { ...view.target, exists: true, mode: view.mode, riskTier } } : {}),
  });
  if (came === 'unknown') return !result.known;
  return result.known && result.value === came.value;
}
