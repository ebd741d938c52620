import type { Target } from '../../domain/target.ts';
import { type ClusterMap, clientsFor } from './cluster-clients.ts';
import { readWorkload } from './raw-objects.ts';
import { relate } from './revisions.ts';
import { workloadTypeOf } from './workloads/index.ts';

/** Hash of the template that runs, as the ledger has it. Neither pods nor configuration are read for it: it is asked often. */
export async function readTemplateHash(
  clusters: ClusterMap,
  { target }: { target: Target },
): Promise<{ templateHash: string }> {
  const clients = clientsFor(clusters, target);
  const workload = await readWorkload(clients, target);
  const type = workloadTypeOf(target.kind);
  const revisions = await type.listRevisions(clients, workload);
  return { templateHash: relate(type, workload, revisions, []).currentHash };
}
