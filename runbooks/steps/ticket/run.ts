import { renderTicket } from '../../../domain/ticket.ts';
import { ticketStatus } from '../../../domain/ticket-status.ts';
import type { StepRunner } from '../context.ts';
import type { TicketInput } from './definition.ts';

/** A cluster that does not answer must not hold up the ticket. */
const FACTS_WITHIN_MS = 5_000;

/** Opens the incident's ticket at once; samples and the outcome are added as comments when they are there. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as TicketInput;
    // The ticket is opened at once, with the model's images where the cluster tells them soon.
    const facts = context.view().target ? await context.factsWithin(FACTS_WITHIN_MS) : undefined;
    const text = renderTicket(context.view(), facts?.images ?? [], context.nowMs());
    const opened = await context.vendors.openTicket({
      incidentId: context.incidentId,
      title: text.title,
      status: ticketStatus(context.view()),
      bodyMarkdown: text.body,
      labels: input.labels,
    });
    context.keep({ ticketUrl: opened.url });
    context.record('evidence', `Ticket ${opened.created ? 'opened' : 'found'}: ${opened.url}`);
    return { url: opened.url, key: opened.key };
  },
};
