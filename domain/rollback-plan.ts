import type { GitOpsPlan, GitRevert } from './gitops-plan.ts';
import type { Target } from './target.ts';

/** A revision of a Deployment, read from one of its ReplicaSets. */
export interface RevisionSummary {
  revision: number;
  replicaSet: string;
  images: string[];
  /** Image digests seen running (from pod statuses), when known. */
  digests: string[];
  /** SHA-256 of the canonical pod template without the pod-template-hash label: the ledger's key. */
  templateHash: string;
  createdAt: string;
  changeCause?: string;
  replicas: number;
  barrier: boolean;
  ledger?: 'verified-good' | 'known-bad';
  /** From Prometheus, when asked for: what it served while it ran. */
  served?: { classified: number; harmful: number; seconds: number };
}

export type RollbackTo = 'last-known-good' | 'previous' | { revision: number };

/** Who has to approve: part of the plan's hash, so that nobody can lower it afterwards. */
export interface PlanApproval {
  from: string[];
  count: number;
  /** One person with the break-glass right may approve alone. */
  breakGlass?: boolean;
}

/** One rollback that nobody was asked about in this time: if it was wrong, people look before the next one. */
export const AUTOMATIC_ROLLBACK_EVERY_MS = 24 * 3_600_000;

/** A plan that the runbook's version approves itself. */
export interface Preapproval {
  runbookHash: string;
  step: string;
}

/** What will be patched and why; people approve exactly this, by its hash. */
export interface RollbackPlan {
  target: Target;
  uid: string;
  /** From and to may be equal: already there. */
  from: RevisionSummary;
  to: RevisionSummary;
  requested: RollbackTo;
  /** Unified diff of the two templates, literal env values masked. */
  diff: string;
  /** What an undo does not restore, and what else a person should know. Not part of the hash. */
  warnings: string[];
  owners: string[];
  estimateMs?: number;
  /** All revisions, newest first: the rollout history, kept before anything changes. */
  history: RevisionSummary[];
  approval: PlanApproval;
  /** What is kept from syncing so that Git does not undo it; part of the hash. */
  gitops?: GitOpsPlan;
  /**
   * SHA-256 (hex) over canonical JSON of: target, uid, selector, strategy, from and to templates, approval
   * (`rollbackPlanHash` in activities/kubernetes).
   */
  hash: string;
}

/** Why a rollback is not possible; `candidates` lets people choose. */
export interface NoRollback {
  reason: string;
  /** The change to revert in Git (unified diff, literal env values masked), where the template comes from there. */
  revert?: string;
  /** What a pull request is made from, where the runbook asks for one (`gitops: pull-request`). */
  git?: GitRevert;
  candidates: RevisionSummary[];
}

/** How the rollout after the patch ended. */
export interface RolloutResult {
  outcome: 'complete' | 'deadline' | 'unschedulable' | 'superseded' | 'paused';
  detail: string;
  revision?: number;
  readyReplicas: number;
  wantedReplicas: number;
  seconds: number;
}
