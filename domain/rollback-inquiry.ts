import type { Breaker } from './breaker.ts';
import type { IncidentView } from './incident.ts';
import type {
  NoRollback,
  PlanApproval,
  RevisionSummary,
  RollbackPlan,
  RolloutResult,
} from './rollback-plan.ts';
import type { Target, TargetFacts } from './target.ts';

/** What a person sees of a target, and of the rollback asked about, before anything is declared. Plain JSON. */

/** What revisions of the target served while they ran, by the name of the object that holds the revision. */
export type ServedByRevision = Record<string, { classified: number; harmful: number; seconds: number }>;

/** What the cluster says. Nothing of it was changed by asking. */
export interface TargetInquiry {
  target: Target;
  facts: TargetFacts;
  /** What would be approved, or why there is no such rollback. */
  answer: { plan: RollbackPlan } | { none: NoRollback };
  /** Newest first, with what each served where Prometheus tells; only those that could be chosen where no more is known. */
  history: RevisionSummary[];
  /** Why nothing is known of what they served. */
  servedProblem?: string;
  /** As it stands in the cluster, for gateways to read; absent: never written, so closed. */
  breaker?: Breaker;
  /** The rollout of what runs, as it is now; absent where it could not be read. */
  rollout?: RolloutResult;
}

/** Answer of `POST /api/v1/rollbacks/plan`. */
export interface RollbackInquiry extends TargetInquiry {
  runbook: { name: string; version: number; owner: string };
  /** Who would be asked, by the runbook. */
  approval: PlanApproval & { timeoutMs: number };
  /** What the target's actor knows; absent: it does not run, so nobody holds the target and nothing is known of revisions. */
  actor?: TargetActor;
  /** Incidents of this target that are open. */
  openIncidents: OpenIncident[];
}

export type OpenIncident = Pick<IncidentView, 'incidentId' | 'title' | 'state'> & { runbook: string };

/** What the target's actor says of itself. */
export interface TargetActor {
  breaker: Breaker;
  /** Incidents that hold the target. */
  holders: string[];
  ledger: Record<
    string,
    { verdict: 'verified-good' | 'known-bad'; atMs: number; incidentId: string; reason: string }
  >;
  override?: { person: string; reason: string; untilMs: number };
  frozen?: { person: string; reason: string; untilMs: number };
}

/** Answer of `POST /api/v1/rollbacks`. */
export interface DeclaredRollback {
  message: string;
  incidentId: string;
  /** The same request had declared it before. */
  duplicate: boolean;
  mode: TargetFacts['mode'];
}
