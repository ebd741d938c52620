import type { TimelineEntry } from '../../domain/incident.ts';
import { deriveActionItems, renderPostmortem } from '../../domain/postmortem.ts';
import type { RecordActivities } from '../contract.ts';
import type { RecordsStore } from '../records/store.ts';

/**
 * Renders the postmortem from the view and the recorded timeline, and writes it with its action items.
 * The view of a long incident may carry only the newest entries; the records have the others.
 * @param options.publicUrl how people reach this server; absent: the postmortem has no link to the plot.
 */
export function createWritePostmortem(
  store: Pick<RecordsStore, 'timeline' | 'writePostmortem'>,
  { publicUrl }: { publicUrl?: string | undefined } = {},
): RecordActivities['writePostmortem'] {
  return async ({ view, draft, atMs }) => {
    const actionItems = deriveActionItems(view, atMs);
    const timeline = mergeTimelines(await store.timeline(view.incidentId), view.timeline);
    const markdown = renderPostmortem({ ...view, timeline, actionItems }, { draft, atMs, publicUrl });
    const { sha256 } = await store.writePostmortem({
      incidentId: view.incidentId,
      markdown,
      draft,
      atMs,
      actionItems,
    });
    return { actionItems, sha256 };
  };
}

/** What is recorded wins: it is what the hash chain covers. */
function mergeTimelines(
  recorded: readonly TimelineEntry[],
  inView: readonly TimelineEntry[],
): TimelineEntry[] {
  const bySeq = new Map([...inView, ...recorded].map((entry) => [entry.seq, entry]));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}
