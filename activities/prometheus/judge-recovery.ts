import { collectCounts } from '../../domain/verification/collect-counts.ts';
import { judge } from '../../domain/verification/judge.ts';
import type {
  ClassifierVersions,
  CollectedCounts,
  CounterSeries,
  EvidenceProblem,
  GuardResult,
  RawSeries,
  Verdict,
} from '../../domain/verification/types.ts';
import type { MeasurementActivities } from '../contract.ts';
import type { PodReader, TargetPods } from '../kubernetes/pod-reader.ts';
import { readClassifierVersions } from './classifier-versions.ts';
import type { PrometheusClient } from './client.ts';
import { evaluate } from './evaluate.ts';
import { inTime, MEASURE_WITHIN_MS, reasonOf } from './read-metrics.ts';
import { readSeries, readTime } from './read-series.ts';

type JudgeInput = Parameters<MeasurementActivities['judgeRecovery']>[0];
type CounterName = 'harmful' | 'classified' | 'requests';

/** Counts since T0 and judges them. Whatever goes wrong is a gate of the verdict: it can only keep recovery unproved. */
export async function judgeRecovery(
  client: PrometheusClient,
  readPods: PodReader,
  input: JudgeInput,
): Promise<Verdict> {
  const { guards, ...options } = input.options;
  const problems: EvidenceProblem[] = [];
  let atMs = Date.now();
  let counts: CollectedCounts | null = null;
  let classifierVersions: ClassifierVersions | undefined;
  const untilMs = Date.now() + MEASURE_WITHIN_MS;
  const timely = <T>(work: Promise<T>) => inTime(work, untilMs - Date.now());
  try {
    const time = await timely(readTime(client));
    atMs = time.atMs;
    const pods = await timely(readPods(input.target));
    const { metrics, target, facts, t0Ms } = input;
    const query = { metrics, scope: { target, facts }, t0Ms, time };
    const read = (name: CounterName) => timely(readSeries(client, name, query, problems));
    const series: CounterSeries = {
      harmful: ofTarget((await read('harmful')) ?? [], pods),
      classified: ofTarget((await read('classified')) ?? [], pods),
    };
    const requests = await read('requests');
    if (requests !== undefined) series.requests = ofTarget(requests, pods);
    classifierVersions = await timely(
      readClassifierVersions(client, { ...query, sinceMs: input.alertedAtMs }),
    );
    // Counts of another time than they say prove nothing, harm included.
    if (!problems.some(({ gate }) => gate === 'sample-age')) {
      counts = collectCounts(series, {
        t0Ms,
        untilMs: atMs,
        podStartedAtMs: startTimes(pods),
        freshBaseline: true,
        replicaLabels: client.replicaLabels,
      });
    }
  } catch (error) {
    problems.push({ gate: 'query-failed', detail: reasonOf(error) });
  }
  return judge({
    counts,
    atMs,
    guards: await checkGuards(client, guards, input, untilMs),
    problems,
    classifierVersions,
    options,
  });
}

/**
 * Series of the target's pods: those that are there, and those of the running revision that are gone again (what they
 * served was served). Series without a pod label count too: a gateway counts for all pods together.
 */
function ofTarget(series: RawSeries[], { pods, replicaSet }: TargetPods): RawSeries[] {
  const names = new Set(pods.map(({ name }) => name));
  return series.filter(({ metric }) => {
    const { pod } = metric;
    if (pod === undefined || pod === '' || names.has(pod)) return true;
    return (
      replicaSet !== undefined &&
      pod.startsWith(`${replicaSet}-`) &&
      /^[a-z0-9]+$/.test(pod.slice(replicaSet.length + 1))
    );
  });
}

function startTimes({ pods }: TargetPods): Record<string, number> {
  return Object.fromEntries(
    pods.flatMap(({ name, startedAtMs }) => (startedAtMs === undefined ? [] : [[name, startedAtMs]])),
  );
}

/** Guards read windows that start at T0 at the earliest: before it, the bad revision served. */
async function checkGuards(
  client: PrometheusClient,
  guards: string[],
  input: JudgeInput,
  untilMs: number,
): Promise<GuardResult[]> {
  if (guards.length === 0) return [];
  const expressions = Object.fromEntries(guards.map((guard, index) => [String(index), guard]));
  const { target, facts, metrics, context, t0Ms } = input;
  const { results } = await evaluate(
    client,
    { target, facts, metrics, expressions, context },
    { notBeforeMs: t0Ms, untilMs },
  );
  return guards.map((expr, index) => {
    const result = results[String(index)];
    const holds = result?.known === true && typeof result.value === 'boolean' ? result.value : 'unknown';
    return { expr, holds };
  });
}
