import { LogLevel, type MessageMetadata, WebClient } from '@slack/web-api';
import { fromSlack, slackCode } from './errors.ts';
import { CLOCK_SKEW_MS, MAX_PAGES, PAGE_SIZE, REQUEST_TIMEOUT_MS } from './limits.ts';
import type { RenderedMessage } from './render.ts';

/** Event types of our messages' metadata: what a retry finds them by. Not shown to people. */
const INCIDENT_EVENT = 'firebreak_incident';
const ENTRIES_EVENT = 'firebreak_timeline';

/** The message cannot be updated any more: deleted, or the workspace closes editing after a while. */
const NOT_UPDATABLE = ['message_not_found', 'cant_update_message', 'edit_window_closed'];

/** Nothing in a text becomes a mention, link or preview, whatever it says; `update` would parse otherwise. */
const LITERAL = { parse: 'none', link_names: false } as const;
const NO_PREVIEWS = { unfurl_links: false, unfurl_media: false, mrkdwn: false } as const;

interface StoredMessage {
  ts?: string;
  user?: string;
  metadata?: { event_type?: string; event_payload?: unknown };
}

export interface IncidentChannel {
  /** Our message about the incident, if one is in the channel; `exceptTs` is one that cannot be used any more. */
  findIncident(
    incidentId: string,
    sinceMs: number,
    exceptTs?: string,
  ): Promise<{ channel: string; ts: string } | undefined>;
  postIncident(incidentId: string, message: RenderedMessage): Promise<{ channel: string; ts: string }>;
  /** False where the message cannot be updated any more. */
  updateIncident(
    at: { channel: string; ts: string },
    incidentId: string,
    message: RenderedMessage,
  ): Promise<boolean>;
  /** Highest seq of the timeline in the thread, of our messages since `sinceMs`; -1 where there is none. */
  lastSeqInThread(at: { channel: string; ts: string }, incidentId: string, sinceMs: number): Promise<number>;
  postEntries(
    at: { channel: string; ts: string },
    incidentId: string,
    lastSeq: number,
    message: RenderedMessage,
  ): Promise<void>;
}

/**
 * One channel of a workspace through the Web API. One attempt a call: waiting and retrying are Temporal's, where they are
 * seen and bounded. Every failure is an ApplicationFailure.
 */
export function createIncidentChannel(options: {
  token: string;
  channel: string;
  apiUrl?: string;
}): IncidentChannel {
  const client = new WebClient(options.token, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: REQUEST_TIMEOUT_MS,
    logLevel: LogLevel.ERROR,
  });
  let ownUserId: string | undefined;

  /** Anybody in the channel can post metadata that looks like ours: only messages of our own bot count. */
  async function isOurs(message: StoredMessage): Promise<boolean> {
    ownUserId ??= (await client.auth.test().catch((error) => Promise.reject(fromSlack(error, 'auth.test'))))
      .user_id;
    return ownUserId !== undefined && message.user === ownUserId;
  }

  return {
    async findIncident(incidentId, sinceMs, exceptTs) {
      let cursor: string | undefined;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const answer = await client.conversations
          .history({
            channel: options.channel,
            oldest: slackTime(sinceMs - CLOCK_SKEW_MS),
            include_all_metadata: true,
            limit: PAGE_SIZE,
            ...(cursor ? { cursor } : {}),
          })
          .catch((error) => noneIfNotGranted(error, 'conversations.history'));
        for (const message of (answer.messages ?? []) as StoredMessage[]) {
          if (message.ts === undefined || message.ts === exceptTs) continue;
          if (payloadOf(message, INCIDENT_EVENT)?.incident_id !== incidentId) continue;
          if (await isOurs(message)) return { channel: options.channel, ts: message.ts };
        }
        cursor = answer.response_metadata?.next_cursor;
        if (!cursor) return undefined;
      }
      return undefined;
    },

    async postIncident(incidentId, { text, blocks }) {
      const metadata = metadataOf(INCIDENT_EVENT, { incident_id: incidentId });
      const answer = await client.chat
        .postMessage({ channel: options.channel, text, blocks, metadata, ...LITERAL, ...NO_PREVIEWS })
        .catch((error) => Promise.reject(fromSlack(error, 'chat.postMessage')));
      return { channel: answer.channel ?? options.channel, ts: answer.ts ?? '' };
    },

    async updateIncident(at, incidentId, { text, blocks }) {
      const metadata = metadataOf(INCIDENT_EVENT, { incident_id: incidentId });
      try {
        await client.chat.update({ ...at, text, blocks, metadata, ...LITERAL });
        return true;
      } catch (error) {
        if (NOT_UPDATABLE.includes(slackCode(error) ?? '')) return false;
        throw fromSlack(error, 'chat.update');
      }
    },

    async lastSeqInThread(at, incidentId, sinceMs) {
      let last = -1;
      let cursor: string | undefined;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const answer = await client.conversations
          .replies({
            ...at,
            oldest: slackTime(sinceMs - CLOCK_SKEW_MS),
            include_all_metadata: true,
            limit: PAGE_SIZE,
            ...(cursor ? { cursor } : {}),
          })
          .catch((error) => noneIfNotGranted(error, 'conversations.replies'));
        for (const message of (answer.messages ?? []) as StoredMessage[]) {
          const payload = payloadOf(message, ENTRIES_EVENT);
          if (payload?.incident_id !== incidentId || typeof payload.last_seq !== 'number') continue;
          if (payload.last_seq > last && (await isOurs(message))) last = payload.last_seq;
        }
        cursor = answer.response_metadata?.next_cursor;
        if (!cursor) return last;
      }
      return last;
    },

    async postEntries({ channel, ts }, incidentId, lastSeq, { text, blocks }) {
      const metadata = metadataOf(ENTRIES_EVENT, { incident_id: incidentId, last_seq: lastSeq });
      await client.chat
        .postMessage({ channel, thread_ts: ts, text, blocks, metadata, ...LITERAL, ...NO_PREVIEWS })
        .catch((error) => Promise.reject(fromSlack(error, 'chat.postMessage')));
    },
  };
}

/**
 * An app that may post but not read the channel still posts: a message twice, after an answer that got lost, is better than
 * none in an incident.
 */
function noneIfNotGranted(
  error: unknown,
  method: string,
): { messages?: unknown[]; response_metadata?: { next_cursor?: string } } {
  if (slackCode(error) === 'missing_scope') return {};
  throw fromSlack(error, method);
}

function metadataOf(eventType: string, payload: MessageMetadata['event_payload']): MessageMetadata {
  return { event_type: eventType, event_payload: payload };
}

function payloadOf(message: StoredMessage, eventType: string): Record<string, unknown> | undefined {
  const { metadata } = message;
  if (metadata?.event_type !== eventType) return undefined;
  const payload = metadata.event_payload;
  return typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : undefined;
}

/** Slack's times are epoch seconds with six decimals, as text. */
function slackTime(atMs: number): string {
  return (Math.max(0, atMs) / 1_000).toFixed(6);
}
