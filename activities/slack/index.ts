import { createHash } from 'node:crypto';
import type { ChatActivities } from '../contract.ts';
import { createSlackClient, startCalls } from './calls.ts';
import type { SlackPerson } from './invitees.ts';
import { createOwnUser } from './own-user.ts';
import { createPace, type Pace } from './pace.ts';
import { publish } from './publish.ts';
import { createRemindPerson } from './remind.ts';
import type { RoomOptions } from './room.ts';

export interface SlackChatOptions {
  /**
   * Bot token (xoxb-) with chat:write, and channels:history (groups:history for a private channel): without it retries cannot
   * look for what is there already, and may post it twice. Channels of incidents need more: docs/slack-messages.md.
   */
  token: string;
  /** Id of the channel (C...): Slack finds messages by id only. */
  channel: string;
  /** Base URL of the Web API, ending in /api/; Slack's own where absent. */
  apiUrl?: string | undefined;
  rooms?: RoomOptions | undefined;
  /** Who can be reminded. */
  people?: readonly SlackPerson[] | undefined;
}

/**
 * One message an incident, updated in place; its timeline in the thread. Slack has no idempotency key, so messages carry
 * metadata that a retry looks for: exactly once against retries one after another, at least once if two attempts run at the
 * same moment.
 *
 * @param options undefined where chat is not configured: then nothing is published.
 * @param pace shared by all that post with this app in the process.
 */
export function createSlackChat(
  options: SlackChatOptions | undefined,
  pace: Pace = createPace(),
): ChatActivities {
  if (options === undefined)
    return { publishIncident: async () => ({}), remindPerson: async () => ({ told: false }) };
  const { token, channel, apiUrl, rooms, people = [] } = options;
  const client = createSlackClient({ token, apiUrl });
  const ownUser = createOwnUser();
  return {
    publishIncident: async ({ view, message }) => {
      const calls = startCalls(client, pace, view.incidentId);
      return publish({ calls, channel, rooms, ownUser, digest }, view, message);
    },
    remindPerson: createRemindPerson(client, pace, people),
  };
}

function digest(message: unknown): string {
  return createHash('sha256').update(JSON.stringify(message)).digest('hex').slice(0, 16);
}
