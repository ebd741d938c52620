import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  log,
  ParentClosePolicy,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { WatchdogSettings, WatchdogView } from '../../domain/paging.ts';
import { deadMansSwitch } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { pagingWorkflowId, WATCHDOG_KEY_PREFIX, WATCHDOG_WORKFLOW_ID } from '../ids.ts';
import {
  describeWatchdogQuery,
  PAGING_WORKFLOW,
  pageReportedSignal,
  pagesResolvedSignal,
  watchdogConfiguredSignal,
  watchdogSeenSignal,
} from '../messages.ts';
import type { paging } from './workflow.ts';

export interface WatchdogInput {
  settings: WatchdogSettings;
  /** Carried over continue-as-new. */
  state?: Omit<WatchdogView, 'settings'> & {
    page?: string;
    /** Firebreak was away since the alert came last: nobody is paged before. */
    graceUntilMs?: number | undefined;
    /** When this run was to begin. */
    dueMs?: number;
  };
}

/** A timer of the server fires within a second; so much later, nobody was there to see it: Firebreak itself was away. */
const LATE_MS = 30_000;
/** So often it is looked whether somebody is there: an absence that ends before the alert is due explains a gap too. */
const LOOK_EVERY_MS = 60_000;
/** As long as workflows/activities.ts gives a feed in all: one that took longer was not seen to end. */
const FEED_WITHIN_MS = 30_000;
/** From the webhook to here takes seconds. An alert that seems older was told by a replica whose clock is behind. */
const OLDEST_NEWS_MS = 60_000;

/** Feeding is small talk: this many rounds fill a tenth of a history, and the server suggests earlier where it wants to. */
const ROUNDS_A_RUN = 500;

/**
 * Watches that alerts arrive at all. Alertmanager's always-firing alert is told here; when it has not come for `withinMs`,
 * somebody is paged, by Firebreak itself. While it does come, an outside dead man's switch is fed: Prometheus, Alertmanager,
 * the webhook, Temporal and a worker all have had to work for that, and the outside notices when one does not.
 *
 * A workflow, so that a silence is counted through restarts: the timer is the server's. It opens no incident. Where
 * Firebreak itself was away, Alertmanager is waited for once more for as long before anybody is paged.
 */
export async function watchdog(input: WatchdogInput): Promise<void> {
  let settings: WatchdogSettings | undefined = input.settings;
  const state = input.state ?? { lastSeenMs: Date.now(), everSeen: false, undelivered: [] };
  let changed = false;

  setHandler(describeWatchdogQuery, () => {
    const { page: _page, graceUntilMs: _graceUntilMs, dueMs: _dueMs, ...view } = state;
    return { settings: settings ?? input.settings, ...view };
  });
  setHandler(watchdogSeenSignal, ({ atMs }) => {
    // A replica whose clock is ahead must not make the watch last longer, nor one that is behind end it.
    const nowMs = Date.now();
    const oldestMs = nowMs - Math.min(OLDEST_NEWS_MS, (settings ?? input.settings).withinMs / 2);
    state.lastSeenMs = Math.max(state.lastSeenMs, Math.min(Math.max(atMs, oldestMs), nowMs));
    state.everSeen = true;
    state.graceUntilMs = undefined;
    changed = true;
  });
  setHandler(watchdogConfiguredSignal, (configured) => {
    settings = configured.settings;
    changed = true;
  });
  setHandler(pageReportedSignal, ({ role, accepted, withdrawn }) => {
    state.undelivered = state.undelivered.filter((page) => page.role !== role);
    if (accepted === undefined && !withdrawn) state.undelivered.push({ role, sinceMs: Date.now() });
  });

  // Once in a silence, or somebody who restarts Firebreak again and again would never be told.
  const noteAbsence = (expectedMs: number, withinMs: number) => {
    const nowMs = Date.now();
    if (nowMs - expectedMs > LATE_MS && state.page === undefined) state.graceUntilMs ??= nowMs + withinMs;
  };

  let expectedMs = state.dueMs ?? Number.POSITIVE_INFINITY;
  for (let rounds = 0; settings !== undefined; rounds++) {
    changed = false;
    noteAbsence(expectedMs, settings.withinMs);
    const silent = Date.now() >= silentAtMs(settings, state);
    if (silent && state.page === undefined) {
      state.silentSinceMs = state.lastSeenMs;
      state.page = await page(settings, state);
    }
    if (!silent && state.page !== undefined) {
      await resolve(state.page);
      state.page = undefined;
      state.silentSinceMs = undefined;
      state.undelivered = [];
    }
    const dueMs = feedDueMs(settings, state);
    if (!silent && dueMs !== undefined && dueMs <= Date.now()) {
      const beforeMs = Date.now();
      await feed(state);
      if (settings === undefined) break;
      noteAbsence(beforeMs + FEED_WITHIN_MS, settings.withinMs);
    }

    if ((rounds >= ROUNDS_A_RUN || workflowInfo().continueAsNewSuggested) && settings !== undefined) {
      await continueAsNew<typeof watchdog>({ settings, state: { ...state, dueMs: Date.now() } });
    }
    const waits = silent
      ? []
      : [
          silentAtMs(settings, state),
          feedDueMs(settings, state) ?? Number.POSITIVE_INFINITY,
          Date.now() + LOOK_EVERY_MS,
        ];
    const next = Math.min(...waits);
    expectedMs = Number.POSITIVE_INFINITY;
    if (changed) continue;
    if (Number.isFinite(next)) {
      expectedMs = Math.max(next, Date.now());
      await condition(() => changed, Math.max(1, next - Date.now()));
    } else await condition(() => changed);
  }
  if (state.page !== undefined) await resolve(state.page);
}

type State = NonNullable<WatchdogInput['state']>;

function silentAtMs(settings: WatchdogSettings, state: State): number {
  return Math.max(state.lastSeenMs + settings.withinMs, state.graceUntilMs ?? 0);
}

function feedDueMs(settings: WatchdogSettings, state: State): number | undefined {
  if (settings.feedEveryMs === undefined || !state.everSeen) return undefined;
  return (state.lastFedMs ?? 0) + settings.feedEveryMs;
}

async function feed(state: State): Promise<void> {
  // Counted from the attempt: a switch that is down is not hammered.
  state.lastFedMs = Date.now();
  try {
    await deadMansSwitch.feedDeadMansSwitch();
    state.feedProblem = undefined;
  } catch (error) {
    state.feedProblem = readFailure(error).message;
    log.warn("the dead man's switch could not be fed", { problem: state.feedProblem });
  }
}

/** @returns the id that the pages of this silence go by. */
async function page(settings: WatchdogSettings, state: State): Promise<string> {
  const id = `${WATCHDOG_KEY_PREFIX}${state.lastSeenMs}`;
  const minutes = Math.round(settings.withinMs / 60_000);
  const since = new Date(state.lastSeenMs).toISOString();
  await startChild<typeof paging>(PAGING_WORKFLOW, {
    workflowId: pagingWorkflowId(id),
    // It goes on over continue-as-new, and ends by being told to.
    parentClosePolicy: ParentClosePolicy.ABANDON,
    args: [
      {
        incidentId: id,
        replyTo: WATCHDOG_WORKFLOW_ID,
        requests: [
          {
            id: 'watchdog',
            roles: settings.roles,
            dedupKey: id,
            title: `No alerts reach Firebreak: ${settings.alertname} has not arrived for ${minutes} minutes`,
            severity: 'SEV2',
            details: {
              'last seen': state.everSeen ? since : `never; watched since ${since}`,
              'what it means':
                'Prometheus, Alertmanager or the way to Firebreak is down: harm would not be noticed',
              'what to do': 'See whether Alertmanager runs and its receiver firebreak is answered 2xx',
            },
            links: [],
            ...(settings.policy !== undefined && { policy: settings.policy }),
          },
        ],
      },
    ],
  });
  return id;
}

async function resolve(id: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(pagingWorkflowId(id)).signal(pagesResolvedSignal);
  } catch (error) {
    log.warn('the pages of a silence that is over could not be ended', {
      problem: readFailure(error).message,
    });
  }
}
