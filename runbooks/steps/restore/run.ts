import { StepFailure, type StepRunner } from '../context.ts';

/** Closes the breaker. The target refuses while the revision that runs is not verified. */
export const run: StepRunner = {
  async run(context) {
    const result = await context.command({ kind: 'restore' });
    if (result.kind !== 'breaker')
      throw new StepFailure('InvalidInput', `the target answered ${result.kind} to a restore`);
    if (result.breaker.state !== 'closed') {
      throw new StepFailure('Conflict', result.note ?? `the breaker is still ${result.breaker.state}`);
    }
    context.record('breaker', result.note ?? 'All traffic is back on the target; the breaker is closed');
    context.reach('restored');
    return { breaker: result.breaker.state };
  },
};
