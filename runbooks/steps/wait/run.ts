import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import type { StepContext, StepRunner } from '../context.ts';
import type { WaitInput } from './definition.ts';

/** Without a condition one durable timer; with one, a measurement every `watchEvery`. The deadline is absolute. */
export const run: StepRunner = {
  async run(context) {
    const { forMs, until } = context.step.with as WaitInput;
    const deadlineMs = context.waitDeadline(forMs);
    const leftMs = Math.max(0, deadlineMs - context.nowMs());
    let early = false;
    if (until === undefined) await sleep(leftMs);
    else early = await comesTrue(context, until, leftMs);
    return { early, seconds: (context.nowMs() - (deadlineMs - forMs)) / 1_000 };
  },
};

/** Whether the condition comes true in time. A cluster that does not answer makes the wait no longer. */
async function comesTrue(context: StepContext, until: string, leftMs: number): Promise<boolean> {
  try {
    return await CancellationScope.withTimeout(leftMs, async () => {
      while (!(await holds(context, until))) await sleep(context.runbook.watchEveryMs);
      return true;
    });
  } catch (error) {
    if (!isCancellation(error) || CancellationScope.current().consideredCancelled) throw error;
    return false;
  }
}

/** Unknown ends no wait: it has an end of its own. */
async function holds(context: StepContext, until: string): Promise<boolean> {
  const measured = await context.measure(until);
  return measured.known && measured.value === true;
}
