import { targetKey } from '../../../domain/target.ts';
import type { StepRunner } from '../context.ts';
import type { PageInput } from './definition.ts';

/** Pages roles; succeeds when each was accepted by a channel. Acknowledgement and escalation go on in the paging workflow. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as PageInput;
    const view = context.view();
    await context.page({
      roles: input.roles,
      title: view.title,
      severity: view.severity,
      details: {
        incident: context.incidentId,
        'what to do': `firebreak incident show ${context.incidentId}`,
        runbook: `${view.runbook.name} v${view.runbook.version}`,
        target: view.target
          ? targetKey(view.target)
          : `none: ${view.targetProblem ?? 'the runbook names none'}`,
        state: view.state,
      },
      links: [],
      escalate: input.escalate,
      policy: input.policy,
    });
    // Where somebody acknowledged before any channel took it, nobody was paged and nobody has to be.
    if (context.view().pages.length > 0) context.reach('paged');
    return { roles: input.roles };
  },
};
