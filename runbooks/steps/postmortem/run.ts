import { withTasks } from '../../../domain/postmortem/tasks.ts';
import type { StepRunner } from '../context.ts';

/** Drafts the postmortem and its action items; it is written anew when the incident is resolved. */
export const run: StepRunner = {
  async run(context) {
    await context.keepHarmHistory();
    const written = await context.records.writePostmortem({
      view: context.view(),
      draft: true,
      atMs: context.nowMs(),
    });
    // A task that a step made meanwhile is not in what was written: the next postmortem has it.
    context.keep({ actionItems: withTasks(written.actionItems, context.view().actionItems) });
    context.record('evidence', `Drafted the postmortem with ${written.actionItems.length} action items`, {
      sha256: written.sha256,
    });
    return { sha256: written.sha256, actionItems: written.actionItems.length };
  },
};
