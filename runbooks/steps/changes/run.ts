import type { StepRunner } from '../context.ts';
import type { ChangesInput } from './definition.ts';

/** Lists what changed around the onset of harm; shown above the Approve button. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as ChangesInput;
    const found = await context.cluster.listChanges({
      target: context.target(),
      sinceMs: context.nowMs() - input.windowMs,
    });
    const lines = found.changes.map((change) => `${new Date(change.atMs).toISOString()} ${change.what}`);
    context.record('evidence', `${lines.length} change(s) around the onset of harm`, { changes: lines });
    return { changes: lines };
  },
};
