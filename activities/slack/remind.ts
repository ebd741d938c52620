import { WebAPIHTTPError, type WebClient } from '@slack/web-api';
import { ApplicationFailure } from '@temporalio/common';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import type { ChatActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { section } from './blocks.ts';
import { type Calls, NotYet, startCalls } from './calls.ts';
import { fromSlack, slackCode } from './errors.ts';
import { type SlackPerson, slackUsersOf } from './invitees.ts';
import { MAX_FALLBACK } from './limits.ts';
import type { Pace } from './pace.ts';

/** Reminders of one process that are remembered; an attempt comes again within minutes. */
const MAX_REMEMBERED = 1_000;
/** The app cannot write to this user: unknown, of nobody here, or a bot. */
const NOT_REACHABLE = ['channel_not_found', 'user_not_found', 'user_not_visible', 'cannot_dm_bot'];
/** "It's possible some aspect of the operation succeeded": https://docs.slack.dev/reference/methods/chat.postMessage#errors */
const PERHAPS_DONE = ['fatal_error', 'internal_error'];
/** No connection, so nothing was sent. */
const NEVER_SENT = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/**
 * Direct messages. chat.postMessage opens the conversation when its `channel` is a user's id, with chat:write alone
 * (https://docs.slack.dev/reference/methods/chat.postMessage, "Begin a conversation in a user's App Home"). What is in it could
 * be looked for with im:write and im:history only, which the app does not have; so an answer that got lost is not followed by
 * another attempt: nobody is told twice, unless the process dies in between.
 * @param people of the access section.
 */
export function createRemindPerson(
  client: WebClient,
  pace: Pace,
  people: readonly SlackPerson[],
): ChatActivities['remindPerson'] {
  const remembered = new Set<string>();

  return async ({ incidentId, key, person, text }) => {
    const known = people.find(({ id, active }) => active && id === person);
    if (known === undefined) return { told: false };
    // For Temporal this attempt may be another one than the one that told.
    const reminder = `${incidentId} ${key}`;
    if (remembered.has(reminder)) return { told: true };
    const calls = startCalls(client, pace, incidentId);
    try {
      const [user] = await slackUsersOf(calls, [{ slackUserId: known.slackUserId, email: known.email }]);
      if (user === undefined || !(await post(calls, user, text))) return { told: false };
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      throw fail('RateLimited', 'Slack wants the reminder to wait', { nextRetryDelayMs: error.afterMs });
    }
    remembered.add(reminder);
    for (const oldest of remembered) {
      if (remembered.size <= MAX_REMEMBERED) break;
      remembered.delete(oldest);
    }
    return { told: true };
  };
}

/** False where Slack knows nobody there to whom the app may write. */
async function post(calls: Calls, user: string, text: string): Promise<boolean> {
  const method = 'chat.postMessage';
  try {
    await calls.call(
      method,
      (client) =>
        client.chat.postMessage({
          channel: user,
          text: escapeSlackWithin(text, MAX_FALLBACK),
          blocks: [section([text])],
          // Nothing in a text becomes a mention, link, preview or formatting, whatever it says.
          parse: 'none',
          link_names: false,
          unfurl_links: false,
          unfurl_media: false,
          mrkdwn: false,
        }),
      { channel: user, isExpected: () => true },
    );
    return true;
  } catch (error) {
    if (error instanceof NotYet) throw error;
    if (NOT_REACHABLE.includes(slackCode(error) ?? '')) return false;
    const failure = fromSlack(error, method);
    if (!perhapsDone(error)) throw failure;
    throw ApplicationFailure.nonRetryable(
      `${failure.message}; it may have arrived, and is not sent again`,
      failure.type,
    );
  }
}

function perhapsDone(error: unknown): boolean {
  const code = slackCode(error);
  if (code !== undefined) return PERHAPS_DONE.includes(code);
  if (error instanceof ApplicationFailure) return false;
  if (error instanceof WebAPIHTTPError) return error.statusCode >= 500;
  // The client and fetch wrap what the operating system said.
  for (let depth = 0, at = error; depth < 4 && at instanceof Error; depth += 1, at = at.cause) {
    if ('code' in at && NEVER_SENT.includes(String(at.code))) return false;
  }
  return true;
}
