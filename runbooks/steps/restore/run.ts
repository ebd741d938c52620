import { CancellationScope, sleep } from '@temporalio/workflow';
import type { FailureType } from '../../../domain/failure.ts';
import type { TargetResult } from '../../../domain/target-command.ts';
import { type StepContext, StepFailure, type StepRunner } from '../context.ts';
import type { RestoreInput } from './definition.ts';

/** Missing pods, and other incidents that hold the target, are looked at again this often. */
const TRY_AGAIN_EVERY_MS = 15_000;
/** Missing pods, another incident's rollback, a cluster that does not answer: all of them pass. */
const PASSES: ReadonlySet<FailureType> = new Set(['Conflict', 'Unavailable']);
/** What the target served lately: the guide's window. */
const HARM_WINDOW_MS = 5 * 60_000;

type BreakerResult = Extract<TargetResult, { kind: 'breaker' }>;

const percent = (share: number): string => `${Math.round(share * 100)}%`;

/** Closes the breaker in steps. The target refuses while the revision that runs is not verified. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as RestoreInput;
    for (const share of input.steps) {
      const result = await giveBack(context, share);
      if (result.breaker.state === 'closed') return closed(context, result);
      context.record('breaker', `${percent(share)} of the traffic is back on the target`, {
        breaker: 'half-open',
      });
      await sleep(input.everyMs);
      await refuseHarm(context, input, result.breaker.sinceMs);
    }
    const result = await giveBack(context, 1);
    if (result.breaker.state !== 'closed') {
      throw new StepFailure('Conflict', result.note ?? `the breaker is still ${result.breaker.state}`);
    }
    return closed(context, result);
  },
};

function closed(context: StepContext, result: BreakerResult): Record<string, unknown> {
  const text = result.note ?? 'All traffic is back on the target; the breaker is closed';
  context.record('breaker', text, { breaker: 'closed' });
  context.reach('restored');
  return { breaker: result.breaker.state };
}

/** Asks until the pods are ready and no other incident holds the target; the step's timeout ends it. */
async function giveBack(context: StepContext, share: number): Promise<BreakerResult> {
  let told = '';
  for (;;) {
    let waitsFor: string;
    try {
      const result = await context.command({ kind: 'restore', share });
      if (result.kind !== 'breaker')
        throw new StepFailure('InvalidInput', `the target answered ${result.kind} to a restore`);
      if (result.heldBy === undefined) return result;
      waitsFor = result.note ?? `held by ${result.heldBy.join(', ')}`;
    } catch (error) {
      if (!(error instanceof StepFailure) || !PASSES.has(error.type)) throw error;
      waitsFor = error.message;
    }
    if (waitsFor !== told) context.record('breaker', `Restoring waits: ${waitsFor}`);
    told = waitsFor;
    await sleep(TRY_AGAIN_EVERY_MS);
  }
}

/** More traffic can bring back what a share did not show. What is not known is waited for, until the step's timeout. */
async function refuseHarm(
  context: StepContext,
  { harmRateBelow, minExposure }: RestoreInput,
  /** What was served before is the bad revision's, or a smaller share's. */
  sinceMs: number,
): Promise<void> {
  for (let told = false; ; told = true) {
    const look = await context.cluster.judgeHarm({
      target: context.target(),
      metrics: context.runbook.metrics,
      windowMs: HARM_WINDOW_MS,
      sinceMs,
      limits: { harmRate: harmRateBelow, minExposure },
    });
    if (look.verdict === 'within') return;
    if (look.verdict === 'exceeded') return takeBack(context, look.reasons.join('; '));
    if (!told) context.record('breaker', `Restoring waits: ${look.reasons.join('; ')}`);
    await sleep(TRY_AGAIN_EVERY_MS);
  }
}

async function takeBack(context: StepContext, seen: string): Promise<never> {
  const reason = `incident ${context.incidentId}: harm came back with the traffic`;
  await CancellationScope.nonCancellable(async () => {
    await context.command({ kind: 'contain', reason });
    const { templateHash } = await context.cluster.readTemplateHash({ target: context.target() });
    await context.command({ kind: 'record-verdict', verdict: 'known-bad', templateHash, reason: seen });
  });
  context.record('breaker', 'Harm came back with the traffic; all of it is diverted again', {
    breaker: 'open',
  });
  throw new StepFailure('PreconditionFailed', `Harm came back with the traffic (${seen})`, 'not-recovered');
}
