import type { StepRunner } from '../context.ts';
import type { ApprovalInput } from './definition.ts';

/**
 * A gate: asking, waiting and counting are the engine's. What is approved is this step of this version of the runbook, so
 * the hash is the runbook's. The values in the summary are what was known when people were asked; nothing is done with
 * them, and the text is made once for each time it is asked, so that everybody reads the same.
 */
export const run: StepRunner = {
  async prepare(context) {
    const input = context.step.with as ApprovalInput;
    return { planHash: context.runbook.hash, summary: await context.fill(input.summary), warnings: [] };
  },
  async run(context, { decisions, preapproved }) {
    if (preapproved) return { approvedBy: [`runbook ${context.runbook.name} v${context.runbook.version}`] };
    return { approvedBy: decisions.map(({ decision }) => decision.person) };
  },
};
