import { setTimeout as delay } from 'node:timers/promises';
import {
  EMERGENCY_ANNOTATION,
  type EmergencyRecord,
  parseEmergencies,
  withEmergency,
} from '../../domain/emergency.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { fail, fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { patchWorkload, readWorkload } from '../kubernetes/raw-objects.ts';

/** Status is written to a workload all the time during a rollout, and each write is a lost race. */
const MAX_ATTEMPTS = 10;
const PAUSE_MS = 50;

/**
 * Writes a record on the workload: put in place of the one with its id, or added.
 * JSON Patch with tests, so that no other record is lost and no other workload of the name is written.
 * @throws as the API answers; Conflict where others write faster.
 */
export async function writeRecord(
  clients: ClusterClients,
  target: Target,
  record: EmergencyRecord,
): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const { metadata } = await readWorkload(clients, target);
    const { annotations } = metadata;
    const standing = annotations?.[EMERGENCY_ANNOTATION];
    const value = withEmergency(parseEmergencies(standing), record);
    if (value === standing) return;
    const path = `/metadata/annotations/${EMERGENCY_ANNOTATION.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const operations = [
      { op: 'test', path: '/metadata/uid', value: metadata.uid },
      // Where nothing stands there yet, that it is so cannot be tested for; that nothing was written since can.
      standing === undefined
        ? { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion }
        : { op: 'test', path, value: standing },
      ...(annotations === undefined ? [{ op: 'add', path: '/metadata/annotations', value: {} }] : []),
      { op: 'add', path, value },
    ];
    try {
      await patchWorkload(clients, target, operations);
      return;
    } catch (error) {
      const status = kubernetesStatus(error);
      // 422: a test failed; 409: the API server itself lost the race.
      if (status !== 422 && status !== 409)
        throw fromKubernetes(
          error,
          `write down the emergency on ${target.kind} ${target.namespace}/${target.name}`,
        );
    }
    await delay(PAUSE_MS);
  }
  throw fail(
    'Conflict',
    `${targetKey(target)}: the emergency could not be written down, since others write to it all the time`,
  );
}
