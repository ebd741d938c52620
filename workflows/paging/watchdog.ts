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
  state?: Omit<WatchdogView, 'settings'> & { page?: string };
}

/** Feeding is small talk: this many rounds fill a tenth of a history, and the server suggests earlier where it wants to. */
const ROUNDS_A_RUN = 500;

/**
 * Watches that alerts arrive at all. Alertmanager's always-firing alert is told here; when it has not come for `withinMs`,
 * somebody is paged, by Firebreak itself. While it does come, an outside dead man's switch is fed: Prometheus, Alertmanager,
 * the webhook, Temporal and a worker all have had to work for that, and the outside notices when one does not.
 *
 * A workflow, so that a silence is counted through restarts: the timer is the server's. It opens no incident.
 */
export async function watchdog(input: WatchdogInput): Promise<void> {
  let settings: WatchdogSettings | undefined = input.settings;
  const state = input.state ?? { lastSeenMs: Date.now(), everSeen: false, undelivered: [] };
  let changed = false;

  setHandler(describeWatchdogQuery, () => {
    const { page: _page, ...view } = state;
    return { settings: settings ?? input.settings, ...view };
  });
  setHandler(watchdogSeenSignal, ({ atMs }) => {
    // A server whose clock is ahead must not make the watch last longer.
    state.lastSeenMs = Math.max(state.lastSeenMs, Math.min(atMs, Date.now()));
    state.everSeen = true;
    changed = true;
  });
  setHandler(watchdogConfiguredSignal, (configured) => {
    settings = configured.settings;
    changed = true;
  });
  setHandler(pageReportedSignal, ({ role, accepted }) => {
    state.undelivered = state.undelivered.filter((page) => page.role !== role);
    if (accepted === undefined) state.undelivered.push({ role, sinceMs: Date.now() });
  });

  for (let rounds = 0; settings !== undefined; rounds++) {
    changed = false;
    const nowMs = Date.now();
    const silent = nowMs - state.lastSeenMs >= settings.withinMs;
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
    if (!silent && dueMs !== undefined && dueMs <= Date.now()) await feed(state);

    if ((rounds >= ROUNDS_A_RUN || workflowInfo().continueAsNewSuggested) && settings !== undefined) {
      await continueAsNew<typeof watchdog>({ settings, state });
    }
    const waits = silent
      ? []
      : [state.lastSeenMs + settings.withinMs, feedDueMs(settings, state) ?? Number.POSITIVE_INFINITY];
    const next = Math.min(...waits);
    if (changed) continue;
    if (Number.isFinite(next)) await condition(() => changed, Math.max(1, next - Date.now()));
    else await condition(() => changed);
  }
  if (state.page !== undefined) await resolve(state.page);
}

type State = NonNullable<WatchdogInput['state']>;

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
