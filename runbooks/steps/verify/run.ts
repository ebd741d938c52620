import { CancellationScope } from '@temporalio/workflow';
import type { VerificationSummary } from '../../../domain/incident.ts';
import {
  commandWhenFree,
  type Patience,
  type StepContext,
  StepFailure,
  type StepRunner,
} from '../context.ts';
import type { VerifyInput } from './definition.ts';

/** Around the verification itself: whatever becomes of it, the share is taken away by then. */
const SHARE_MARGIN_MS = 5 * 60_000;

/** Another incident's rollback is over within minutes, and a cluster that does not answer comes back. */
const WHEN_FREE: Patience = {
  passes: new Set(['Conflict', 'Unavailable']),
  everyMs: 5_000,
  kind: 'breaker',
  waiting: 'The verification waits',
};

/** Takes the share away again: the revision is not proved, whatever the reason. Runs even when the step was cancelled. */
async function reopen(context: StepContext, reason: string): Promise<void> {
  await CancellationScope.nonCancellable(() => context.command({ kind: 'contain', reason }));
  context.record('breaker', 'The share was taken away again; all traffic is diverted', { breaker: 'open' });
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
        const forMs = input.timeoutMs + SHARE_MARGIN_MS;
        await commandWhenFree(context, { kind: 'half-open', share, forMs }, WHEN_FREE);
        context.record(
          'breaker',
          `Half-open: ${(share * 100).toFixed(0)}% of traffic goes to the rolled-back revision`,
          { breaker: 'half-open' },
        );
      }
      // The verdict is about this template and no other: the target refuses it for one that came meanwhile.
      const { templateHash } = await context.cluster.readTemplateHash({ target: context.target() });
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
