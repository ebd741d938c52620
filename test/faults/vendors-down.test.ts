/**
 * Vendors down, slow or talking nonsense, one after the other and then all at once, on the real stack: the harm is contained,
 * approved another way, rolled back and proved; what is missing is told, and made up for once the vendor is back.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deliverAlert, incidentOf } from '../../demo/run/deliver-alert.ts';
import { shipV2, startWorld } from '../../demo/run/start-world.ts';
import {
  startOutages,
  VENDOR_NAMES,
  VENDORS_ALERT,
  type VendorName,
  type VendorsWithOutages,
} from '../../demo/run/vendor-outages.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { OutageName } from '../../demo/vendors/outages.ts';
import { imageOf, revisionsOf } from '../../demo/world/models.ts';
import { scenarioOf } from '../../demo/world/scenarios.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { commandLine } from '../e2e/command-line.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { MODEL } from './alert-deliveries.ts';
import { apiOf, incidentWhen, modelIn, stepOf, V1 } from './waiting-incident.ts';

/**
 * Below what a vendor that answers after 60 s would cost; the rest is for a busy machine, on which several incidents go on at once.
 * What outages really cost is measured in pairs: docs/bench-vendors.md.
 */
const CONTAINED_WITHIN_MS = 45_000;
/** Pages that nobody takes are told after two minutes. */
const UNDELIVERED_TOLD_MS = 150_000;
/** The longest pause between two attempts, and the longest attempt that is under way when the vendor comes back. */
const MADE_UP_FOR_MS = 110_000;
/** Each wait has its own limit, and names what it waits for; several incidents after another are longer than one scenario. */
const ONE_BY_ONE_MS = 10 * 60_000;
const ALL_AT_ONCE_MS = CONTAINED_WITHIN_MS + UNDELIVERED_TOLD_MS + MADE_UP_FOR_MS + 120_000;

/** Paged by the runbook. */
const ROLES = 2;

type Outages = Partial<Record<VendorName, OutageName>>;

interface Case {
  outages: Outages;
  /** Steps that end as failed, since trying again would not help: a human is told, and tries again. */
  failed: string[];
}

/** Each vendor, and each kind of outage once: the contract tables of the adapters have the full product. */
const ONE_BY_ONE: Record<string, Case> = {
  pager: { outages: { pager: 'late' }, failed: [] },
  // Refused for good, as with a key that was deleted: nothing tries it again by itself.
  refusal: { outages: { pager: 'not-found' }, failed: ['page'] },
  slack: { outages: { slack: 'not-ok' }, failed: [] },
  tickets: { outages: { tickets: 'reset' }, failed: [] },
  samples: { outages: { samples: 'html' }, failed: ['sample'] },
  notifications: { outages: { notifications: 'huge' }, failed: ['notify'] },
  all: {
    outages: {
      pager: 'rate-limited',
      slack: 'html',
      tickets: 'error-500',
      samples: 'not-found',
      notifications: 'late',
    },
    failed: ['sample'],
  },
};
const ALL_AT_ONCE: Case = {
  outages: {
    pager: 'refused',
    slack: 'rate-limited',
    tickets: 'trickle',
    samples: 'wrong-json',
    notifications: 'error-500',
  },
  failed: ['sample'],
};

const namespaceOf = (name: string) => `vendors-${name}`;

/** One installation whose vendors can be taken down, and models that are harmful already. */
function harmfulModels(name: string, namespaces: readonly string[]) {
  const stops: (() => Promise<void>)[] = [];
  const made: { installation?: Installation; outages?: VendorsWithOutages } = {};
  beforeAll(async () => {
    const installation = await install({
      name,
      namespaces: Object.fromEntries(namespaces.map((namespace) => [namespace, 'approve'])),
      adjust: async (world, vendors) => {
        made.outages = await startOutages(vendors);
        return made.outages.adjust(world);
      },
    });
    made.installation = installation;
    await Promise.all(
      namespaces.map(async (namespace) => {
        const world = {
          scenario: scenarioOf('rollback'),
          stack: installation.stack,
          samples: installation.vendors.samples,
          namespace,
          canary: namespace,
          story: () => undefined,
        };
        await shipV2(world, await startWorld(world, stops));
      }),
    );
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
    for (const namespace of namespaces) {
      await made.installation?.stack.prometheus.writeTargets(namespace, []);
    }
    await made.installation?.close();
    await made.outages?.close();
  });
  return () => {
    const { installation, outages } = made;
    if (!installation || !outages) throw new Error('the installation did not start');
    return { installation, outages };
  };
}

describe.concurrent('vendors', () => {
  describe('one after the other', () => {
    const world = harmfulModels('vendors-one-by-one', Object.keys(ONE_BY_ONE).map(namespaceOf));

    it(
      'delay no containment and no rollback, and get what they missed once they are back',
      async () => {
        const { installation, outages } = world();
        const ended: Promise<void>[] = [];
        for (const [name, { outages: some, failed }] of Object.entries(ONE_BY_ONE)) {
          const namespace = namespaceOf(name);
          await outages.set(some);
          const incidentId = await openAndContain(installation, namespace);
          await approveThroughApi(installation, incidentId);
          const view = await incidentWhen(installation, incidentId, 'being rolled back', rolledBack);
          expectWhatFailed(view, some, failed);
          for (const vendor of Object.keys(some) as VendorName[]) {
            if (some[vendor] !== 'refused')
              expect(outages.proxies[vendor].disturbed(), vendor).toBeGreaterThan(0);
          }
          await outages.set({});
          // The next vendor goes down while this incident proves its recovery.
          const pages = some.pager === undefined || failed.includes('page') ? ROLES : 0;
          ended.push(expectWholeEnd(installation, outages, { namespace, incidentId, pages }));
          ended.at(-1)?.catch(() => undefined);
        }
        await Promise.all(ended);
      },
      ONE_BY_ONE_MS,
    );
  });

  describe('all at once', () => {
    const namespace = namespaceOf('all-at-once');
    const world = harmfulModels('vendors-all-at-once', [namespace]);

    it(
      'leave everything that protects users as it is, and need a human for what nobody was told',
      async () => {
        const { installation, outages } = world();
        await outages.set(ALL_AT_ONCE.outages);
        const incidentId = await openAndContain(installation, namespace);
        await awaitAsked(installation, incidentId);
        const told = await pollUntil('undelivered pages being told', UNDELIVERED_TOLD_MS, async () => {
          const view = await apiOf(installation, 'maria').incident(incidentId);
          return (view.undelivered ?? []).length >= ROLES ? view : undefined;
        });
        expect(told.state).toBe('needs-human');
        expect(told.humanNeeded).toEqual(
          expect.arrayContaining(['nobody could page ml-oncall', 'nobody could page security-oncall']),
        );
        expect(told.timeline.map(({ text }) => text)).toContainEqual(
          expect.stringMatching(/^No channel has accepted so far the page to ml-oncall: /),
        );

        const { url, tokens } = installation.firebreak;
        const approved = await commandLine(['incident', 'approve', incidentId, '--yes'], {
          env: { FIREBREAK_URL: url, FIREBREAK_TOKEN: tokens.maria },
        });
        expect(approved.code, approved.err).toBe(0);
        const proved = await incidentWhen(installation, incidentId, 'being proved', proven);
        expectWhatFailed(proved, ALL_AT_ONCE.outages, ALL_AT_ONCE.failed);
        // Somebody is on it, so that nobody could be paged needs nobody any more.
        expect(proved.humanNeeded.filter((reason) => reason.startsWith('nobody could page'))).toEqual([]);

        await outages.set({});
        await expectWholeEnd(installation, outages, { namespace, incidentId, pages: 0 });
      },
      ALL_AT_ONCE_MS,
    );
  });
});

function alertOf(namespace: string, status: 'firing' | 'resolved' = 'firing') {
  return {
    status,
    labels: { alertname: VENDORS_ALERT, cluster: 'local', namespace, deployment: MODEL, run: '1' },
  };
}

async function openAndContain(installation: Installation, namespace: string): Promise<string> {
  const workflowId = await deliverAlert(installation.firebreak, alertOf(namespace));
  const incidentId = await incidentOf(apiOf(installation, 'maria'), workflowId);
  const { milestones } = await incidentWhen(
    installation,
    incidentId,
    'being contained',
    (view) => view.milestones.contained !== undefined,
  );
  expect((milestones.contained ?? Number.NaN) - (milestones.triggered ?? 0)).toBeLessThan(
    CONTAINED_WITHIN_MS,
  );
  return incidentId;
}

async function awaitAsked(installation: Installation, incidentId: string): Promise<string> {
  const { pendingApprovals } = await incidentWhen(
    installation,
    incidentId,
    'waiting for approval',
    (view) => view.pendingApprovals.length > 0,
  );
  return pendingApprovals[0]?.planHash ?? '';
}

async function approveThroughApi(installation: Installation, incidentId: string): Promise<void> {
  const planHash = await awaitAsked(installation, incidentId);
  const path = `/incidents/${incidentId}/approve`;
  const { status, body } = await apiOf(installation, 'maria').call('POST', path, { planHash });
  expect(status, JSON.stringify(body)).toBe(200);
}

function rolledBack(view: IncidentView): boolean {
  return view.milestones.rolledBack !== undefined;
}

function proven(view: IncidentView): boolean {
  return view.verification?.outcome === 'recovered' && view.milestones.restored !== undefined;
}

const STEP_OF = { pager: 'page', tickets: 'ticket', samples: 'sample', notifications: 'notify' } as const;

/** What a vendor did not take is seen to be missing, and nothing else is. */
function expectWhatFailed(view: IncidentView, outages: Outages, failed: readonly string[]): void {
  const timeline = view.timeline.map(({ text }) => text);
  for (const vendor of VENDOR_NAMES) {
    if (vendor === 'slack') {
      if (outages.slack !== undefined) expect(view.chatShown).not.toBe(true);
      continue;
    }
    const step = stepOf(view, STEP_OF[vendor]);
    const isFailed = failed.includes(STEP_OF[vendor]);
    if (outages[vendor] === undefined) {
      // It may have a part that waits for another vendor's: samples are attached to the ticket.
      if (vendor !== 'samples' || outages.tickets === undefined)
        expect([vendor, step?.status]).toEqual([vendor, 'succeeded']);
    } else if (vendor === 'pager' && !isFailed) {
      // Whoever approved is on it, so nobody has to be reached any more; a call under way is let end.
      expect(['running', 'succeeded']).toContain(step?.status);
      expect(view.pages).toEqual([]);
    } else expect([vendor, step?.status]).toEqual([vendor, isFailed ? 'failed' : 'running']);
    if (isFailed) {
      expect(timeline).toContainEqual(expect.stringMatching(new RegExp(`${STEP_OF[vendor]}.*failed`)));
      expect(view.humanNeeded).toContainEqual(expect.stringContaining(`step ${STEP_OF[vendor]} failed`));
      if (vendor === 'pager') expect(view.humanNeeded).toContain('nobody could page ml-oncall');
    }
  }
}

/** Every vendor has what it should have, once, after people tried again what had been given up. */
async function expectWholeEnd(
  installation: Installation,
  outages: VendorsWithOutages,
  { namespace, incidentId, pages: paged }: { namespace: string; incidentId: string; pages: number },
): Promise<void> {
  const api = apiOf(installation, 'sam');
  const whole = await pollUntil(`what incident ${incidentId} is still missing`, MADE_UP_FOR_MS, async () => {
    const view = await api.incident(incidentId);
    for (const { id, status } of view.steps) {
      if (status !== 'failed') continue;
      await api.call('POST', `/incidents/${incidentId}/retry-step`, { step: id, reason: 'it is back' });
    }
    const missing = view.steps.filter(
      ({ id, status }) => id !== 'postmortem' && status !== 'succeeded' && status !== 'failed',
    );
    const shown = view.chatShown === true && view.pages.length >= paged;
    if (missing.length > 0 || !shown || !proven(view)) {
      const what = missing.map(({ id, status }) => `${id} is ${status}`);
      throw new Error(`${what.join(', ')}; chat ${view.chatShown}, ${view.pages.length} pages`);
    }
    return view;
  });
  expect(await imageOf(modelIn(installation, namespace))).toBe(V1);
  expect((await revisionsOf(modelIn(installation, namespace))).current).toBe(3);

  await deliverAlert(installation.firebreak, alertOf(namespace, 'resolved'));
  const closed = await incidentWhen(
    installation,
    incidentId,
    'being closed',
    (view) => view.state === 'closed',
  );
  expect(closed.outcome).toBe('recovered');
  expect(closed.humanNeeded).toEqual([]);
  expect(closed.timeline.map(({ seq }) => seq)).toEqual(closed.timeline.map((_, index) => index + 1));

  const { vendors } = installation;
  const issues = await vendors.emulators.github.issues();
  const tickets = issues.filter(
    ({ labels, body }) => labels.includes('firebreak-ticket') && body.includes(incidentId),
  );
  expect(tickets).toHaveLength(1);
  expect(whole.samples?.count).toBeGreaterThan(0);
  expect(tickets[0]?.comments.filter((text) => text.includes('| sample | request |'))).toHaveLength(1);

  const messages = await vendors.emulators.slack.messages();
  const roots = messages.filter(
    ({ ts, thread_ts, blocks }) =>
      (thread_ts === undefined || thread_ts === ts) && JSON.stringify(blocks).includes(incidentId),
  );
  expect(roots).toHaveLength(1);

  const keys = new Set(
    vendors.pagerDuty
      .events()
      .filter(({ payload }) => payload?.custom_details?.incident === incidentId)
      .map(({ routing_key, dedup_key }) => `${routing_key} ${dedup_key}`),
  );
  const pages = vendors.pagerDuty
    .pages()
    .map(({ routingKey, dedupKey }) => `${routingKey} ${dedupKey}`)
    .filter((key) => keys.has(key));
  expect(pages.length).toBeGreaterThanOrEqual(paged);
  expect(new Set(pages).size).toBe(pages.length);

  expect(outages.told().filter((told) => told.incidentId === incidentId)).toHaveLength(1);
}
