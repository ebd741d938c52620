import type {
  ClassifierVersions,
  CollectedCounts,
  EvidenceProblem,
  Gate,
  GateName,
  GuardResult,
  JudgeInput,
  JudgeOptions,
} from './types.ts';

/** What the rate is divided by. */
export interface Exposure {
  denominator: 'classified' | 'requests';
  /** null: there is no such series. */
  total: number | null;
}

/** Requests stand in only where no classified series exists at all, and only where the runbook says so. */
export function exposureOf(counts: CollectedCounts | null, options: JudgeOptions): Exposure {
  const useRequests = counts !== null && counts.classified === null && options.allowRequestsAsDenominator;
  if (useRequests) return { denominator: 'requests', total: counts.requests };
  return { denominator: 'classified', total: counts?.classified ?? null };
}

function gate(name: GateName, ok: boolean, detail: string): Gate {
  return { name, ok, detail };
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
const percent = (share: number): string => `${Math.round(share * 1_000) / 10}%`;

/** Problems that were reported with the evidence, one gate a kind. */
function reportedGates(problems: readonly EvidenceProblem[]): Gate[] {
  const kinds: Exclude<EvidenceProblem['gate'], 'sample-age'>[] = [
    'query-failed',
    'partial-response',
    'not-a-number',
    'duplicate-series',
  ];
  return kinds.map((kind) => {
    const details = problems.filter((problem) => problem.gate === kind).map((problem) => problem.detail);
    return gate(kind, details.length === 0, details.join('; ') || 'none');
  });
}

function ageGate(problems: readonly EvidenceProblem[], ageMs: number, maxSampleAgeMs: number): Gate {
  const problem = problems.find(({ gate: name }) => name === 'sample-age');
  if (problem !== undefined) return gate('sample-age', false, problem.detail);
  if (Number.isNaN(ageMs)) return gate('sample-age', false, 'no samples');
  const detail = `${seconds(ageMs)}, at most ${seconds(maxSampleAgeMs)}`;
  return gate('sample-age', Math.abs(ageMs) <= maxSampleAgeMs, detail);
}

function coverageGate(counts: CollectedCounts | null, exposure: Exposure, minCoverage: number): Gate {
  const { requests = null, classified = null } = counts ?? {};
  if (exposure.denominator === 'requests') {
    return gate('coverage', true, 'requests are the denominator, as the runbook allows');
  }
  if (minCoverage === 0) return gate('coverage', true, 'not asked for');
  if (requests === null) return gate('coverage', false, 'no requests counter to compare with');
  if (requests === 0) return gate('coverage', false, 'no requests');
  const coverage = (classified ?? 0) / requests;
  return gate(
    'coverage',
    coverage >= minCoverage,
    `${percent(coverage)} of requests classified, ${percent(minCoverage)} needed`,
  );
}

/**
 * No harm counted is proof only where harm would have been counted: the harmful counter must be exposed (at
 * zero, if need be), and outputs must go on being classified while requests are served.
 */
function silenceGate(counts: CollectedCounts | null, exposure: Exposure, maxSilenceMs: number): Gate {
  if (!((counts?.liveSeries.harmful ?? 0) > 0)) {
    return gate('classifier-silent', false, 'no series of the harmful counter; it must be exposed at zero');
  }
  const requestMs = counts?.newestRequestIncrementMs ?? null;
  if (exposure.denominator === 'requests' || requestMs === null) {
    return gate('classifier-silent', true, 'the harmful counter is exposed');
  }
  const classifiedMs = counts?.newestClassifiedIncrementMs ?? null;
  if (classifiedMs === null) return gate('classifier-silent', false, 'requests, but nothing classified');
  const silentMs = Math.max(0, requestMs - classifiedMs);
  return gate(
    'classifier-silent',
    silentMs <= maxSilenceMs,
    `silent for ${seconds(silentMs)} of served requests`,
  );
}

function classifierGate(versions: ClassifierVersions | undefined): Gate {
  if (versions === undefined) return gate('classifier-changed', true, 'version not tracked');
  const { before, after, now } = versions;
  if (before === null || after === null || now === null) {
    return gate('classifier-changed', false, 'version unknown at some time');
  }
  const same = before === after && after === now;
  return gate(
    'classifier-changed',
    same,
    same ? 'unchanged' : 'changed: rates before and after do not compare',
  );
}

function guardGate({ expr, holds }: GuardResult): Gate {
  return gate(
    'guard-failed',
    holds === true,
    `${expr}: ${holds === 'unknown' ? 'unknown' : holds ? 'holds' : 'fails'}`,
  );
}

/** Every gate, in the order in which they are shown. Comparisons are written so that NaN closes a gate. */
export function evidenceGates(
  input: JudgeInput,
  exposure: Exposure,
  blocks: number,
  observedMs: number,
): Gate[] {
  const { counts, options } = input;
  const problems = [...input.problems, ...(counts?.problems ?? [])];
  if (counts === null && problems.length === 0) {
    problems.push({ gate: 'query-failed', detail: 'no counts' });
  }
  const total = exposure.total ?? 0;
  const harmful = counts?.harmful ?? 0;
  if (![total, harmful, counts?.requests ?? 0].every(Number.isFinite)) {
    problems.push({ gate: 'not-a-number', detail: 'counts are not finite' });
  }
  const newestMs = counts?.newestSampleMs ?? null;
  const ageMs = newestMs === null ? Number.NaN : input.atMs - newestMs;
  const { maxSampleAgeMs } = options;

  return [
    ...reportedGates(problems),
    gate('impossible-counts', harmful <= total, `${harmful} harmful of ${total}`),
    gate('no-classified-outputs', total > 0, `${total} ${exposure.denominator}`),
    gate('minimum-exposure', total >= options.minExposure, `${total} of ${options.minExposure} needed`),
    gate('too-few-blocks', blocks >= options.minBlocks, `${blocks} of ${options.minBlocks} needed`),
    gate(
      'minimum-duration',
      observedMs >= options.minDurationMs,
      `${seconds(observedMs)} of ${seconds(options.minDurationMs)} needed`,
    ),
    ageGate(problems, ageMs, maxSampleAgeMs),
    coverageGate(counts, exposure, options.minCoverage),
    silenceGate(counts, exposure, maxSampleAgeMs),
    classifierGate(input.classifierVersions),
    ...input.guards.map(guardGate),
  ];
}
