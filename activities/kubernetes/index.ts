import type { KubernetesActivities } from '../contract.ts';
import { applyRollback } from './apply-rollback.ts';
import { awaitRollout } from './await-rollout.ts';
import type { ClusterMap } from './cluster-clients.ts';
import { listChanges } from './list-changes.ts';
import { planRollback, type ServedBy } from './plan-rollback.ts';
import { readTarget } from './read-target.ts';
import { readTemplateHash } from './read-template-hash.ts';
import { takeSnapshot } from './take-snapshot.ts';
import { readTrustedKeys, type TrustedEdgeKeys } from './verify-approvals.ts';
import type { Preapprovals } from './verify-preapproval.ts';

export { type ClusterClients, createClusterClients } from './cluster-clients.ts';
export type { ServedBy } from './plan-rollback.ts';
export { createPodReader, type PodReader } from './pod-reader.ts';
export { missingRights, RIGHTS } from './rights.ts';
export type { Preapprovals } from './verify-preapproval.ts';

export interface KubernetesOptions {
  /** Clients by cluster name. */
  clusters: ClusterMap;
  /** Public keys of the edges whose decisions count; without any, no rollback is ever applied. */
  trustedEdgeKeys: TrustedEdgeKeys;
  /** Absent: last-known-good is what the ledger knows, and nothing else. */
  servedBy?: ServedBy;
  /** Absent: no runbook approves anything by itself, and people are asked. */
  preapprovals?: Preapprovals;
}

export function createKubernetesActivities(options: KubernetesOptions): KubernetesActivities {
  const { clusters, servedBy, preapprovals } = options;
  const keys = readTrustedKeys(options.trustedEdgeKeys);
  return {
    readTarget: (input) => readTarget(clusters, input),
    readTemplateHash: (input) => readTemplateHash(clusters, input),
    takeSnapshot: (input) => takeSnapshot(clusters, input),
    listChanges: (input) => listChanges(clusters, input),
    planRollback: (input) => planRollback(clusters, servedBy, input),
    applyRollback: (input) => applyRollback({ clusters, keys, servedBy, preapprovals }, input),
    awaitRollout: (input) => awaitRollout(clusters, input),
  };
}
