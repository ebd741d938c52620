import type { Alert, AlertDelivery, AlertsReceived } from '../../domain/alert.ts';
import type { IncidentGateway } from '../gateway/types.ts';
import { jsonBytes, truncate } from './bound.ts';
import { type AlertGroup, groupAlerts, type RouteAlert, sha256Hex } from './group.ts';

/**
 * Alerts of one signal, as JSON. Temporal refuses payloads above 2 MB (and a request above 4 MB); encryption and base64 add
 * a third, and the start's input travels in the same request.
 */
export const MAX_SIGNAL_BYTES = 512 * 1024;
/** Incidents of one delivery that are signalled side by side: a delivery may touch hundreds. */
const PARALLEL_GROUPS = 16;
/** The group key repeats matchers and group labels; its hash is what identifies it. */
const MAX_GROUP_KEY = 4 * 1024;
const MAX_URL = 4 * 1024;

export interface DeliveryResult {
  incidents: { workflowId: string; runbook: string; firing: number; resolved: number; ignored: boolean }[];
  unmatched: Alert[];
  signals: number;
}

/** Splits alerts so that each part weighs at most `maxBytes` as JSON; order is kept, nothing is lost. */
function chunkAlerts(alerts: readonly Alert[], maxBytes: number): Alert[][] {
  const chunks: Alert[][] = [];
  let chunk: Alert[] = [];
  let chunkBytes = 0;
  for (const alert of alerts) {
    const bytes = jsonBytes(alert) + 1;
    if (chunk.length > 0 && chunkBytes + bytes > maxBytes) {
      chunks.push(chunk);
      chunk = [];
      chunkBytes = 0;
    }
    chunk.push(alert);
    chunkBytes += bytes;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}

/**
 * Hands a delivery to its incidents. Resolves only when Temporal has durably accepted every alert of it.
 * Sending a delivery again is harmless: a known fingerprint changes a counter only.
 * @throws GatewayError of the first incident that could not be reached.
 */
export async function deliver(
  delivery: AlertDelivery,
  receivedAtMs: number,
  deps: { gateway: IncidentGateway; routeAlert: RouteAlert },
): Promise<DeliveryResult> {
  const { groups, unmatched } = groupAlerts(delivery.alerts, deps.routeAlert);
  const envelope: Omit<AlertsReceived, 'alerts'> = {
    groupKey: truncate(delivery.groupKey, MAX_GROUP_KEY),
    dedupKey: sha256Hex(delivery.groupKey),
    receivedAtMs,
    truncatedAlerts: delivery.truncatedAlerts,
    externalUrl: truncate(delivery.externalURL, MAX_URL),
  };

  const result: DeliveryResult = { incidents: [], unmatched, signals: 0 };
  await forEachLimited(groups, PARALLEL_GROUPS, async (group) => {
    const { signals, ignored } = await deliverGroup(group, envelope, deps.gateway);
    const firing = group.alerts.filter((alert) => alert.status === 'firing').length;
    result.signals += signals;
    result.incidents.push({
      workflowId: group.workflowId,
      runbook: group.start.runbook.name,
      firing,
      resolved: group.alerts.length - firing,
      ignored,
    });
  });
  return result;
}

async function deliverGroup(
  group: AlertGroup,
  envelope: Omit<AlertsReceived, 'alerts'>,
  gateway: IncidentGateway,
): Promise<{ signals: number; ignored: boolean }> {
  let signals = 0;
  // One after the other: the incident sees the parts in order.
  for (const [index, alerts] of chunkAlerts(group.alerts, MAX_SIGNAL_BYTES).entries()) {
    // What Alertmanager left out is told once, or the parts would add it up.
    const received: AlertsReceived = {
      ...envelope,
      truncatedAlerts: index === 0 ? envelope.truncatedAlerts : 0,
      alerts,
    };
    const { workflowId, start } = group;
    if (alerts.some((alert) => alert.status === 'firing')) {
      await gateway.signalWithStart({ workflowId, start, alerts: received });
    } else if ((await gateway.signal({ workflowId, alerts: received })) === 'not-running') {
      // Only resolved alerts, and nothing runs: there is nothing to tell anybody.
      return { signals, ignored: signals === 0 };
    }
    signals += 1;
  }
  return { signals, ignored: false };
}

/** Runs `task` for every item, `limit` at a time; the first failure stops what has not started and is thrown. */
async function forEachLimited<T>(
  items: readonly T[],
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      if (failed) return;
      try {
        await task(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
