/**
 * What a step type's implementation sees. Implementations are workflow code: deterministic, no I/O of their own, no
 * runtime zod; the incident workflow hands them everything through this interface.
 */
import { sleep } from '@temporalio/workflow';
import type {
  EndpointActivities,
  Evaluation,
  KubernetesActivities,
  MeasurementActivities,
  MetricReading,
  NotificationActivities,
  RecordActivities,
  RepositoryActivities,
  SampleActivities,
  TicketActivities,
  TrafficActivities,
  VerifyOptions,
} from '../../activities/contract.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import type { FailureType } from '../../domain/failure.ts';
import type { GitRevert } from '../../domain/gitops-plan.ts';
import type {
  IncidentView,
  Milestone,
  Outcome,
  StepStatus,
  TimelineKind,
  VerificationSummary,
} from '../../domain/incident.ts';
import type { PageRequest } from '../../domain/paging.ts';
import type { Preapproval, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import type { TargetAction, TargetResult } from '../../domain/target-command.ts';

/** A step that could not do its work. `outcome` is set where the failure decides how the incident ended so far. */
export class StepFailure extends Error {
  readonly type: FailureType;
  readonly outcome: Outcome | undefined;
  constructor(type: FailureType, message: string, outcome?: Outcome) {
    super(message);
    this.name = 'StepFailure';
    this.type = type;
    this.outcome = outcome;
  }
}

/** The exact thing that people approve. */
export interface Prepared {
  planHash: string;
  summary: string;
  warnings: string[];
  diff?: string;
  plan?: RollbackPlan;
}

export interface VerificationRequest {
  options: VerifyOptions;
  share: number;
  timeoutMs: number;
  pollEveryMs: number;
  classifierLagMs: number;
}

/** The parts of the view that steps write. */
export type Evidence = Partial<
  Pick<IncidentView, 'ticketUrl' | 'samples' | 'rollback' | 'verification' | 'actionItems' | 'harmHistory'>
>;

export interface StepContext {
  readonly step: StepPlan;
  readonly incidentId: string;
  readonly runbook: CompiledRunbook;
  /** Key under which every page of this round of the incident is grouped by vendors. */
  readonly dedupKey: string;
  /** A revision that a person chose when retrying, instead of the runbook's. */
  readonly chosenRevision: number | undefined;
  nowMs(): number;
  view(): IncidentView;
  /** @throws StepFailure where the alert's labels gave no usable target. */
  target(): Target;
  facts(): Promise<TargetFacts>;
  /** What is known of the target, waiting no longer than this. */
  factsWithin(timeoutMs: number): Promise<TargetFacts | undefined>;
  /** 1, and one more each time a new alert fired after mitigation. */
  readonly round: number;
  /** Another one each time the step is begun anew, by a person's retry or in a new round. */
  readonly attempt: number;
  outputsOf(step: string): Record<string, unknown> | undefined;
  /**
   * When a wait of this step ends, in epoch ms: `forMs` from the first call on, and the same after the incident went on in
   * a new run. From then on the step does nothing but wait: its run may be cut off and begun again at any moment.
   */
  waitDeadline(forMs: number): number;
  /** Resolves when the step has ended, however it ended. */
  stepEnded(step: string): Promise<StepStatus>;
  record(kind: TimelineKind, text: string, data?: Record<string, unknown>): void;
  reach(milestone: Milestone, atMs?: number): void;
  keep(evidence: Evidence): void;
  /** Keeps the harm rate over time, as far as it can be read in bounded time; a picture less otherwise. */
  keepHarmHistory(): Promise<void>;
  /** Sends the target's actor a command and waits for its answer. @throws StepFailure with the actor's reason. */
  command(action: TargetAction): Promise<TargetResult>;
  /** Opens a pull request, or says why it could not be. Takes minutes at most. */
  proposeRevert(
    git: GitRevert,
  ): Promise<
    Awaited<ReturnType<RepositoryActivities['proposeRevert']>> | { state: 'failed'; problem: string }
  >;
  /** Resolves when each role was accepted by one channel. */
  page(request: Omit<PageRequest, 'id' | 'dedupKey'> & { reason?: string }): Promise<void>;
  /** Waits until the target's traffic is at most `maxShare` of what it was. */
  awaitDiverted(
    maxShare: number,
    timeoutMs: number,
  ): Promise<{ effect: 'measured' | 'not-seen' | 'unknown'; atMs: number; detail: string }>;
  verify(request: VerificationRequest): Promise<VerificationSummary>;
  /** Evaluates CEL texts together, over one measurement. */
  evaluate(
    expressions: Record<string, string>,
  ): Promise<{ results: Record<string, Evaluation>; evidence: Record<string, MetricReading> }>;
  /** Measures one condition, in bounded time: what cannot be measured is unknown. */
  measure(expression: string): Promise<Evaluation>;
  /** Fills `${{ expression }}` in a text with values, as plain text on one line each. */
  fill(text: string): Promise<string>;
  readonly cluster: Pick<KubernetesActivities, 'takeSnapshot' | 'readTemplateHash' | 'listChanges'> &
    Pick<MeasurementActivities, 'judgeHarm'> &
    Pick<TrafficActivities, 'checkFallback'>;
  readonly vendors: TicketActivities & SampleActivities & NotificationActivities & EndpointActivities;
  readonly records: Pick<RecordActivities, 'writePostmortem'>;
}

/** What the step was approved on, where it needed an approval. */
export interface Approved {
  prepared: Prepared | undefined;
  decisions: SignedDecision[];
  /** Set where the runbook's version approved, and nobody was asked. */
  preapproved?: Preapproval;
}

export interface StepRunner {
  /** What a drill tries of it, changing nothing. @returns what was seen. @throws StepFailure where it would have failed. */
  rehearse?(context: StepContext): Promise<string>;
  /** Makes what people approve; mutates nothing. */
  prepare?(context: StepContext): Promise<Prepared>;
  /** @returns the step's outputs, plain JSON. */
  run(context: StepContext, approved: Approved): Promise<Record<string, unknown>>;
}

/** How often something is asked for again that another incident, or a cluster, holds up for a while. */
export interface Patience {
  passes: ReadonlySet<FailureType>;
  everyMs: number;
  /** What the timeline says once, with the reason. */
  kind: TimelineKind;
  waiting: string;
}

/** Sends a command until it is not refused for something that passes by itself; the step's timeout ends the waiting. */
export async function commandWhenFree(
  context: StepContext,
  action: TargetAction,
  { passes, everyMs, kind, waiting }: Patience,
): Promise<TargetResult> {
  for (let told = false; ; told = true) {
    try {
      return await context.command(action);
    } catch (error) {
      if (!(error instanceof StepFailure) || !passes.has(error.type)) throw error;
      if (!told) context.record(kind, `${waiting}: ${error.message}`);
    }
    await sleep(everyMs);
  }
}
