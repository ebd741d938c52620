import type { IncidentView } from '../../domain/incident.ts';
import type { ChatActivities, ChatMessageRef } from '../contract.ts';
import { createIncidentChannel, type IncidentChannel } from './channel.ts';
import { renderEntries, renderIncident } from './render.ts';

export interface SlackChatOptions {
  /**
   * Bot token (xoxb-) with chat:write, and channels:history (groups:history for a private channel): without it retries cannot
   * look for what is there already, and may post it twice.
   */
  token: string;
  /** Id of the channel (C...): Slack finds messages by id only. */
  channel: string;
  /** Base URL of the Web API, ending in /api/; Slack's own where absent. */
  apiUrl?: string | undefined;
}

/**
 * One message an incident, updated in place; its timeline in the thread. Slack has no idempotency key, so messages carry
 * metadata that a retry looks for: exactly once against retries one after another, at least once if two attempts run at the
 * same moment.
 *
 * @param options undefined where chat is not configured: then nothing is published.
 */
export function createSlackChat(options: SlackChatOptions | undefined): ChatActivities {
  if (options === undefined) return { publishIncident: async () => ({}) };
  const { token, channel: id, apiUrl } = options;
  const channel = createIncidentChannel({ token, channel: id, ...(apiUrl === undefined ? {} : { apiUrl }) });
  return {
    publishIncident: async ({ view, message }) => ({ message: await publish(channel, view, message) }),
  };
}

async function publish(
  channel: IncidentChannel,
  view: IncidentView,
  known: ChatMessageRef | undefined,
): Promise<ChatMessageRef> {
  const { at, isNew } = await publishMessage(channel, view, known);
  const unposted = view.timeline.filter((entry) => entry.seq > (known?.postedSeq ?? -1));
  // Asked even where nothing failed: an attempt that posted and then lost its answer looks the same from here.
  const oldestMs = Math.min(...unposted.map((entry) => entry.atMs));
  const postedSeq =
    unposted.length === 0 || isNew ? -1 : await channel.lastSeqInThread(at, view.incidentId, oldestMs);
  const entries = unposted.filter((entry) => entry.seq > postedSeq);
  const lastSeq = Math.max(known?.postedSeq ?? -1, postedSeq, ...entries.map((entry) => entry.seq));
  if (entries.length > 0) await channel.postEntries(at, view.incidentId, lastSeq, renderEntries(entries));
  return { ...at, postedSeq: lastSeq };
}

async function publishMessage(
  channel: IncidentChannel,
  view: IncidentView,
  known: ChatMessageRef | undefined,
): Promise<{ at: { channel: string; ts: string }; isNew: boolean }> {
  const { incidentId } = view;
  const message = renderIncident(view);
  if (known !== undefined) {
    const at = { channel: known.channel, ts: known.ts };
    if (await channel.updateIncident(at, incidentId, message)) return { at, isNew: false };
  }
  const found = await channel.findIncident(incidentId, openedAtMs(view), known?.ts);
  if (found !== undefined && (await channel.updateIncident(found, incidentId, message))) {
    return { at: found, isNew: false };
  }
  return { at: await channel.postIncident(incidentId, message), isNew: true };
}

/** No message about the incident is older than this. */
function openedAtMs(view: IncidentView): number {
  return view.milestones.triggered ?? Math.min(Date.now(), ...view.timeline.map((entry) => entry.atMs));
}
