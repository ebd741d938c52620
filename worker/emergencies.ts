/** What people did with a kubeconfig alone becomes an incident as soon as this process runs. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { SignalingActivities } from '../activities/contract.ts';
import { findEmergencies, removePointer, writeRecord } from '../activities/emergency/index.ts';
import { type ClusterClients, createClusterClients } from '../activities/kubernetes/index.ts';
import { type EmergencyRecord, sayEmergency } from '../domain/emergency.ts';
import { type Target, targetKey } from '../domain/target.ts';
import type { FirebreakConfig } from './config/schema.ts';

/** An emergency is over when it is found: a minute later is early enough, and reading one ConfigMap costs nothing. */
const LOOK_EVERY_MS = 60_000;
/** How alerts of it are called; runbooks may match it, else the default one answers. */
export const EMERGENCY_ALERT = 'FirebreakEmergency';

type RaiseAlert = SignalingActivities['raiseAlert'];

/** Tells the actor of a target that its breaker was written by people. */
type AdoptBreaker = (target: Target, emergencyId: string) => Promise<void>;

interface Parts {
  raiseAlert: RaiseAlert;
  adoptBreaker: AdoptBreaker;
  logger: Logger;
  now?: () => number;
}

/**
 * Raises an incident for each emergency of a namespace that none has taken up, then marks it. Idempotent: one that was
 * raised and not marked is the same alert again.
 * @returns how many were taken up.
 */
export async function reconcileEmergencies(
  clients: ClusterClients,
  where: { cluster: string; namespace: string },
  parts: Parts,
): Promise<number> {
  let count = 0;
  for (const found of await findEmergencies(clients, where)) {
    const { target, records, uid } = found;
    let open = 0;
    for (const record of records) {
      if (await reconcile(clients, target, uid ?? '', record, parts)) count += 1;
      else open += 1;
    }
    if (uid === undefined) {
      parts.logger.warn({ target: targetKey(target) }, 'a workload with an emergency is gone');
    }
    if (open === 0) await removePointer(clients, target);
  }
  return count;
}

async function reconcile(
  clients: ClusterClients,
  target: Target,
  uid: string,
  record: EmergencyRecord,
  { raiseAlert, adoptBreaker, logger, now = Date.now }: Parts,
): Promise<boolean> {
  // First of all: nothing may give the traffic back that somebody took away by hand.
  await adoptBreaker(target, record.id);
  const { incidents } = await raiseAlert({
    target,
    alertname: EMERGENCY_ALERT,
    summary: sayEmergency(record),
    key: `emergency:${uid}:${record.id}`,
    labels: { emergency: record.what },
  });
  const [incident] = incidents;
  if (incident === undefined) {
    logger.error({ target: targetKey(target), emergency: record.id }, 'no runbook answers an emergency');
    return false;
  }
  await writeRecord(clients, target, {
    ...record,
    reconciled: { at: new Date(now()).toISOString(), incident },
  });
  logger.warn(
    { target: targetKey(target), emergency: record.id, what: record.what, incident },
    'an emergency was taken up by an incident',
  );
  return true;
}

/** Looks now and every minute, in the namespaces of these clusters. @returns a stop. */
export function keepEmergencies(
  config: Pick<FirebreakConfig, 'clusters'>,
  parts: {
    clusterNames: readonly string[];
    raiseAlert: RaiseAlert;
    adoptBreaker: AdoptBreaker;
    logger: Logger;
    everyMs?: number;
  },
): () => Promise<void> {
  const { logger } = parts;
  const stopping = new AbortController();
  const clusters = parts.clusterNames.flatMap((name) => {
    const cluster = config.clusters[name];
    return cluster === undefined
      ? []
      : [{ name, clients: createClusterClients(cluster), namespaces: Object.keys(cluster.namespaces) }];
  });
  /** Told once until it is another one: a cluster that is away stays away for long. */
  const told = new Map<string, string>();

  const look = async (): Promise<void> => {
    for (const { name, clients, namespaces } of clusters) {
      for (const namespace of namespaces) {
        if (stopping.signal.aborted) return;
        const place = `${name}/${namespace}`;
        try {
          await reconcileEmergencies(clients, { cluster: name, namespace }, parts);
          told.delete(place);
        } catch (error) {
          const problem = error instanceof Error ? error.message : 'the reason is not known';
          if (told.get(place) !== problem) {
            logger.warn(
              { namespace: place, problem },
              'emergencies could not be looked for; it is tried again',
            );
          }
          told.set(place, problem);
        }
      }
    }
  };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await look();
      // An abort is no failure: whoever waits looks at the signal next.
      await delay(parts.everyMs ?? LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(
        () => undefined,
      );
    }
  })();
  return async () => {
    stopping.abort();
    await loop;
  };
}
