import type { GitOpsActivities } from '../contract.ts';
import type { ClusterMap } from '../kubernetes/cluster-clients.ts';
import { readTrustedKeys, type TrustedEdgeKeys } from '../kubernetes/verify-approvals.ts';
import { checkSuspended, planResume, resumeSync } from './resume.ts';

/** Activities around what is kept from syncing while a rolled-back template stands; suspending is a part of rolling back. */
export function createGitOpsActivities(options: {
  clusters: ClusterMap;
  /** Public keys of the edges whose decisions count. */
  trustedEdgeKeys: TrustedEdgeKeys;
}): GitOpsActivities {
  const { clusters } = options;
  const keys = readTrustedKeys(options.trustedEdgeKeys);
  return {
    checkSuspended: (input) => checkSuspended(clusters, input),
    planResume: (input) => planResume(clusters, input),
    resumeSync: (input) => resumeSync({ clusters, keys }, input),
  };
}
