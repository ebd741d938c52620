import { generateKeyPairSync, sign } from 'node:crypto';
import type { MeasurementActivities } from '../../activities/contract.ts';
import { fail } from '../../activities/failure.ts';
import { verifyApprovals } from '../../activities/kubernetes/verify-approvals.ts';
import { findPreapproval } from '../../activities/kubernetes/verify-preapproval.ts';
import type { Breaker } from '../../domain/breaker.ts';
import { type Decision, decisionText, type SignedDecision } from '../../domain/decision.ts';
import { AUTOMATIC_ROLLBACK_EVERY_MS, type Preapproval } from '../../domain/rollback-plan.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { targetKey } from '../../domain/target.ts';
import { rollbackRequest } from '../../runbooks/steps/rollback/run.ts';
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
  #automaticRollbackMs = Number.NEGATIVE_INFINITY;

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

  /** As activities/kubernetes/verify-preapproval.ts does it: nothing that came through Temporal is believed. */
  async #verifyPreapproval(
    input: ActivityInput<'applyRollback'>,
    claimed: Preapproval,
    { cluster, runbook, breaker, nowMs, evaluate }: Surroundings,
  ): Promise<string[]> {
    const { target } = input.plan;
    const preapprovals = {
      knownRunbook: (hash: string) => (hash === runbook.hash ? runbook : undefined),
      evaluate,
      readBreaker: async () => ({ breaker }),
    };
    const { step, condition, approvedBy } = findPreapproval(preapprovals, claimed, input);
    const refused = (why: string) =>
      fail('Unauthorized', `the runbook's approval does not count here: ${why}; people are needed`);
    const facts = cluster.facts();
    if (facts.mode !== 'auto') throw refused(`${targetKey(target)} is in mode ${facts.mode}, not auto`);
    if (nowMs - this.#automaticRollbackMs < AUTOMATIC_ROLLBACK_EVERY_MS)
      throw refused(`${targetKey(target)} was rolled back without people less than 24 h ago`);
    if ((breaker?.state ?? 'closed') !== 'closed')
      throw refused('its traffic is diverted, so there is time to ask');
    const own = await cluster.planRollback({ target, ledger: {}, ...rollbackRequest(runbook, step) }, nowMs);
    if ('none' in own) throw refused(`this worker plans no rollback (${own.none.reason})`);
    if (own.plan.hash !== input.plan.hash) throw refused('this worker plans another rollback');
    const { results } = await evaluate({
      target,
      facts,
      metrics: runbook.metrics,
      expressions: { it: condition },
      // The compiler sees to it that a rollback's condition reads nothing of these.
      context: {
        steps: {},
        inputs: runbook.inputs,
        incident: { severity: 'SEV4', round: 1, acknowledged: false, firing: 0 },
        alert: { labels: {} },
      },
    });
    if (!results.it?.known) throw refused(`${condition} is unknown`);
    if (results.it.value !== true) throw refused(`it is not the case that ${condition}`);
    this.#automaticRollbackMs = nowMs;
    return [approvedBy];
  }
}
