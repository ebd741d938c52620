import { generateKeyPairSync, sign } from 'node:crypto';
import type { MeasurementActivities } from '../../activities/contract.ts';
import { fail } from '../../activities/failure.ts';
import { verifyApprovals } from '../../activities/kubernetes/verify-approvals.ts';
import { findPreapproval, verifyPreapproval } from '../../activities/kubernetes/verify-preapproval.ts';
import type { Breaker } from '../../domain/breaker.ts';
import { type Decision, decisionText, type SignedDecision } from '../../domain/decision.ts';
import type { Preapproval } from '../../domain/rollback-plan.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { targetKey } from '../../domain/target.ts';
import type { ActivityInput } from './activities.ts';
import type { Cluster } from './cluster.ts';

const EDGE_KEY = 'simulation';

/** What the worker that patches looks at for itself. */
interface Surroundings {
  cluster: Cluster;
  runbook: CompiledRunbook;
  breaker: Breaker | undefined;
  nowMs: number;
  evaluate: MeasurementActivities['evaluate'];
}

/** The edge's signatures, and the checks of the worker that patches: the real ones as far as they need no cluster. */
export class Approvals {
  /** Never shown: what is signed is the same each time. */
  readonly #keys = generateKeyPairSync('ed25519');
  #automaticRollbackMs: number | undefined;

  sign(decision: Decision): SignedDecision {
    const signature = sign(null, Buffer.from(decisionText(decision)), this.#keys.privateKey);
    return { decision, keyId: EDGE_KEY, signature: signature.toString('base64') };
  }

  /** @returns who approved. @throws Unauthorized, Refused as the real activity. */
  async verify(input: ActivityInput<'applyRollback'>, around: Surroundings): Promise<string[]> {
    const { plan, preapproved } = input;
    const { cluster, nowMs } = around;
    const { mode } = cluster.facts();
    if (mode === 'observe')
      throw fail('Refused', `${targetKey(plan.target)} is in mode observe: nothing is changed there`);
    if (preapproved) return this.#verifyPreapproval(input, preapproved, around);
    const keys = new Map([[EDGE_KEY, this.#keys.publicKey]]);
    const allowExpired = plan.to.templateHash === cluster.deployedHash;
    return verifyApprovals({ ...input, keys, nowMs }, { allowExpired });
  }

  /** With what the simulated worker sees itself: nothing that came through Temporal is believed. */
  async #verifyPreapproval(
    input: ActivityInput<'applyRollback'>,
    claimed: Preapproval,
    { cluster, runbook, breaker, nowMs, evaluate }: Surroundings,
  ): Promise<string[]> {
    const preapprovals = {
      knownRunbook: (hash: string) => (hash === runbook.hash ? runbook : undefined),
      evaluate,
      readBreaker: async () => ({ breaker, drift: [], problems: [] }),
    };
    const found = findPreapproval(preapprovals, claimed, input);
    await verifyPreapproval({
      found,
      plan: input.plan,
      facts: cluster.facts(),
      lastMs: this.#automaticRollbackMs,
      nowMs,
      planRollback: (wanted) => cluster.planRollback(wanted, nowMs),
    });
    this.#automaticRollbackMs = nowMs;
    return [found.approvedBy];
  }
}
