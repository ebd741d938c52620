import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import type {
  NotificationActivities,
  PagingActivities,
  WatchdogActivities,
} from '../../activities/contract.ts';
import type { PageRequest, ResolvedPolicy, WatchdogView } from '../../domain/paging.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { configureWatchdog } from '../../worker/watchdog.ts';
import { WATCHDOG_WORKFLOW_ID } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { withTimeSkipping } from './time-skipping.ts';

const MINUTE_MS = 60_000;
const POLICY: ResolvedPolicy = {
  levels: [
    { roles: ['first'], afterMs: 5 * MINUTE_MS },
    { roles: ['second', 'third'], afterMs: 10 * MINUTE_MS },
  ],
  repeats: 1,
};
const REQUEST: PageRequest = {
  id: '1.page.1',
  roles: [],
  dedupKey: 'key',
  title: 'Harm',
  severity: 'SEV1',
  details: {},
  links: [],
  policy: 'day',
};

/** The activities that pages need, with what they were asked. */
class Pagers {
  sent: { role: string; dedupKey: string; title: string; atMinute: number }[] = [];
  updates: string[] = [];
  notified: string[] = [];
  fed: number[] = [];
  policy: () => ResolvedPolicy = () => POLICY;
  /** Roles whose channels refuse for good, or are away. */
  refusing = new Set<string>();
  away = new Set<string>();
  switchAway = false;
  /** While set, pages wait for it and are accepted then, cancelled or not: as a vendor that is slow to answer. */
  slow: Promise<void> | undefined;
  asked: string[] = [];
  /** What was accepted and told, in this order. */
  log: string[] = [];
  private readonly startMs: number;
  private readonly now: () => Promise<number>;

  constructor(startMs: number, now: () => Promise<number>) {
    this.startMs = startMs;
    this.now = now;
  }

  async minute(): Promise<number> {
    return Math.round(((await this.now()) - this.startMs) / MINUTE_MS);
  }

  activities(): PagingActivities & WatchdogActivities & Pick<NotificationActivities, 'sendNotification'> {
    return {
      sendPage: async ({ role, dedupKey, title }) => {
        this.asked.push(role);
        await this.slow;
        if (this.refusing.has(role))
          throw ApplicationFailure.nonRetryable(`${role} is refused`, 'InvalidInput');
        if (this.away.has(role))
          throw ApplicationFailure.create({
            type: 'Unavailable',
            message: `${role} is away`,
            nextRetryDelay: MINUTE_MS,
          });
        this.log.push(`accepted ${role}`);
        this.sent.push({ role, dedupKey, title, atMinute: await this.minute() });
        return { accepted: { channel: 'pagerduty', atMs: await this.now(), reference: dedupKey } };
      },
      updatePage: async ({ role, dedupKey, action }) => {
        this.updates.push(`${action} ${role} ${dedupKey}`);
        this.log.push(`${action} ${role}`);
        return { updated: ['pagerduty'] };
      },
      resolvePolicy: async () => this.policy(),
      sendNotification: async ({ channel, title }) => {
        this.notified.push(`${channel}: ${title}`);
        return { reference: 'n' };
      },
      feedDeadMansSwitch: async () => {
        if (this.switchAway) throw ApplicationFailure.nonRetryable('the switch answered 404', 'NotFound');
        this.fed.push(await this.minute());
        return { fed: true };
      },
    };
  }
}

let bundle: string;
beforeAll(async () => {
  bundle = await workflowBundle();
});

function withPagers(
  test: (parts: { env: TestWorkflowEnvironment; pagers: Pagers; taskQueue: string }) => Promise<void>,
): Promise<void> {
  return withTimeSkipping(async (env, orLost) => {
    const pagers = new Pagers(await env.currentTimeMs(), () => env.currentTimeMs());
    const taskQueue = 'firebreak';
    const worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue,
      workflowBundle: { codePath: bundle },
      activities: pagers.activities(),
    });
    await worker.runUntil(orLost(test({ env, pagers, taskQueue })));
  });
}

async function startPaging(env: TestWorkflowEnvironment, taskQueue: string, request: PageRequest = REQUEST) {
  return env.client.workflow.start(messages.PAGING_WORKFLOW, {
    workflowId: `paging-${randomUUID()}`,
    taskQueue,
    args: [{ incidentId: 'inc-1', replyTo: REPLY_TO, requests: [request] }],
  });
}

/** Reports go to a workflow that is there: the watchdog takes them as any incident does. */
const REPLY_TO = WATCHDOG_WORKFLOW_ID;

/** Those of one level are paged side by side, in any order. */
const roles = (pagers: Pagers) =>
  [...pagers.sent]
    .sort((a, b) => a.atMinute - b.atMinute || (a.role < b.role ? -1 : 1))
    .map(({ role, atMinute }) => `${atMinute} ${role}`);

describe('an escalation policy', () => {
  it('calls level after level, again as often as it says, and ends', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await startPaging(env, taskQueue);
      await env.sleep('3h');
      expect(roles(pagers)).toEqual(['0 first', '5 second', '5 third', '15 first', '20 second', '20 third']);
      // Keys of their own, or a vendor that dedupes would wake nobody again.
      expect(new Set(pagers.sent.map(({ dedupKey }) => dedupKey)).size).toBe(4);
      expect(pagers.sent[0]?.dedupKey).toBe('key');
    });
  });

  it('is asked for anew when its levels are repeated: then it may be night', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      let asked = 0;
      pagers.policy = () => {
        asked++;
        return asked === 1 ? POLICY : { levels: [{ roles: ['night'], afterMs: MINUTE_MS }], repeats: 1 };
      };
      await startPaging(env, taskQueue);
      await env.sleep('2h');
      expect(roles(pagers)).toEqual(['0 first', '5 second', '5 third', '15 night']);
      expect(asked).toBe(2);
    });
  });

  it('stops when somebody acknowledges, tells all vendors, and goes on when that lapses', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      const handle = await startPaging(env, taskQueue);
      await env.sleep('1m');
      await handle.signal(messages.pagesAcknowledgedSignal, { by: 'mara' });
      await env.sleep('1h');
      expect(roles(pagers)).toEqual(['0 first']);
      expect(pagers.updates).toEqual(['acknowledge first key']);
      await handle.signal(messages.pagesUnacknowledgedSignal);
      await env.sleep('6m');
      // The pager itself calls the first again; five minutes later it is the next level's turn.
      expect(roles(pagers)).toEqual(['0 first', '66 second', '66 third']);
    });
  });

  it('calls the next level at once when a person asks for it', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      const handle = await startPaging(env, taskQueue);
      await env.sleep('1m');
      await handle.signal(messages.pagesEscalatedSignal, { by: 'mara', id: 'escalated-1' });
      await env.sleep('1m');
      expect(roles(pagers)).toEqual(['0 first', '1 second', '1 third']);
    });
  });

  it('that was escalated after an acknowledgement stops at the next one, and says why it calls', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      const escalate = { afterMs: 5 * MINUTE_MS, to: ['lead'] };
      const handle = await startPaging(env, taskQueue, { ...REQUEST, escalate });
      await env.sleep('1m');
      await handle.signal(messages.pagesAcknowledgedSignal, { by: 'mara' });
      await env.sleep('10m');
      await handle.signal(messages.pagesEscalatedSignal, { by: 'firebreak', id: 'approval-overdue' });
      await env.sleep('1m');
      expect(roles(pagers)).toEqual(['0 first', '11 lead', '11 second', '11 third']);
      expect(pagers.sent.slice(1).map(({ title }) => title)).toEqual(Array(3).fill('Escalated: Harm'));
      expect(new Set(pagers.sent.map(({ dedupKey, role }) => `${role} ${dedupKey}`)).size).toBe(4);
      await handle.signal(messages.pagesAcknowledgedSignal, { by: 'ben' });
      await env.sleep('2h');
      expect(pagers.sent).toHaveLength(4);
      // An acknowledgement that lapses is no escalation.
      await handle.signal(messages.pagesUnacknowledgedSignal);
      await env.sleep('6m');
      expect(new Set(pagers.sent.slice(4).map(({ title }) => title))).toEqual(
        new Set(['Not acknowledged: Harm']),
      );
    });
  });

  it('that has ended begins again when somebody asks for help', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.policy = () => ({ levels: [{ roles: ['first'], afterMs: MINUTE_MS }], repeats: 0 });
      const handle = await startPaging(env, taskQueue);
      await env.sleep('1h');
      expect(roles(pagers)).toEqual(['0 first']);
      await handle.signal(messages.pagesEscalatedSignal, { by: 'mara', id: 'escalated-1' });
      await env.sleep('1h');
      expect(roles(pagers)).toEqual(['0 first', '60 first']);
      expect(new Set(pagers.sent.map(({ dedupKey }) => dedupKey)).size).toBe(2);
    });
  });

  it('gives up what no channel has taken when somebody acknowledges, and what is asked for later goes out', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.away.add('ops');
      const handle = await startPaging(env, taskQueue, { ...REQUEST, roles: ['ops'] });
      await env.sleep('3m');
      await handle.signal(messages.pagesAcknowledgedSignal, { by: 'mara' });
      await handle.signal(messages.pageRequestedSignal, {
        ...REQUEST,
        id: 'later',
        dedupKey: 'later',
        roles: ['commander'],
        policy: undefined,
      });
      await env.sleep('2m');
      pagers.away.clear();
      await env.sleep('1h');
      expect(roles(pagers)).toEqual(['0 first', '3 commander']);
      // A vendor may have taken it with its answer lost. The later page is acknowledged by nobody.
      expect([...pagers.updates].sort()).toEqual(['acknowledge first key', 'acknowledge ops key']);
      // Nobody was reached by it, so it is asked for again when the acknowledgement lapses.
      await handle.signal(messages.pagesUnacknowledgedSignal);
      await env.sleep('1m');
      expect(roles(pagers)).toContain('65 ops');
    });
  });

  it('acknowledges at the vendor what was accepted while somebody acknowledged here', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      let answer: () => void = () => undefined;
      pagers.slow = new Promise((resolve) => {
        answer = resolve;
      });
      const handle = await startPaging(env, taskQueue);
      await expect.poll(() => pagers.asked, { timeout: 10_000 }).toEqual(['first']);
      await handle.signal(messages.pagesAcknowledgedSignal, { by: 'mara' });
      // Answered after the signal's task: only then is the page accepted.
      await handle.query('__stack_trace');
      answer();
      await expect
        .poll(() => pagers.log, { timeout: 10_000 })
        .toEqual(['accepted first', 'acknowledge first']);
      await env.sleep('1h');
      expect(pagers.sent).toHaveLength(1);
    });
  });

  it('does not wait for a level that refuses, and turns to the channel once all have', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      for (const role of ['first', 'second', 'third']) pagers.refusing.add(role);
      pagers.policy = () => ({ ...POLICY, fallOver: { channel: 'war-room' } });
      await startPaging(env, taskQueue);
      await env.sleep('1m');
      expect(pagers.notified).toEqual(['war-room: Nobody could be paged: Harm']);
      await env.sleep('1h');
      expect(pagers.notified).toHaveLength(1);
    });
  });

  it('turns to another role where no level has taken the page by the end of a round', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      for (const role of ['first', 'second', 'third']) pagers.away.add(role);
      pagers.policy = () => ({ ...POLICY, fallOver: { role: 'everybody' } });
      await startPaging(env, taskQueue);
      await env.sleep('16m');
      expect(roles(pagers)).toEqual(['15 everybody']);
    });
  });

  it('triggers nothing after a resolve, and resolves whatever was asked for', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.away.add('second');
      const handle = await startPaging(env, taskQueue);
      await env.sleep('6m');
      await handle.signal(messages.pagesResolvedSignal);
      await handle.result();
      const before = pagers.sent.length;
      pagers.away.clear();
      await env.sleep('2h');
      expect(pagers.sent).toHaveLength(before);
      const second = pagers.updates.filter((update) => update.startsWith('resolve second'));
      expect(second).toHaveLength(1);
      expect(pagers.updates.filter((update) => update === 'resolve first key')).toHaveLength(1);
    });
  });

  it('stops after 60 calls, whatever it says', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.policy = () => ({ levels: [{ roles: ['first'], afterMs: MINUTE_MS }], repeats: 1_000 });
      await startPaging(env, taskQueue);
      await env.sleep('5h');
      expect(pagers.sent).toHaveLength(60);
    });
  });
});

describe('the watchdog of alerts', () => {
  const SETTINGS = {
    alertname: 'Watchdog',
    withinMs: 10 * MINUTE_MS,
    roles: ['ops'],
    feedEveryMs: MINUTE_MS,
  };
  const describeIt = (env: TestWorkflowEnvironment): Promise<WatchdogView> =>
    env.client.workflow.getHandle(WATCHDOG_WORKFLOW_ID).query(messages.describeWatchdogQuery);
  const seen = async (env: TestWorkflowEnvironment) =>
    env.client.workflow
      .getHandle(WATCHDOG_WORKFLOW_ID)
      .signal(messages.watchdogSeenSignal, { atMs: await env.currentTimeMs() });

  it('pages once when the alert does not come, and ends the page when it does', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      await env.sleep('1m');
      await seen(env);
      await env.sleep('9m');
      expect(pagers.sent).toEqual([]);
      await env.sleep('2h');
      expect(roles(pagers)).toEqual(['11 ops']);
      expect((await describeIt(env)).silentSinceMs).toBeDefined();
      await seen(env);
      await env.sleep('1m');
      expect(pagers.updates).toEqual([`resolve ops ${pagers.sent[0]?.dedupKey}`]);
      expect((await describeIt(env)).silentSinceMs).toBeUndefined();
      await env.sleep('1h');
      expect(roles(pagers)).toHaveLength(2);
    });
  });

  it('feeds the switch while alerts come, never before, and not while they do not', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      await env.sleep('5m');
      expect(pagers.fed).toEqual([]);
      for (let times = 0; times < 3; times++) {
        await seen(env);
        await env.sleep('5m');
      }
      const fed = pagers.fed.length;
      expect(fed).toBeGreaterThanOrEqual(14);
      await env.sleep('1h');
      // 5 minutes of the 10 were left.
      expect(pagers.fed.length - fed).toBeLessThanOrEqual(6);
      expect(Math.max(...pagers.fed)).toBeLessThanOrEqual(25);
    });
  });

  it('goes on when the switch refuses, and says so', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.switchAway = true;
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      await seen(env);
      await env.sleep('2m');
      expect((await describeIt(env)).feedProblem).toContain('404');
      await env.sleep('20m');
      expect(roles(pagers)).toHaveLength(1);
    });
  });

  it('takes the configuration as it is now, and ends when it is taken out', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      await configureWatchdog(env.client, taskQueue, { ...SETTINGS, withinMs: 30 * MINUTE_MS });
      await env.sleep('20m');
      expect(pagers.sent).toEqual([]);
      await configureWatchdog(env.client, taskQueue, undefined);
      await env.client.workflow.getHandle(WATCHDOG_WORKFLOW_ID).result();
      await configureWatchdog(env.client, taskQueue, undefined);
      expect(pagers.sent).toEqual([]);
    });
  });

  it('is fed by a replica whose clock is an hour behind, and no silence is over by one that is ahead', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      const seenBy = async (aheadMs: number) =>
        env.client.workflow
          .getHandle(WATCHDOG_WORKFLOW_ID)
          .signal(messages.watchdogSeenSignal, { atMs: (await env.currentTimeMs()) + aheadMs });
      for (let times = 0; times < 6; times++) {
        await seenBy(-60 * MINUTE_MS);
        await env.sleep('5m');
      }
      expect(pagers.sent).toEqual([]);
      await seenBy(60 * MINUTE_MS);
      await env.sleep('11m');
      expect(pagers.sent).toHaveLength(1);
    });
  });

  it.each([true, false])(
    'waits once more for the alert after Firebreak itself was away; it comes: %s',
    async (comes) => {
      await withPagers(async ({ env, pagers, taskQueue }) => {
        const nowMs = await env.currentTimeMs();
        // The server skips no time while a task waits for a worker, so the late task is one that was delayed.
        await env.client.workflow.start(messages.WATCHDOG_WORKFLOW, {
          workflowId: WATCHDOG_WORKFLOW_ID,
          taskQueue,
          startDelay: '12m',
          args: [
            {
              settings: { ...SETTINGS, feedEveryMs: undefined },
              state: { lastSeenMs: nowMs, dueMs: nowMs, everSeen: true, undelivered: [] },
            },
          ],
        });
        await env.sleep('17m');
        expect(pagers.sent).toEqual([]);
        if (comes) await seen(env);
        await env.sleep('6m');
        expect(roles(pagers)).toEqual(comes ? [] : ['22 ops']);
      });
    },
  );

  it('keeps count over many runs of itself', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      await configureWatchdog(env.client, taskQueue, { ...SETTINGS, withinMs: 24 * 60 * MINUTE_MS });
      await seen(env);
      await env.sleep('25h');
      // A feed a minute: more than one run holds.
      expect(pagers.fed.length).toBeGreaterThan(1_400);
      expect(roles(pagers)).toHaveLength(1);
      const { runId } = await env.client.workflow.getHandle(WATCHDOG_WORKFLOW_ID).describe();
      expect(runId).toBeDefined();
    });
  });

  it('tells of a page of its own that nobody takes', async () => {
    await withPagers(async ({ env, pagers, taskQueue }) => {
      pagers.refusing.add('ops');
      await configureWatchdog(env.client, taskQueue, SETTINGS);
      await env.sleep('11m');
      expect((await describeIt(env)).undelivered).toMatchObject([{ role: 'ops' }]);
    });
  });
});
