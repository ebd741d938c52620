import type { PlanApproval } from './rollback-plan.ts';
import type { Target } from './target.ts';

/** Kinds of objects whose sync can be suspended: Argo CD's Application, Flux' Kustomization and HelmRelease. */
export const GITOPS_KINDS = ['Application', 'Kustomization', 'HelmRelease'] as const;

export type GitOpsKind = (typeof GITOPS_KINDS)[number];

export interface GitOpsRef {
  kind: GitOpsKind;
  namespace: string;
  name: string;
}

/** Where the tool takes the workload from, as its object says. Every field is somebody's text: one line, cut. */
export interface GitOpsSource {
  repository?: string;
  path?: string;
  /** Branch, tag or version that is followed. */
  follows?: string;
  /** What was last compared or applied. */
  revision?: string;
}

/** One object that is kept from syncing, and what it says now. */
export interface GitOpsSuspension extends GitOpsRef {
  uid: string;
  /** What is written, in words. */
  change: string;
  /** JSON of the field as it is now, given back when the sync resumes: `automated` of Argo CD, `suspend` of Flux. */
  was: string;
  source: GitOpsSource;
}

/** What a rollback does with the tools that take the template from Git: part of what people approve. */
export interface GitOpsPlan {
  policy: 'suspend';
  suspend: GitOpsSuspension[];
}

/** The change in Git that a rollback would take back, as far as the tool's object tells. */
export interface GitRevert {
  /** The object that takes the template from Git, for people: `Application argocd/models`. */
  owner: string;
  source: GitOpsSource;
  /** Images that only the template that runs has, and images that only the one to go back to has: they tell the two apart. */
  leave: string[];
  bringBack: string[];
}

/** One object that is suspended for a target, and what can be known about resuming it. */
export interface SuspensionState extends GitOpsRef {
  /**
   * `suspended`: it is. `resumed`: its sync was given back just now. `released`: this target needs it no more, others do.
   * `foreign`: something else switched the sync on again. `gone`: there is no such object, or no mark of ours on it.
   */
  state: 'suspended' | 'resumed' | 'released' | 'foreign' | 'gone';
  /** What Git has now, as the tool reports it. */
  gitRevision?: string;
  /** What Git had when the sync was suspended: it renders the template that was rolled back from. */
  badRevision?: string;
  /** The tool itself shows that Git renders what runs. Without it a person names the revision. */
  shown: boolean;
  why: string;
}

/** A person's wish to resume, to be approved like a rollback. */
export interface ResumePlan {
  target: Target;
  /** The Git revision, or version, that the person looked at: commit id of at least 7 digits, or the tool's own words. */
  revision: string;
  objects: (GitOpsRef & { uid: string; gitRevision: string })[];
  warnings: string[];
  approval: PlanApproval;
  /** SHA-256 (hex) over target, revision, objects and approval. */
  hash: string;
}
