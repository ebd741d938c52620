/** The demo's vendors behind proxies that can take each of them down, and a runbook that uses all of them. */
import { parseDocument, type YAMLSeq } from 'yaml';
import { type OutageProxy, startOutageProxy } from '../vendors/outage-proxy.ts';
import type { OutageName } from '../vendors/outages.ts';
import { type JsonListener, listenForJson } from '../vendors/webhook-sink.ts';
import type { FirebreakWorld } from './firebreak-process.ts';
import { demoRunbook } from './timings.ts';
import type { Vendors } from './vendors.ts';

export const VENDOR_NAMES = ['pager', 'slack', 'tickets', 'samples', 'notifications'] as const;
export type VendorName = (typeof VENDOR_NAMES)[number];

/** The alert that opens it, and nothing else does: harm that Alertmanager sees meanwhile opens nothing beside. */
export const VENDORS_ALERT = 'VendorOutage';
const RUNBOOK = 'vendor-outage';
const CHANNEL = 'ml-platform';
const MAX_NOTIFICATION_BYTES = 1024 * 1024;

/** One that was told, once for each key: the receiver dedupes, as docs/integrating.md says it may. */
export interface Told {
  incidentId: string;
  attempts: number;
}

export interface VendorsWithOutages {
  proxies: Record<VendorName, OutageProxy>;
  /** Notifications by the webhook channel. */
  told(): Told[];
  /** All bodies that the notification channel took, as text. */
  notifications(): string[];
  /** The world with the proxies in the vendors' places, the notification channel and the runbook. */
  adjust(world: FirebreakWorld): FirebreakWorld;
  /** Begins or ends an outage of several vendors at once. */
  set(outages: Partial<Record<VendorName, OutageName>>): Promise<void>;
  close(): Promise<void>;
}

/** The proxies are this function's to close; the vendors are not. */
export async function startOutages(vendors: Vendors): Promise<VendorsWithOutages> {
  const bodies: string[] = [];
  const told = new Map<string, Told>();
  const receiver = await startReceiver(bodies, told);
  const proxies = {
    pager: await startOutageProxy(vendors.pagerDuty.url),
    slack: await startOutageProxy(vendors.emulators.slack.apiUrl),
    tickets: await startOutageProxy(vendors.emulators.github.apiUrl),
    samples: await startOutageProxy(vendors.samples.url),
    notifications: await startOutageProxy(receiver.url),
  };
  return {
    proxies,
    told: () => [...told.values()].map((one) => ({ ...one })),
    notifications: () => [...bodies],
    adjust: (world) => ({
      ...world,
      pagerDutyUrl: proxies.pager.url,
      github: { ...vendors.emulators.github, apiUrl: proxies.tickets.url },
      slack: { ...vendors.emulators.slack, apiUrl: proxies.slack.url },
      samplesUrl: proxies.samples.url,
      runbooks: { ...world.runbooks, [RUNBOOK]: vendorsRunbook() },
      settings: {
        ...world.settings,
        notifications: { [CHANNEL]: { type: 'webhook', url: proxies.notifications.url } },
        stakeholders: { channels: [CHANNEL] },
      },
    }),
    async set(outages) {
      await Promise.all(VENDOR_NAMES.map((name) => proxies[name].set(outages[name])));
    },
    async close() {
      await Promise.all([...Object.values(proxies).map((proxy) => proxy.close()), receiver.close()]);
    },
  };
}

function startReceiver(bodies: string[], told: Map<string, Told>): Promise<JsonListener> {
  return listenForJson({
    maxBodyBytes: MAX_NOTIFICATION_BYTES,
    handle({ headers, json }) {
      const key = String(headers['idempotency-key']);
      const { incidentId } = json as { incidentId: string };
      bodies.push(JSON.stringify(json));
      told.set(key, { incidentId, attempts: (told.get(key)?.attempts ?? 0) + 1 });
      return { status: 200, body: {} };
    },
    failure: () => ({ error: 'refused' }),
  });
}

/**
 * The demo's runbook with a notification beside the rest, and an incident for each `run` of one target: runs that follow one
 * another within `quietFor` are not repeats.
 */
function vendorsRunbook(): string {
  const document = parseDocument(demoRunbook());
  document.setIn(['metadata', 'name'], RUNBOOK);
  document.setIn(['spec', 'match'], [`alertname="${VENDORS_ALERT}"`]);
  document.setIn(['spec', 'correlateBy'], ['cluster', 'namespace', 'deployment', 'run']);
  const steps = document.getIn(['spec', 'steps']) as YAMLSeq;
  steps.add(
    document.createNode({
      id: 'notify',
      uses: 'notify',
      with: { to: CHANNEL, text: 'A model gives harmful output; Firebreak is at it.' },
    }),
  );
  return document.toString();
}
