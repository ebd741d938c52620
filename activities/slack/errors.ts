import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api';
import { ApplicationFailure } from '@temporalio/common';
import type { FailureType } from '../../domain/failure.ts';
import { fail, MAX_RETRY_AFTER_MS } from '../failure.ts';

/** What Slack's error codes mean and what to do (https://docs.slack.dev/reference/methods/chat.postMessage#errors). */
const CODES: Record<string, [type: FailureType, todo?: string]> = {
  invalid_auth: ['Unauthorized', 'set chat.slack.botToken to the bot token (xoxb-) of the installed app'],
  not_authed: ['Unauthorized', 'set chat.slack.botToken to the bot token (xoxb-) of the installed app'],
  account_inactive: ['Unauthorized', 'the app was uninstalled: install it again and set chat.slack.botToken'],
  token_revoked: ['Unauthorized', 'the token was revoked: install the app again and set chat.slack.botToken'],
  token_expired: ['Unauthorized', 'set chat.slack.botToken to a fresh token'],
  missing_scope: ['Unauthorized'],
  no_permission: ['Unauthorized', "the workspace's settings do not let the app post there"],
  restricted_action: [
    'Unauthorized',
    'only some members may post to this channel: allow the app or choose another channel',
  ],
  access_denied: ['Unauthorized'],
  channel_not_found: [
    'InvalidInput',
    'set chat.slack.channel to the id of a channel (C...), not its name, and invite the app to it',
  ],
  not_in_channel: ['InvalidInput', 'invite the app to the channel: /invite @firebreak'],
  messages_tab_disabled: [
    'InvalidInput',
    "switch on the Messages tab under App Home in the app's settings (deploy/slack has it)",
  ],
  is_archived: ['InvalidInput', 'the channel is archived: set chat.slack.channel to another one'],
  name_taken: ['InvalidInput', 'somebody else has a channel of that name: choose another prefix'],
  user_not_found: [
    'InvalidInput',
    'chat.slack.incidentChannels.invite has somebody whom Slack does not know',
  ],
  msg_blocks_too_long: ['InvalidInput'],
  ratelimited: ['RateLimited'],
  rate_limited: ['RateLimited'],
  fatal_error: ['Unavailable'],
  internal_error: ['Unavailable'],
  service_unavailable: ['Unavailable'],
  request_timeout: ['Unavailable'],
  team_added_to_org: ['Unavailable'],
};

/**
 * What each method needs, for a channel that is public and one that is private
 * (https://docs.slack.dev/reference/methods, "Required scopes").
 */
const SCOPES: Record<string, string> = {
  'conversations.history': 'channels:history, or groups:history for a private channel',
  'conversations.replies': 'channels:history, or groups:history for a private channel',
  'conversations.list': 'channels:read, or groups:read for private channels',
  'conversations.create': 'channels:manage, or groups:write for private channels',
  'conversations.setTopic': 'channels:manage, or groups:write for private channels',
  'conversations.setPurpose': 'channels:manage, or groups:write for private channels',
  'conversations.invite': 'channels:manage, or groups:write for private channels',
  'conversations.archive': 'channels:manage, or groups:write for private channels',
};
const POSTING_SCOPE = 'chat:write';

/** Slack's code of a refused call; undefined for anything else, such as a proxy's page in place of an answer. */
export function slackCode(error: unknown): string | undefined {
  if (!(error instanceof WebAPIPlatformError)) return undefined;
  return /^[a-z_]{1,60}$/.test(error.data.error) ? error.data.error : undefined;
}

/**
 * @param error whatever the WebClient threw.
 * @param method of the Web API: `chat.update`.
 */
export function fromSlack(error: unknown, method: string): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const what = `Slack ${method}`;
  if (error instanceof WebAPIRateLimitedError) {
    const nextRetryDelayMs = error.retryAfter * 1_000;
    if (nextRetryDelayMs > MAX_RETRY_AFTER_MS) {
      return fail('Unavailable', `${what} was told to wait for ${error.retryAfter} s`, { cause: error });
    }
    return fail('RateLimited', `${what} was rate limited`, { cause: error, nextRetryDelayMs });
  }
  const code = slackCode(error);
  if (code !== undefined) {
    const [type, known] = CODES[code] ?? ['InvalidInput'];
    const scopes = SCOPES[method] ?? POSTING_SCOPE;
    const todo =
      code === 'missing_scope' ? `the app needs ${scopes}: add it and install the app again` : known;
    return fail(type, `${what} was refused: ${code}${todo === undefined ? '' : `; ${todo}`}`, {
      cause: error,
    });
  }
  if (error instanceof WebAPIHTTPError && error.statusCode < 500) {
    return fail('InvalidInput', `${what} was answered ${error.statusCode}; is chat.slack.apiUrl right?`, {
      cause: error,
    });
  }
  if (error instanceof WebAPIHTTPError) {
    return fail('Unavailable', `${what} was answered ${error.statusCode}`, { cause: error });
  }
  return fail('Unavailable', `${what}: no answer`, { cause: error });
}
