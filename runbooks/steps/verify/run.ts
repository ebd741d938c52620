import { CancellationScope, sleep } from '@temporalio/workflow';
import type { FailureType } from '../../../domain/failure.ts';
import type { VerificationSummary } from '../../../domain/incident.ts';
import { type StepContext, StepFailure, type StepRunner } from '../context.ts';
import type { VerifyInput } from './definition.ts';

/** Around the verification itself: whatever becomes of it, the share is taken away by then. */
const SHARE_MARGIN_MS = 5 * 60_000;

/** Another incident's rollback, or a cluster that does not answer: both pass. */
const PASSES: ReadonlySet<FailureType> = new Set(['Conflict', 'Unavailable']);
/** Another incident's rollback is over within minutes. */
const TRY_AGAIN_EVERY_MS = 5_000;

/** Takes the share away again: the revision is not proved, whatever the reason. Runs even when the step was cancelled. */
async function reopen(context: StepContext, reason: string): Promise<void> {
  await CancellationScope.nonCancellable(() => context.command({ kind: 'contain', reason }));
  context.record('breaker', 'The share was taken away again; all traffic is diverted', { breaker: 'open' });
}

/** Lets the share in as soon as nobody changes the deployment any more; the step's timeout ends the waiting. */
async function letIn(context: StepContext, share: number, forMs: number): Promise<void> {
  for (let told = false; ; told = true) {
    try {
      await context.command({ kind: 'half-open', share, forMs });
      return;
    } catch (error) {
      if (!(error instanceof StepFailure) || !PASSES.has(error.type)) throw error;
      if (!told) context.record('breaker', `The verification waits: ${error.message}`);
    }
    await sleep(TRY_AGAIN_EVERY_MS);
  }
}

function describe(result: VerificationSummary): string {
  const rate =
    result.classified === 0
      ? 'no classified outputs'
      : `${result.harmful} harmful of ${result.classified} classified`;
  return `${result.outcome}: ${rate}, threshold ${(result.threshold * 100).toFixed(2)}%, after ${result.seconds.toFixed(0)} s${result.unmet.length > 0 ? `; not satisfied: ${result.unmet.join(', ')}` : ''}`;
}

/**
 * Lets a share of traffic back (where any was diverted), counts, and gives a verdict. Only `recovered` succeeds; anything
 * else takes the share away again and needs a human.
 */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as VerifyInput;
    // A diversion that is still being measured must not be disturbed: what it would see then is our own share.
    for (const step of context.view().steps) {
      if (step.uses === 'divert' && step.status === 'running') await context.stepEnded(step.id);
    }
    const before = context.view().breaker;
    const diverted = before !== undefined && before.state !== 'closed';
    const share = diverted ? input.share : 1;
    let proved = false;
    try {
      if (diverted) {
        await letIn(context, share, input.timeoutMs + SHARE_MARGIN_MS);
        context.record(
          'breaker',
          `Half-open: ${(share * 100).toFixed(0)}% of traffic goes to the rolled-back revision`,
          { breaker: 'half-open' },
        );
      }
      // The verdict is about this template and no other: the target refuses it for one that came meanwhile.
      const { templateHash } = await context.cluster.takeSnapshot({ target: context.target() });
      const result = await context.verify({
        options: {
          threshold: input.harmRateBelow,
          confidence: input.confidence,
          minExposure: input.minExposure,
          minBlocks: input.minBlocks,
          minDurationMs: input.minDurationMs,
          maxSampleAgeMs: input.maxSampleAgeMs,
          minCoverage: input.minCoverage,
          designEffect: input.designEffect,
          guards: input.guards,
          allowRequestsAsDenominator: input.allowRequestsAsDenominator,
        },
        share,
        timeoutMs: input.timeoutMs,
        pollEveryMs: input.pollEveryMs,
        classifierLagMs: input.classifierLagMs,
      });
      context.keep({ verification: result });
      await context.keepHarmHistory();
      context.record('verification', describe(result), { ...result });
      if (result.outcome !== 'recovered') {
        if (result.outcome === 'not-recovered') {
          await context.command({
            kind: 'record-verdict',
            verdict: 'known-bad',
            templateHash,
            reason: describe(result),
          });
        }
        throw new StepFailure(
          'PreconditionFailed',
          `Not proved healthy: ${describe(result)}`,
          result.outcome,
        );
      }
      await context.command({
        kind: 'record-verdict',
        verdict: 'verified-good',
        templateHash,
        reason: describe(result),
      });
      proved = true;
      context.reach('recovered');
      return { ...result };
    } finally {
      if (!proved && diverted) await reopen(context, `incident ${context.incidentId}: recovery not proved`);
    }
  },
};
