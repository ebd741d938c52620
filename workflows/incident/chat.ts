/** Keeps chat up to date with the incident: what is newest, never faster than people read, whatever the vendor does. */
import { condition, isCancellation, log, sleep } from '@temporalio/workflow';
import type { ChatMessageRef, ChatPublication } from '../../activities/contract.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { chat } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { Incident } from './state.ts';

/** Pause between two publications: Slack allows about one a second in a channel, and changes come in bursts. */
const CHAT_PAUSE_MS = 1_500;
/** Longest pause after failures: once the vendor is back, people see how it stands within a minute. */
const MAX_CHAT_PAUSE_MS = 60_000;

/**
 * Publishes after each change until the incident ends. It runs beside everything else: nothing waits for it, and what
 * changes while it waits for the vendor is published at once afterwards, in one go.
 * @param ending whether this run of the workflow ends; then nothing is tried again.
 */
export async function keepChat(state: Incident, ending: () => boolean): Promise<void> {
  const { data } = state;
  let shown = -1;
  let failures = 0;
  let wakeAfterMs: number | undefined;
  for (;;) {
    const isNews = () => state.version !== shown || ending();
    if (wakeAfterMs === undefined) await condition(isNews);
    else await condition(isNews, wakeAfterMs);
    if (state.version === shown && ending()) return;
    const { version } = state;
    const known = data.chatMessage;
    // Where this run ends before the answer is there, the next one has to look for what was posted.
    if (known) data.chatMessage = { ...known, uncertain: true };
    let published: ChatPublication | undefined;
    try {
      published = await chat.publishIncident({
        view: viewSince(state.view(), known),
        ...(known && { message: known }),
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      if (!known) data.chatFailed = true;
      log.warn('chat could not be updated', { problem: readFailure(error).message });
    }
    if (published) {
      // Chat is not configured, and will not be while this runs.
      if (!published.message && published.againAfterMs === undefined) return;
      data.chatMessage = published.message;
      if (published.problem !== undefined)
        log.warn('chat could not be updated in full', { problem: published.problem });
    }
    wakeAfterMs = published?.wakeAfterMs;
    const failed = published === undefined || published.problem !== undefined;
    failures = failed ? failures + 1 : 0;
    if (!failed && published?.againAfterMs === undefined) shown = version;
    else if (failed && ending()) return;
    const backoffMs = failed ? Math.min(CHAT_PAUSE_MS * 2 ** failures, MAX_CHAT_PAUSE_MS) : 0;
    await pause(Math.max(CHAT_PAUSE_MS, backoffMs, published?.againAfterMs ?? 0), shown, state, ending);
  }
}

/** The view without what is posted: histories hold every one of them. */
function viewSince(view: IncidentView, known: ChatMessageRef | undefined): IncidentView {
  return { ...view, timeline: view.timeline.filter(({ seq }) => seq > (known?.postedSeq ?? -1)) };
}

async function pause(forMs: number, shown: number, state: Incident, ending: () => boolean): Promise<void> {
  // With nothing left to publish, the end need not be waited for.
  if (ending() && state.version === shown) return;
  if (ending()) await sleep(CHAT_PAUSE_MS);
  else await condition(ending, forMs);
}
