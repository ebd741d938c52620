import type { Breaker } from './breaker.ts';
import type { SignedDecision } from './decision.ts';
import type { FailureType } from './failure.ts';
import type {
  NoRollback,
  PlanApproval,
  Preapproval,
  RollbackPlan,
  RollbackTo,
  RolloutResult,
} from './rollback-plan.ts';
import type { GitOpsPolicy, MetricSpec } from './runbook.ts';
import type { Target } from './target.ts';
import type { HarmLimits } from './verification/judge-harm.ts';

/** What a revision must have served, by Prometheus, to count as good where the ledger knows nothing. */
export interface ServedCriteria {
  forMs: number;
  minClassified: number;
  harmRateBelow: number;
  metrics: Record<string, MetricSpec>;
}

/** A target that is watched while no incident looks at it; the guide's numbers are the configuration's defaults. */
export interface WatchSpec {
  fallback?: string;
  limits: HarmLimits;
  windowMs: number;
  /** Answers when it trips. */
  runbook: string;
  /** After it tripped: how long until a revision that is proved is tried again. */
  recoveryMs: number;
  metrics: Record<string, MetricSpec>;
  /** The watch ends unless it is asked for again by then. */
  untilMs: number;
}

export type TargetAction =
  /** Send all traffic away: to the fallback, or block it where there is none. */
  | {
      kind: 'divert';
      fallback?: string;
      reason: string;
      /** How the fallback's own harm is measured, before and while it serves; absent: it is not. */
      fallbackHarm?: { limits: HarmLimits; metrics: Record<string, MetricSpec> };
    }
  /** Take back what was let in: to where the rest of the traffic goes, watched as before. */
  | { kind: 'contain'; reason: string }
  /**
   * Let a share back, for verification only; refused while the running revision is known bad.
   * `forMs`: taken away again by then, whatever has become of the verification.
   */
  | { kind: 'half-open'; share: number; forMs: number }
  /** Give a share back, 1: close the breaker. Refused unless the running revision is verified good and capacity is ready. */
  | { kind: 'restore'; share: number }
  /** A person says that the incident's alarm was wrong: its traffic goes back, all of it, and it lets go. */
  | { kind: 'clear'; reason: string; ofTrip: boolean }
  /** People wrote the breaker with a kubeconfig alone: take over what contains. */
  | { kind: 'adopt' }
  /** Trip by itself from now on, without an incident. */
  | { kind: 'watch'; spec: WatchSpec }
  | {
      kind: 'plan-rollback';
      to: RollbackTo;
      approval: PlanApproval;
      gitops: GitOpsPolicy;
      served: ServedCriteria;
      /** Nothing follows from it: the incident does not hold the target. */
      rehearsal?: boolean;
    }
  | {
      kind: 'rollback';
      plan: RollbackPlan;
      step: string;
      decisions: SignedDecision[];
      preapproved?: Preapproval;
      rolloutTimeoutMs?: number;
    }
  /** What a verification found of a template; refused when another one runs by now. */
  | { kind: 'record-verdict'; verdict: 'verified-good' | 'known-bad'; templateHash: string; reason: string }
  | {
      kind: 'override';
      force: 'open' | 'closed' | 'hold' | 'none';
      reason: string;
      person: string;
      forMs: number;
    }
  /** The incident lets go. */
  | { kind: 'release' }
  /** A command that nobody wants any more: dropped where it has not begun, stopped where that is still possible. */
  | { kind: 'withdraw'; commandId: string };

export interface TargetCommand {
  /** Idempotency key: the same id is executed once and answered again. */
  id: string;
  target: Target;
  incidentId: string;
  /** Workflow id to answer to; absent: nobody waits. */
  replyTo?: string;
  action: TargetAction;
}

export type TargetResult =
  /** `heldBy`: incidents that keep it from closing. */
  | { kind: 'breaker'; breaker: Breaker; changed: boolean; note?: string; heldBy?: string[] }
  | { kind: 'plan'; plan: RollbackPlan; breaker: Breaker }
  | { kind: 'no-plan'; none: NoRollback }
  | {
      kind: 'rolled-back';
      applied: 'patched' | 'already-there';
      approvedBy: string[];
      rollout: RolloutResult;
      atMs: number;
    }
  | { kind: 'done' };

export type TargetReply =
  | { commandId: string; ok: true; result: TargetResult }
  | { commandId: string; ok: false; failure: { type: FailureType; message: string } };

/** Which lane of the target's actor runs an action: one command at a time in each. */
export function laneOf(action: TargetAction): 'traffic' | 'deployment' {
  switch (action.kind) {
    case 'plan-rollback':
    case 'rollback':
    case 'record-verdict':
      return 'deployment';
    default:
      return 'traffic';
  }
}
