import type { StepRunner } from '../context.ts';

/** Keeps template hash, digests, configuration hashes and the rollout history before anything changes. */
export const run: StepRunner = {
  async run(context) {
    const taken = await context.cluster.takeSnapshot({ target: context.target() });
    context.record('evidence', `Kept a snapshot of revision ${taken.revision} and the rollout history`, {
      ...taken,
    });
    return { ...taken };
  },
};
