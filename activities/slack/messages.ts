import type { MessageMetadata } from '@slack/web-api';
import type { Calls } from './calls.ts';
import { slackCode } from './errors.ts';
import { CLOCK_SKEW_MS, MAX_PAGES, PAGE_SIZE } from './limits.ts';
import type { RenderedMessage } from './render.ts';

/** Event types of our messages' metadata: what a retry finds them by. Not shown to people. */
const INCIDENT_EVENT = 'firebreak_incident';
const ENTRIES_EVENT = 'firebreak_timeline';

/** The message cannot be updated any more: deleted, or the workspace closes editing after a while. */
const NOT_UPDATABLE = ['message_not_found', 'cant_update_message', 'edit_window_closed'];

/** Nothing in a text becomes a mention, link or preview, whatever it says; `update` would parse otherwise. */
const LITERAL = { parse: 'none', link_names: false } as const;
/** Threads stay in their thread: nothing is broadcast to the channel. */
const QUIET = { unfurl_links: false, unfurl_media: false, mrkdwn: false } as const;

interface StoredMessage {
  ts?: string;
  user?: string;
  metadata?: { event_type?: string; event_payload?: unknown };
}

interface Page {
  messages?: unknown[];
  response_metadata?: { next_cursor?: string };
}

export interface Place {
  channel: string;
  ts: string;
}

/** Messages about one incident, in whatever channel. */
export interface Messages {
  /** Our message about the incident, if one is in the channel; `exceptTs` is one that cannot be used any more. */
  find(channel: string, sinceMs: number, exceptTs?: string): Promise<Place | undefined>;
  post(channel: string, message: RenderedMessage): Promise<Place>;
  /** False where the message cannot be updated any more. */
  update(at: Place, message: RenderedMessage): Promise<boolean>;
  /** Highest seq of the timeline in the thread, of our messages since `sinceMs`; -1 where there is none. */
  lastSeqInThread(at: Place, sinceMs: number): Promise<number>;
  postEntries(at: Place, lastSeq: number, message: RenderedMessage): Promise<void>;
}

/** @param ownUserId asks Slack who the app is; anybody in a channel can post metadata that looks like ours. */
export function createMessages(
  calls: Calls,
  incidentId: string,
  ownUserId: (calls: Calls) => Promise<string | undefined>,
): Messages {
  async function isOurs(message: StoredMessage): Promise<boolean> {
    const own = await ownUserId(calls);
    return own !== undefined && message.user === own;
  }

  /** The pages of a channel or thread, newest messages included, until there is no further one. */
  async function* pages(
    method: 'conversations.history' | 'conversations.replies',
    at: { channel: string; ts?: string },
    sinceMs: number,
  ): AsyncGenerator<StoredMessage[]> {
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = {
        channel: at.channel,
        oldest: slackTime(sinceMs - CLOCK_SKEW_MS),
        include_all_metadata: true,
        limit: PAGE_SIZE,
        ...(cursor ? { cursor } : {}),
      };
      const answer = await calls
        .call<Page>(
          method,
          (client) =>
            at.ts === undefined
              ? client.conversations.history(query)
              : client.conversations.replies({ ...query, ts: at.ts }),
          { isExpected: isNotGranted },
        )
        .catch(noneIfNotGranted);
      yield (answer.messages ?? []) as StoredMessage[];
      cursor = answer.response_metadata?.next_cursor;
      if (!cursor) return;
    }
  }

  return {
    async find(channel, sinceMs, exceptTs) {
      for await (const messages of pages('conversations.history', { channel }, sinceMs)) {
        for (const message of messages) {
          if (message.ts === undefined || message.ts === exceptTs) continue;
          if (payloadOf(message, INCIDENT_EVENT)?.incident_id !== incidentId) continue;
          if (await isOurs(message)) return { channel, ts: message.ts };
        }
      }
      return undefined;
    },

    async post(channel, { text, blocks }) {
      const metadata = metadataOf(INCIDENT_EVENT, { incident_id: incidentId });
      const answer = await calls.call(
        'chat.postMessage',
        (client) => client.chat.postMessage({ channel, text, blocks, metadata, ...LITERAL, ...QUIET }),
        { channel },
      );
      return { channel: answer.channel ?? channel, ts: answer.ts ?? '' };
    },

    async update(at, { text, blocks }) {
      const metadata = metadataOf(INCIDENT_EVENT, { incident_id: incidentId });
      const isExpected = (error: unknown) => NOT_UPDATABLE.includes(slackCode(error) ?? '');
      try {
        await calls.call(
          'chat.update',
          (client) => client.chat.update({ ...at, text, blocks, metadata, ...LITERAL }),
          { channel: at.channel, isExpected },
        );
        return true;
      } catch (error) {
        if (isExpected(error)) return false;
        throw error;
      }
    },

    async lastSeqInThread(at, sinceMs) {
      let last = -1;
      for await (const messages of pages('conversations.replies', at, sinceMs)) {
        for (const message of messages) {
          const payload = payloadOf(message, ENTRIES_EVENT);
          if (payload?.incident_id !== incidentId || typeof payload.last_seq !== 'number') continue;
          if (payload.last_seq > last && (await isOurs(message))) last = payload.last_seq;
        }
      }
      return last;
    },

    async postEntries({ channel, ts }, lastSeq, { text, blocks }) {
      const metadata = metadataOf(ENTRIES_EVENT, { incident_id: incidentId, last_seq: lastSeq });
      await calls.call(
        'chat.postMessage',
        (client) =>
          client.chat.postMessage({ channel, thread_ts: ts, text, blocks, metadata, ...LITERAL, ...QUIET }),
        { channel },
      );
    },
  };
}

function isNotGranted(error: unknown): boolean {
  return slackCode(error) === 'missing_scope';
}

/**
 * An app that may post but not read the channel still posts: a message twice, after an answer that got lost, is better than
 * none in an incident.
 */
function noneIfNotGranted(error: unknown): Page {
  if (isNotGranted(error)) return {};
  throw error;
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
