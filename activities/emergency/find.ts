import { EMERGENCY_ANNOTATION, type EmergencyRecord, parseEmergencies } from '../../domain/emergency.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { findWorkload } from '../kubernetes/raw-objects.ts';
import { readPointers } from './pointers.ts';

/** A workload on which somebody acted with a kubeconfig alone. */
export interface FoundEmergencies {
  target: Target;
  /** Absent: the workload is gone. */
  uid?: string;
  /** Those that no incident has taken up, oldest first. */
  records: EmergencyRecord[];
}

/**
 * Workloads of a namespace that are pointed to, with their records. Needs no right to list workloads.
 * @throws as the API answers.
 */
export async function findEmergencies(
  clients: ClusterClients,
  { cluster, namespace }: Pick<Target, 'cluster' | 'namespace'>,
): Promise<FoundEmergencies[]> {
  const found: FoundEmergencies[] = [];
  for (const { kind, name } of await readPointers(clients, namespace)) {
    const target: Target = { cluster, namespace, kind, name };
    const workload = await findWorkload(clients, target);
    const records = parseEmergencies(workload?.metadata.annotations?.[EMERGENCY_ANNOTATION])
      .filter(({ reconciled }) => reconciled === undefined)
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    found.push({ target, ...(workload === undefined ? {} : { uid: workload.metadata.uid }), records });
  }
  return found;
}
