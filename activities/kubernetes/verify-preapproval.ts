import {
  AUTOMATIC_ROLLBACK_EVERY_MS,
  type Preapproval,
  type RollbackPlan,
} from '../../domain/rollback-plan.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { type TargetFacts, targetKey } from '../../domain/target.ts';
import { rollbackRequest } from '../../runbooks/steps/rollback/run.ts';
import { targetFits } from '../../runbooks/target-fits.ts';
import type { KubernetesActivities, MeasurementActivities, TrafficActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { within } from '../within.ts';

/** When a runbook's version last rolled the Deployment back, as the patch that did it wrote down. */
export const AUTOMATIC_ROLLBACK_ANNOTATION = 'firebreak.dev/preapproved-rollback-at';
/** Of the 10 s that an attempt has, so that a slow Prometheus leads to people being asked and not to endless attempts. */
const VERIFIED_WITHIN_MS = 7_000;
const SHOWN_HASH = 12;

/** What a worker needs to believe a runbook's approval: nothing of it comes from Temporal. */
export interface Preapprovals {
  /** The runbook with this content hash, among those that this process has loaded. */
  knownRunbook(hash: string): CompiledRunbook | undefined;
  evaluate: MeasurementActivities['evaluate'];
  readBreaker: TrafficActivities['readBreaker'];
}

/** A step of a runbook that this worker has itself, and that may approve by itself. */
interface FoundPreapproval {
  runbook: CompiledRunbook;
  step: StepPlan;
  condition: string;
  /** Where it was found, and what its condition is measured with. */
  preapprovals: Preapprovals;
  /** Who approved, as it is recorded. */
  approvedBy: string;
}

function refused(why: string): Error {
  return fail('Unauthorized', `the runbook's approval does not count here: ${why}; people are needed`);
}

/**
 * The runbook and step that are said to have approved, from this worker's own files.
 * @throws Unauthorized, naming what is missing.
 */
export function findPreapproval(
  preapprovals: Preapprovals | undefined,
  claimed: Preapproval,
  { plan, step: stepId }: { plan: RollbackPlan; step: string },
): FoundPreapproval {
  const runbook = preapprovals?.knownRunbook(claimed.runbookHash);
  if (preapprovals === undefined || runbook === undefined) {
    const hash = claimed.runbookHash.slice(0, SHOWN_HASH);
    throw refused(`this worker has no runbook with hash ${hash} (was it changed, or is it not loaded here?)`);
  }
  const name = `runbook ${runbook.name} v${runbook.version}`;
  const step = runbook.steps.find(({ id }) => id === claimed.step);
  if (step === undefined || claimed.step !== stepId) throw refused(`${name} has no step ${stepId}`);
  if (step.uses !== 'rollback') throw refused(`step ${stepId} of ${name} is no rollback`);
  const condition = step.approval?.preapprovedWhen;
  if (condition === undefined) throw refused(`step ${stepId} of ${name} has no preapprovedWhen`);
  if (!targetFits(runbook, plan.target)) throw refused(`${name} is not about ${targetKey(plan.target)}`);
  return { runbook, step, condition, preapprovals, approvedBy: name };
}

/**
 * Checks, immediately before the patch, everything that lets a runbook's version approve: the mode, the last time, that no
 * diversion holds, that the runbook makes this very plan by what the cluster and Prometheus say, and that its condition
 * is known to hold now. The ledger of the target's workflow is not believed here: it is Temporal's.
 * @throws Unauthorized, naming what is missing; whatever reading the cluster throws.
 */
export async function verifyPreapproval(input: VerifyInput): Promise<void> {
  const { found, plan, facts, lastMs, nowMs } = input;
  const { target } = plan;
  if (facts.mode !== 'auto') throw refused(`${targetKey(target)} is in mode ${facts.mode}, not auto`);
  // Whatever cannot be read as a time counts as recent.
  if (lastMs !== undefined && !(nowMs - lastMs >= AUTOMATIC_ROLLBACK_EVERY_MS)) {
    throw refused(`${targetKey(target)} was rolled back without people less than 24 h ago`);
  }
  const { breaker } = await found.preapprovals.readBreaker({ target });
  if (breaker !== undefined && breaker.state !== 'closed') {
    throw refused(`its traffic is diverted (breaker ${breaker.state}), so there is time to ask`);
  }
  await within(Promise.all([refuseOtherPlan(input), refuseUnlessHolds(input)]), VERIFIED_WITHIN_MS, () =>
    refused(`it could not be checked within ${VERIFIED_WITHIN_MS / 1_000} s`),
  );
}

/** What is looked at, as the worker that patches sees it itself. */
interface VerifyInput {
  found: FoundPreapproval;
  plan: RollbackPlan;
  facts: TargetFacts;
  /** When a runbook's version last rolled the target back; NaN where that cannot be read. */
  lastMs: number | undefined;
  nowMs: number;
  planRollback: KubernetesActivities['planRollback'];
}

/** Nobody has signed the plan, so it has to be the one that the runbook makes. */
async function refuseOtherPlan({ found, plan, planRollback }: VerifyInput): Promise<void> {
  const { runbook, step } = found;
  const own = await planRollback({ target: plan.target, ledger: {}, ...rollbackRequest(runbook, step) });
  if ('none' in own) throw refused(`this worker plans no rollback (${own.none.reason})`);
  if (own.plan.hash !== plan.hash) {
    throw refused(
      `this worker plans another rollback, to revision ${own.plan.to.revision} instead of ${plan.to.revision}`,
    );
  }
}

async function refuseUnlessHolds({ found, plan, facts }: VerifyInput): Promise<void> {
  const { runbook, condition, preapprovals } = found;
  const { results } = await preapprovals.evaluate({
    target: plan.target,
    facts,
    metrics: runbook.metrics,
    expressions: { it: condition },
    // The compiler sees to it that a rollback's condition reads nothing of these (rule rollback/preapproval).
    context: {
      steps: {},
      inputs: runbook.inputs,
      incident: { severity: 'SEV4', round: 1, acknowledged: false, firing: 0 },
      alert: { labels: {} },
    },
  });
  const { it } = results;
  if (it === undefined || !it.known)
    throw refused(`${condition} is unknown (${it?.reason ?? 'not evaluated'})`);
  if (it.value !== true) throw refused(`it is not the case that ${condition}`);
}
