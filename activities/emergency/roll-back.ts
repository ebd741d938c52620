import { generateKeyPairSync, sign } from 'node:crypto';
import { type Decision, decisionText, type SignedDecision } from '../../domain/decision.ts';
import type { NoRollback, RollbackPlan, RollbackTo } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { createKubernetesActivities } from '../kubernetes/index.ts';

/**
 * A rollback by a person who has the rights in the cluster: the same plan, checks and patch as after an approval. The key
 * that approves is made here, trusted by nobody else, and gone with the process: what counts is the kubeconfig.
 */

/** Group of the one who has the kubeconfig. */
const GROUP = 'emergency';
const STEP = 'emergency';
const KEY_ID = 'emergency';
/** Between plan and patch a person reads and types a name. */
const APPROVED_FOR_MS = 15 * 60_000;
/** Nothing is asked of Prometheus, and no ledger is there: without either, only a person can say what is good. */
const SERVED = { forMs: 0, minClassified: 1, harmRateBelow: 1, metrics: {} };

export interface EmergencyRollback {
  /** Mutates nothing. */
  plan(to: Exclude<RollbackTo, 'last-known-good'>): Promise<{ plan: RollbackPlan } | { none: NoRollback }>;
  /** Patches as planned. Again: already there. */
  apply(
    plan: RollbackPlan,
    as: { id: string; person: string; reason: string },
  ): ReturnType<Activities['applyRollback']>;
  awaitRollout(plan: RollbackPlan, generation: number): ReturnType<Activities['awaitRollout']>;
}

type Activities = ReturnType<typeof createKubernetesActivities>;

export function createEmergencyRollback(clients: ClusterClients, target: Target): EmergencyRollback {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const activities = createKubernetesActivities({
    clusters: { [target.cluster]: clients },
    trustedEdgeKeys: { [KEY_ID]: publicKey },
  });
  const signed = (decision: Decision): SignedDecision => ({
    decision,
    keyId: KEY_ID,
    signature: sign(null, Buffer.from(decisionText(decision)), privateKey).toString('base64'),
  });
  return {
    plan: (to) =>
      activities.planRollback({
        target,
        to,
        ledger: {},
        approval: { from: [GROUP], count: 1 },
        gitops: 'refuse',
        served: SERVED,
      }),
    apply: (plan, { id, person, reason }) => {
      const issuedAtMs = Date.now();
      const decision: Decision = {
        decision: 'approve',
        incidentId: id,
        step: STEP,
        planHash: plan.hash,
        person,
        groups: [GROUP],
        reason,
        issuedAtMs,
        expiresAtMs: issuedAtMs + APPROVED_FOR_MS,
        accessVersion: 'kubeconfig',
        via: 'cli',
      };
      return activities.applyRollback({
        plan,
        incidentId: id,
        step: STEP,
        decisions: [signed(decision)],
        commandId: id,
      });
    },
    awaitRollout: (plan, generation) =>
      activities.awaitRollout({ target, templateHash: plan.to.templateHash, generation }),
  };
}
