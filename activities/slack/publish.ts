import type { IncidentView } from '../../domain/incident.ts';
import { isOver } from '../../domain/next-action.ts';
import type { ChatMessageRef, ChatPublication, ChatRoomRef } from '../contract.ts';
import { type Calls, NotYet } from './calls.ts';
import { renderEntries } from './entries.ts';
import { POST_EVERY_MS, ROOM_REFUSED_RETRY_MS, ROOM_RETRY_MS } from './limits.ts';
import { createMessages, type Messages, type Place } from './messages.ts';
import { renderIncident } from './render.ts';
import { archiveRoom, ensureRoom, type RoomOptions, wantsRoom } from './room.ts';

interface Publisher {
  calls: Calls;
  /** Of all incidents. */
  channel: string;
  rooms: RoomOptions | undefined;
  ownUser: (calls: Calls) => Promise<string | undefined>;
  digest: (message: unknown) => string;
}

/**
 * Publishes what is new about an incident: its message, then the timeline in the thread, then its own channel. What was
 * done is returned even where something after it was not, so that it is not done twice.
 * @throws ApplicationFailure where not even the message could be published.
 */
export async function publish(
  publisher: Publisher,
  view: IncidentView,
  known: ChatMessageRef | undefined,
): Promise<ChatPublication> {
  const messages = createMessages(publisher.calls, view.incidentId, publisher.ownUser);
  let ref: ChatMessageRef;
  let isNew: boolean;
  try {
    ({ ref, isNew } = await publishMessage(publisher, messages, view, known));
  } catch (error) {
    if (!(error instanceof NotYet)) throw error;
    return { ...(known && { message: known }), againAfterMs: error.afterMs };
  }
  const told = await publishEntries(messages, view, ref, isNew);
  const room = await publishRoom(publisher, messages, view, told.ref);
  return {
    message: { ...told.ref, ...(room.ref && { room: room.ref }) },
    ...(told.againAfterMs !== undefined && { againAfterMs: told.againAfterMs }),
    ...(room.wakeAfterMs !== undefined && { wakeAfterMs: room.wakeAfterMs }),
    ...(told.problem !== undefined && { problem: told.problem }),
  };
}

async function publishMessage(
  { channel, digest }: Publisher,
  messages: Messages,
  view: IncidentView,
  known: ChatMessageRef | undefined,
): Promise<{ ref: ChatMessageRef; isNew: boolean }> {
  const { room } = known ?? {};
  const message = renderIncident(view, { room: room?.channel, roomProblem: room?.problem });
  const shown = digest(message);
  const refAt = (at: Place): ChatMessageRef => ({
    ...known,
    ...at,
    postedSeq: known?.postedSeq ?? -1,
    digest: shown,
  });
  if (known !== undefined) {
    if (known.digest === shown) return { ref: known, isNew: false };
    const at = { channel: known.channel, ts: known.ts };
    if (await messages.update(at, message)) return { ref: refAt(at), isNew: false };
  }
  const found = await messages.find(channel, openedAtMs(view), known?.ts);
  if (found !== undefined && (await messages.update(found, message))) {
    // Who knew nothing of it does not know what is in its thread either.
    return { ref: { ...refAt(found), uncertain: true }, isNew: false };
  }
  return { ref: refAt(await messages.post(channel, message)), isNew: true };
}

/** The next message's worth of timeline. */
async function publishEntries(
  messages: Messages,
  view: IncidentView,
  ref: ChatMessageRef,
  isNew: boolean,
): Promise<{ ref: ChatMessageRef; againAfterMs?: number; problem?: string }> {
  const unposted = view.timeline.filter((entry) => entry.seq > ref.postedSeq);
  const { uncertain, ...certain } = ref;
  if (unposted.length === 0) return { ref };
  try {
    let postedSeq = ref.postedSeq;
    if (uncertain && !isNew) {
      const oldestMs = Math.min(...unposted.map((entry) => entry.atMs));
      postedSeq = Math.max(postedSeq, await messages.lastSeqInThread(ref, oldestMs));
    }
    const entries = unposted.filter((entry) => entry.seq > postedSeq);
    if (entries.length === 0) return { ref: { ...certain, postedSeq } };
    const { message, left } = renderEntries(entries, { incidentId: view.incidentId, postedSeq });
    const lastSeq = entries[entries.length - left.length - 1]?.seq ?? postedSeq;
    await messages.postEntries(ref, lastSeq, message);
    return {
      ref: { ...certain, postedSeq: lastSeq },
      ...(left.length > 0 && { againAfterMs: POST_EVERY_MS }),
    };
  } catch (error) {
    if (error instanceof NotYet) return { ref, againAfterMs: error.afterMs };
    return { ref: { ...ref, uncertain: true }, problem: messageOf(error) };
  }
}

/** The incident's own channel, with the same message in it. Whatever is wrong with it, the other one is not held up. */
async function publishRoom(
  { calls, rooms, ownUser, digest }: Publisher,
  messages: Messages,
  view: IncidentView,
  main: ChatMessageRef,
): Promise<{ ref?: ChatRoomRef; wakeAfterMs?: number }> {
  const before = main.room;
  if (rooms === undefined || !(before?.channel !== undefined || (wantsRoom(view, rooms) && !isOver(view)))) {
    return before === undefined ? {} : { ref: before };
  }
  if (before?.archived) return { ref: before };
  const waitMs = (before?.retryAtMs ?? 0) - Date.now();
  if (before !== undefined && waitMs > 0) return { ref: before, wakeAfterMs: waitMs };
  const { problem: hadProblem, retryAtMs: _, ...room } = before ?? {};
  const keep = (change: ChatRoomRef) => Object.assign(room, change);
  try {
    const channel = await ensureRoom(calls, view, rooms, room, () => ownUser(calls), keep);
    if (room.mainUrl === undefined) keep({ mainUrl: await permalink(calls, main) });
    const message = renderIncident(view, { main: room.mainUrl || undefined });
    const shown = digest(message);
    if (room.digest !== shown) {
      const at = room.ts === undefined ? undefined : { channel, ts: room.ts };
      if (at === undefined || !(await messages.update(at, message))) {
        const found = await messages.find(channel, openedAtMs(view), room.ts);
        const isThere = found !== undefined && (await messages.update(found, message));
        keep({ ts: isThere ? found.ts : (await messages.post(channel, message)).ts });
      }
      keep({ digest: shown });
    }
    if (view.state === 'closed' && rooms.archiveWhenClosed) {
      await archiveRoom(calls, channel);
      keep({ archived: true });
    }
    // The message in the channel of all incidents links to it, or stops to say what was wrong.
    const isNews = before?.channel === undefined || hadProblem !== undefined;
    return { ref: room, ...(isNews && { wakeAfterMs: POST_EVERY_MS }) };
  } catch (error) {
    if (error instanceof NotYet) return { ref: room, wakeAfterMs: error.afterMs };
    const forMs = isRefusal(error) ? ROOM_REFUSED_RETRY_MS : ROOM_RETRY_MS;
    const problem = messageOf(error);
    // Told at once where it is news.
    const wakeAfterMs = problem === hadProblem ? forMs : POST_EVERY_MS;
    return { ref: { ...room, problem, retryAtMs: Date.now() + forMs }, wakeAfterMs };
  }
}

/** The link is a comfort: without it everything else is there. */
async function permalink(calls: Calls, { channel, ts }: ChatMessageRef): Promise<string> {
  const answer = await calls.call('chat.getPermalink', (client) =>
    client.chat.getPermalink({ channel, message_ts: ts }),
  );
  return answer.permalink ?? '';
}

function isRefusal(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'nonRetryable' in error && error.nonRetryable === true
  );
}

/** Failures of ours hold no text of others. */
function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}

/** No message about the incident is older than this. */
function openedAtMs(view: IncidentView): number {
  return view.milestones.triggered ?? Math.min(Date.now(), ...view.timeline.map((entry) => entry.atMs));
}
