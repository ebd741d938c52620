import { LogLevel, WebClient } from '@slack/web-api';
import type { ApplicationFailure } from '@temporalio/common';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import { currentAttempt } from '../attempt.ts';
import { fail } from '../failure.ts';
import { section } from '../slack/blocks.ts';
import { fromSlack, slackCode } from '../slack/errors.ts';
import { CLOCK_SKEW_MS, MAX_FALLBACK, MAX_PAGES, PAGE_SIZE, REQUEST_TIMEOUT_MS } from '../slack/limits.ts';
import type { Notification, NotificationChannel } from './channel.ts';

export interface SlackNotificationOptions {
  /** Name in the configuration, for messages. */
  name: string;
  /** Bot token with chat:write, and channels:history: without it a retry may tell the same twice. */
  token: string;
  /** Id of the channel (C...). */
  channel: string;
  /** Base URL of the Web API, ending in /api/; Slack's own where absent. */
  apiUrl?: string | undefined;
  timeoutMs?: number | undefined;
}

/** Event type of our messages' metadata: what a retry finds them by. Not shown to people. */
const EVENT_TYPE = 'firebreak_notification';
/** Attempts of one notification are not further apart: a step ends long before. */
const LOOK_BACK_MS = 24 * 60 * 60 * 1_000;

/** What to do about a channel that does not take the message; the rest is about the app, and the same everywhere. */
const CHANNEL_CODES: Readonly<Record<string, (where: string) => string>> = {
  channel_not_found: (where) =>
    `set ${where}.channel to the id of a channel (C...), not its name, and invite the app to it`,
  not_in_channel: () => 'invite the app to the channel: /invite @firebreak',
  is_archived: (where) => `the channel is archived: set ${where}.channel to another one`,
};

/**
 * Messages in a Slack channel. chat.postMessage takes no idempotency key (https://docs.slack.dev/reference/methods/chat.postMessage),
 * so messages carry metadata with the key, and every attempt but the first looks for it: exactly once against attempts one
 * after another, at least once where the app may not read the channel.
 */
export function createSlackNotifications(options: SlackNotificationOptions): NotificationChannel {
  const client = new WebClient(options.token, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    // One attempt a call: waiting and retrying are Temporal's, where they are seen and bounded.
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: options.timeoutMs ?? REQUEST_TIMEOUT_MS,
    logLevel: LogLevel.ERROR,
  });
  const failure = (error: unknown, method: string) =>
    failureOf(error, method, `notifications.${options.name}`);

  /** Our message under this key, of an attempt whose answer got lost. */
  async function find(key: string): Promise<string | undefined> {
    const oldest = ((Date.now() - LOOK_BACK_MS - CLOCK_SKEW_MS) / 1_000).toFixed(6);
    let ownUserId: string | undefined;
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await client.conversations.history({
        channel: options.channel,
        oldest,
        include_all_metadata: true,
        limit: PAGE_SIZE,
        ...(cursor ? { cursor } : {}),
      });
      for (const message of answer.messages ?? []) {
        const { metadata } = message;
        if (metadata?.event_type !== EVENT_TYPE || keyIn(metadata.event_payload) !== key) continue;
        // Anybody in the channel can post metadata that looks like ours.
        ownUserId ??= (await client.auth.test()).user_id;
        if (message.user === ownUserId && message.ts !== undefined) return message.ts;
      }
      cursor = answer.response_metadata?.next_cursor;
      if (!cursor) return undefined;
    }
    return undefined;
  }

  async function findOnRetry(key: string): Promise<string | undefined> {
    if (currentAttempt() === 1) return undefined;
    try {
      return await find(key);
    } catch (error) {
      // An app that may post but not read tells twice rather than not at all.
      if (slackCode(error) === 'missing_scope') return undefined;
      throw failure(error, 'conversations.history');
    }
  }

  return {
    async send(notification) {
      const ts = (await findOnRetry(notification.key)) ?? (await post(notification));
      return { reference: `${options.channel}/${ts}` };
    },
  };

  async function post(notification: Notification): Promise<string> {
    const { title, severity, text, incidentId, key } = notification;
    const heading = `${severity} ${title}`;
    const answer = await client.chat
      .postMessage({
        channel: options.channel,
        text: escapeSlackWithin(`${heading}: ${text}`, MAX_FALLBACK),
        blocks: [section([text]), section([heading, incidentId])],
        metadata: { event_type: EVENT_TYPE, event_payload: { key } },
        // Nothing in a text becomes a mention, link, preview or formatting, whatever it says.
        parse: 'none',
        link_names: false,
        unfurl_links: false,
        unfurl_media: false,
        mrkdwn: false,
      })
      .catch((error: unknown) => Promise.reject(failure(error, 'chat.postMessage')));
    return answer.ts ?? '';
  }
}

function failureOf(error: unknown, method: string, where: string): ApplicationFailure {
  const code = slackCode(error) ?? '';
  const todo = Object.hasOwn(CHANNEL_CODES, code) ? CHANNEL_CODES[code] : undefined;
  if (todo === undefined) return fromSlack(error, method);
  return fail('InvalidInput', `Slack ${method} was refused: ${code}; ${todo(where)}`, { cause: error });
}

function keyIn(payload: unknown): unknown {
  return typeof payload === 'object' && payload !== null && 'key' in payload ? payload.key : undefined;
}
