import type { IncidentView } from '../../domain/incident.ts';
import { escapeSlackWithin } from '../../domain/plain-text.ts';
import type { Severity } from '../../domain/severity.ts';
import type { ChatRoomRef } from '../contract.ts';
import type { Calls } from './calls.ts';
import { slackCode } from './errors.ts';
import { type Invitee, slackUsersOf } from './invitees.ts';
import { MAX_INVITED, MAX_PAGES, MAX_TOPIC, PAGE_SIZE } from './limits.ts';
import { roomNames } from './room-name.ts';

/** An incident's own channel, where the configuration wants one. */
export interface RoomOptions {
  prefix: string;
  severities: readonly Severity[];
  private: boolean;
  invite: readonly Invitee[];
  archiveWhenClosed: boolean;
}

interface FoundChannel {
  id?: string;
  name?: string;
  creator?: string;
  is_archived?: boolean;
  purpose?: { value?: string };
}

/** Of a list with `force`: each of these was said of one user only, or of us. */
const INVITED_ALREADY = ['already_in_channel', 'cant_invite_self'];

/** Whether the incident is one that gets a channel of its own; one that has it keeps it. */
export function wantsRoom(view: IncidentView, options: RoomOptions | undefined): options is RoomOptions {
  return options?.severities.includes(view.severity) ?? false;
}

/**
 * Makes what is missing of the incident's channel: the channel, its topic and purpose, the people in it. Every part is
 * looked for, or harmless when done again, so that an attempt whose answer got lost is simply made again.
 * @param keep is told of each part once it is there.
 */
export async function ensureRoom(
  calls: Calls,
  view: IncidentView,
  options: RoomOptions,
  room: ChatRoomRef,
  ownUserId: () => Promise<string | undefined>,
  keep: (change: ChatRoomRef) => void,
): Promise<string> {
  const channel = room.channel ?? (await createRoom(calls, view, options, ownUserId));
  if (room.channel === undefined) keep({ channel });
  if (!room.described) {
    const topic = escapeSlackWithin(`[${view.severity}] ${view.title}`, MAX_TOPIC);
    await calls.call('conversations.setTopic', (client) => client.conversations.setTopic({ channel, topic }));
    const purpose = purposeOf(view);
    await calls.call('conversations.setPurpose', (client) =>
      client.conversations.setPurpose({ channel, purpose }),
    );
    keep({ described: true });
  }
  if (!room.invited) {
    await invite(calls, channel, await slackUsersOf(calls, options.invite));
    keep({ invited: true });
  }
  return channel;
}

/** Nobody writes there any more; what was written stays readable. */
export async function archiveRoom(calls: Calls, channel: string): Promise<void> {
  const isExpected = (error: unknown) => slackCode(error) === 'already_archived';
  await calls
    .call('conversations.archive', (client) => client.conversations.archive({ channel }), { isExpected })
    .catch((error) => {
      if (!isExpected(error)) throw error;
    });
}

function purposeOf({ incidentId }: IncidentView): string {
  return `Firebreak incident ${incidentId}`.slice(0, MAX_TOPIC);
}

async function createRoom(
  calls: Calls,
  view: IncidentView,
  options: RoomOptions,
  ownUserId: () => Promise<string | undefined>,
): Promise<string> {
  const isTaken = (error: unknown) => slackCode(error) === 'name_taken';
  const [short, whole] = roomNames(view, options.prefix);
  const create = (name: string, isExpected: (error: unknown) => boolean) =>
    calls.call(
      'conversations.create',
      (client) => client.conversations.create({ name, is_private: options.private }),
      { isExpected },
    );
  for (const name of [short, whole]) {
    try {
      const { channel } = await create(name, isTaken);
      if (channel?.id !== undefined) return channel.id;
    } catch (error) {
      if (!isTaken(error)) throw error;
      // Ours, from an attempt whose answer got lost, or somebody else's.
      const ours = await findOurs(calls, view, name, options, ownUserId);
      if (ours !== undefined) return ours;
    }
  }
  // Both are somebody's whom we do not see: say so.
  const { channel } = await create(whole, () => false);
  return channel?.id ?? '';
}

async function findOurs(
  calls: Calls,
  view: IncidentView,
  name: string,
  options: RoomOptions,
  ownUserId: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const own = await ownUserId();
  const isNotGranted = (error: unknown) => slackCode(error) === 'missing_scope';
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await calls
      .call(
        'conversations.list',
        (client) =>
          client.conversations.list({
            types: options.private ? 'private_channel' : 'public_channel',
            exclude_archived: true,
            limit: 5 * PAGE_SIZE,
            ...(cursor ? { cursor } : {}),
          }),
        { isExpected: isNotGranted },
      )
      .catch((error): { channels?: FoundChannel[]; response_metadata?: { next_cursor?: string } } => {
        if (isNotGranted(error)) return {};
        throw error;
      });
    const found = (answer.channels ?? []).find((channel) => channel.name === name);
    if (found !== undefined) return isOurs(found, view, own) ? found.id : undefined;
    cursor = answer.response_metadata?.next_cursor;
    if (!cursor) return undefined;
  }
  return undefined;
}

/** Made by us, and for this incident or, where the purpose was not set yet, for none. */
function isOurs(channel: FoundChannel, view: IncidentView, own: string | undefined): boolean {
  const purpose = channel.purpose?.value ?? '';
  return own !== undefined && channel.creator === own && (purpose === '' || purpose === purposeOf(view));
}

async function invite(calls: Calls, channel: string, userIds: readonly string[]): Promise<void> {
  const isExpected = (error: unknown) => INVITED_ALREADY.includes(slackCode(error) ?? '');
  for (let at = 0; at < userIds.length; at += MAX_INVITED) {
    const users = userIds.slice(at, at + MAX_INVITED).join(',');
    await calls
      // Those who cannot be invited do not keep the others out.
      .call(
        'conversations.invite',
        (client) => client.conversations.invite({ channel, users, force: true }),
        {
          isExpected,
        },
      )
      .catch((error) => {
        if (!isExpected(error)) throw error;
      });
  }
}
