/** Workloads that can be rolled back: they keep the templates that they had. Rollout: argoproj.io/v1alpha1. */
export const WORKLOAD_KINDS = ['Deployment', 'StatefulSet', 'Rollout'] as const;

export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];

/** What an incident acts on. */
export interface Target {
  cluster: string;
  namespace: string;
  kind: WorkloadKind;
  name: string;
}

/** `cluster/namespace/Kind/name`: the one spelling used in ids, search attributes and messages. */
export function targetKey(target: Target): string {
  return `${target.cluster}/${target.namespace}/${target.kind}/${target.name}`;
}

/** A target that the alert's labels resolved to, or why they did not (the incident then needs a human). */
export type TargetResolution = { ok: true; target: Target } | { ok: false; reason: string };

/**
 * What Firebreak may do to a target.
 * - observe: everything runs, each mutation becomes a recorded "would have" (the default: nobody installs
 *   autonomous mutation first);
 * - approve: mutations that a runbook guards by an approval wait for people;
 * - auto: pre-approvals are honoured as well.
 */
export type Mode = 'observe' | 'approve' | 'auto';

export const MODES: readonly Mode[] = ['observe', 'approve', 'auto'];

/** Annotation on the workload that sets its mode; it wins over the namespace's mode in the configuration. */
export const MODE_ANNOTATION = 'firebreak.dev/mode';
/** Revisions older than one whose template carries this annotation are never rolled back to. */
export const ROLLBACK_BARRIER_ANNOTATION = 'firebreak.dev/rollback-barrier';
/** Owner, as an annotation (a Kubernetes label value cannot hold `@`) or, read too, as a label. */
export const OWNER_KEY = 'ai.rmf/owner';
export const RISK_TIER_KEY = 'ai.rmf/risk-tier';

/** Facts about the target that expressions, plans and pages use. Read from the cluster, never from alert text. */
export interface TargetFacts {
  exists: boolean;
  owner?: string;
  riskTier?: string;
  mode: Mode;
  /** Main container images of the pod template, in order. */
  images: string[];
  revision?: number;
  /** Pods that are wanted. */
  replicas?: number;
  /** Pods that are ready, of whatever revision. */
  readyReplicas?: number;
}
