import type { ClusterClients } from '../../activities/kubernetes/index.ts';
import { readWorkload } from '../../activities/kubernetes/raw-objects.ts';
import { MODE_ANNOTATION, type Target } from '../../domain/target.ts';

/** What the workload's annotation says; the configuration of namespaces is not read here. @throws NotFound. */
export async function readMode(clients: ClusterClients, target: Target): Promise<string | undefined> {
  const { metadata } = await readWorkload(clients, target);
  return metadata.annotations?.[MODE_ANNOTATION];
}
