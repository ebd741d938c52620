import { renderSamples } from '../../../domain/ticket.ts';
import type { StepRunner } from '../context.ts';
import type { SampleInput } from './definition.ts';

/** Collects recent harmful outputs (never their text) and attaches the summary to the ticket once there is one. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as SampleInput;
    const toMs = context.nowMs();
    // Tried again hours later, when their store is back, it still looks back to before the incident.
    const beganMs = context.view().milestones.triggered ?? toMs;
    const samples = await context.vendors.collectSamples({
      incidentId: context.incidentId,
      source: input.from,
      target: context.target(),
      fromMs: Math.min(beganMs, toMs) - input.windowMs,
      toMs,
      limit: input.limit,
    });
    context.keep({ samples });
    const kept = samples.items.filter((item) => item.kept).length;
    const texts = kept === 0 ? 'no text kept' : `${kept} texts kept, redacted and encrypted`;
    context.record('evidence', `Sampled ${samples.count} recent harmful outputs (${texts})`, {
      byCategory: samples.byCategory,
      ...(samples.malformed !== undefined && { malformed: samples.malformed }),
    });
    if (samples.textsProblem !== undefined)
      context.record(
        'evidence',
        `${kept === 0 ? 'No texts were kept' : 'Not every text was kept'}: ${samples.textsProblem}`,
      );
    if (input.attachTo !== undefined) await attach(context, input.attachTo, samples);
    return { count: samples.count };
  },
};

async function attach(
  context: Parameters<StepRunner['run']>[0],
  ticketStep: string,
  samples: Parameters<typeof renderSamples>[0],
): Promise<void> {
  const status = await context.stepEnded(ticketStep);
  const key = context.outputsOf(ticketStep)?.key;
  if (status !== 'succeeded' || typeof key !== 'string') {
    context.record('evidence', `The sample summary was not attached: step ${ticketStep} was ${status}`);
    return;
  }
  await context.vendors.commentTicket({
    key,
    incidentId: context.incidentId,
    commentKey: `${context.step.id}-${context.round}`,
    bodyMarkdown: renderSamples(samples),
  });
  context.record('evidence', 'The sample summary is attached to the ticket');
}
