/**
 * What verification takes and gives: plain JSON, so that it passes through workflow history and records
 * unchanged.
 */

/** One series of a Prometheus matrix, as a range selector in an instant query gives it: raw samples. */
export interface RawSeries {
  metric: Record<string, string>;
  /** [Unix seconds, value as text], ascending. */
  values: [seconds: number, value: string][];
}

export interface CountWindow {
  /** Counting starts here: Prometheus' own time, when the last old pod was gone, plus lags. */
  t0Ms: number;
  /** Later samples are ignored. */
  untilMs: number;
  /** When each pod started, by the value of the series' `pod` label; missing: unknown. */
  podStartedAtMs: Record<string, number>;
  /** Width of a block; default: the scrape interval as seen in the samples. */
  blockMs?: number;
  /**
   * A baseline that is older than one scrape before T0 is none: what was counted since may have happened before T0. Such a
   * series counts from its first sample after T0 on.
   */
  freshBaseline?: boolean;
  /** Labels by which Prometheus replicas tell their copies of a series apart: copies are made one. */
  replicaLabels?: readonly string[];
}

/**
 * Why evidence cannot be used, by the name of the gate it closes. `detail` holds no text of labels or models.
 */
export interface EvidenceProblem {
  gate: 'query-failed' | 'partial-response' | 'not-a-number' | 'duplicate-series' | 'sample-age';
  detail: string;
}

/** Increments of one counter since T0, over all its series. */
export interface CounterIncrements {
  total: number;
  /**
   * [time of the sample that showed it in Unix milliseconds, amount], by series; zero increments are left
   * out.
   */
  increments: [tMs: number, amount: number][];
  /** Series with a sample at or before `untilMs`, and those of them with one after T0. */
  seriesCount: number;
  liveSeriesCount: number;
  /** Newest sample, and newest sample that showed an increment, after T0. */
  newestSampleMs: number | null;
  newestIncrementMs: number | null;
  problems: EvidenceProblem[];
}

export interface CounterSeries {
  harmful: RawSeries[];
  classified: RawSeries[];
  /** Absent: the runbook names no requests counter. */
  requests?: RawSeries[];
}

export interface Block {
  startMs: number;
  harmful: number;
  classified: number;
  requests: number;
}

export interface CollectedCounts {
  t0Ms: number;
  harmful: number;
  /** null: there is no such series. */
  classified: number | null;
  /** null: there is no such series, or no such counter was asked for. */
  requests: number | null;
  blocks: Block[];
  blockMs: number;
  /** Newest sample of the counter that is furthest behind; null when one of them has none after T0. */
  newestSampleMs: number | null;
  newestClassifiedIncrementMs: number | null;
  newestRequestIncrementMs: number | null;
  /** Series with samples after T0. */
  liveSeries: { harmful: number; classified: number; requests: number };
  problems: EvidenceProblem[];
}

export interface GuardResult {
  /** As the runbook writes it. */
  expr: string;
  holds: boolean | 'unknown';
}

/** Versions of the harm classifier: at the alert, after the rollback, and now. null: could not be told. */
export interface ClassifierVersions {
  before: string | null;
  after: string | null;
  now: string | null;
}

export interface JudgeOptions {
  /** The harm rate to be below, in (0, 1). */
  threshold: number;
  /** 1 - alpha, in (0, 1). */
  confidence: number;
  /** Least number of outputs that were looked at, before deflation. */
  minExposure: number;
  /**
   * Least number of blocks with classified outputs; at most 120, since long verifications get wider blocks.
   */
  minBlocks: number;
  /** Least time from T0 to the newest sample. */
  minDurationMs: number;
  /**
   * Oldest that the newest sample may be; also how long the classifier may be silent while requests are
   * served.
   */
  maxSampleAgeMs: number;
  /** Least classified / requests; 0 where there is no requests counter to compare with. */
  minCoverage: number;
  /** A known design effect, or `estimate`; never below 1. */
  designEffect: number | 'estimate';
  /** Where no classified series exists, rate = harmful / requests. The verdict shows it. */
  allowRequestsAsDenominator: boolean;
}

export interface JudgeInput {
  /** null: the query failed. */
  counts: CollectedCounts | null;
  /** Time of the evaluation, by Prometheus' clock. */
  atMs: number;
  guards: GuardResult[];
  /** Problems of the queries themselves; those found in samples are in `counts`. */
  problems: EvidenceProblem[];
  /** Absent: the version is not tracked. */
  classifierVersions?: ClassifierVersions;
  options: JudgeOptions;
}

/** A gate is named for what is wrong when it is not ok. */
export type GateName =
  | EvidenceProblem['gate']
  | 'impossible-counts'
  | 'no-classified-outputs'
  | 'minimum-exposure'
  | 'minimum-duration'
  | 'too-few-blocks'
  | 'sample-age'
  | 'coverage'
  | 'classifier-silent'
  | 'classifier-changed'
  | 'guard-failed';

export interface Gate {
  name: GateName;
  ok: boolean;
  detail: string;
}

export interface Verdict {
  outcome: 'recovered' | 'not-recovered' | 'undecided';
  /** Every gate, and one `guard-failed` for each guard. */
  gates: Gate[];
  harmful: number;
  /** The denominator, by `denominator`. */
  classified: number;
  denominator: 'classified' | 'requests';
  requests: number | null;
  /** Counts divided by the design effect: what was tested. */
  effective: { harmful: number; classified: number };
  designEffect: number;
  /**
   * Bounds of the harm rate, valid at every look: each at `confidence`, both together at
   * `intervalConfidence`.
   */
  interval: [low: number, high: number];
  intervalConfidence: number;
  threshold: number;
  confidence: number;
  /** log10 of the e-values; a side is proven from `needed` on. */
  evidenceLog10: { recovered: number; notRecovered: number; needed: number };
  blocks: number;
  /** From T0 to the newest sample. */
  observedMs: number;
}

export interface FinalVerdict extends Omit<Verdict, 'outcome'> {
  outcome: Verdict['outcome'] | 'insufficient-evidence';
  /** Names of what was missing, empty once decided; `test-undecided` when every gate was ok. */
  unmet: (GateName | 'test-undecided')[];
}
