import { ApplicationFailure } from '@temporalio/common';
import { plotReference } from '../../domain/harm-history/plot-reference.ts';
import { actionItemLabels, renderActionItem } from '../../domain/ticket-item.ts';
import { mayClose } from '../../domain/ticket-status.ts';
import type { PlottedView, TicketActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { renderHarmPlot } from '../plot/harm-plot.ts';
import type { RecordsStore } from '../records/store.ts';
import type { TicketFile, TicketSystem } from './system.ts';

export interface TicketOptions {
  system: TicketSystem;
  /** What happens to the ticket of an incident that is over: see `mayClose`. */
  onResolved: 'close' | 'leave';
  /** The vendor's id of an owner of action items; undefined where the owner is nobody there. */
  assigneeOf(owner: string): string | undefined;
  /** How people reach this server, for links. */
  publicUrl?: string | undefined;
  records: Pick<RecordsStore, 'postmortem'>;
}

/** @param options undefined where no ticket system is configured: then every call is Refused. */
export function createTicketActivities(options: TicketOptions | undefined): TicketActivities {
  if (options === undefined) {
    return {
      openTicket: refuse,
      commentTicket: refuse,
      updateTicket: refuse,
      fileActionItem: refuse,
      publishPostmortem: refuse,
    };
  }
  const { system, publicUrl } = options;
  return {
    openTicket: ({ bodyMarkdown, ...input }) => system.open({ ...input, markdown: bodyMarkdown }),

    async commentTicket({ bodyMarkdown, plot, ...input }) {
      const shown = plot && (await plotOf(plot, input.commentKey, publicUrl));
      return system.comment({
        ...input,
        markdown: shown === undefined ? bodyMarkdown : `${bodyMarkdown}\n\n${shown.reference}`,
        rest: "The whole text is in the incident's record.",
        files: shown === undefined ? [] : [shown.file],
      });
    },

    async updateTicket({ key, status, outcome }) {
      const closes = options.onResolved === 'close' && mayClose(outcome);
      // A section that cannot be written is no reason to leave the ticket of an incident that is over open.
      const [updated, closed] = await inTurn(
        () => system.update({ key, status }),
        async () => closes && system.close({ key, done: outcome === 'recovered' }),
      );
      return { changed: updated.changed, closed };
    },

    fileActionItem: ({ key, incidentId, item }) =>
      system.file({
        key,
        incidentId,
        itemId: item.id,
        title: item.title,
        markdown: renderActionItem(item, incidentId),
        labels: actionItemLabels(item),
        due: item.due,
        assignee: options.assigneeOf(item.owner),
      }),

    async publishPostmortem({ key, incidentId }) {
      const found = await options.records.postmortem(incidentId);
      if (found === undefined) throw fail('NotFound', `there is no postmortem of ${incidentId} yet`);
      return system.comment({
        key,
        incidentId,
        commentKey: 'postmortem',
        markdown: found.markdown,
        rest: postmortemReference(incidentId, publicUrl),
        files: [
          {
            name: `postmortem-${incidentId}.md`,
            type: 'text/markdown; charset=utf-8',
            content: found.markdown,
          },
        ],
      });
    },
  };
}

async function refuse(): Promise<never> {
  throw fail('Refused', 'no ticket system is configured: set tickets.github or tickets.jira');
}

/**
 * One after the other, also where the first fails.
 * @throws what can succeed on another attempt, if anything can: it brings both again.
 */
async function inTurn<A, B>(first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
  const results = [await settled(first), await settled(second)] as const;
  const errors = results.flatMap((result) => ('error' in result ? [result.error] : []));
  const [one, other] = results;
  if ('value' in one && 'value' in other) return [one.value, other.value];
  throw errors.find((error) => !(error instanceof ApplicationFailure && error.nonRetryable)) ?? errors[0];
}

async function settled<T>(work: () => Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

/** The plot as a file and as a reference; a plot that cannot be drawn leaves the numbers, which say the same. */
async function plotOf(
  view: PlottedView,
  commentKey: string,
  publicUrl: string | undefined,
): Promise<{ file: TicketFile; reference: string } | undefined> {
  const svg = await renderHarmPlot(view).catch(() => undefined);
  if (svg === undefined) return undefined;
  return {
    // A file of a name is attached once, and each verdict has a plot of its own.
    file: { name: `harm-${view.incidentId}-${commentKey}.svg`, type: 'image/svg+xml', content: svg },
    reference: plotReference(view.incidentId, publicUrl),
  };
}

function postmortemReference(incidentId: string, publicUrl: string | undefined): string {
  const command = `\`firebreak incident postmortem ${incidentId}\``;
  if (publicUrl === undefined) return `The whole postmortem: ${command}.`;
  const base = publicUrl.replace(/\/+$/, '');
  const address = `${base}/api/v1/incidents/${encodeURIComponent(incidentId)}/postmortem`;
  return `[The whole postmortem](${address}) (with your API token), or ${command}.`;
}
