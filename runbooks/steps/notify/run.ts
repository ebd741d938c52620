import type { StepRunner } from '../context.ts';
import type { NotifyInput } from './definition.ts';

/** Tells a channel. The text is filled here and never read as a template, link or mention again. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as NotifyInput;
    const { title, severity } = context.view();
    const { reference } = await context.vendors.sendNotification({
      incidentId: context.incidentId,
      key: `${context.incidentId}.${context.round}.${context.step.id}.${context.attempt}`,
      channel: input.to,
      title,
      severity,
      text: await context.fill(input.text),
    });
    context.record('evidence', `Told ${input.to}`, { reference });
    return { reference };
  },
};
