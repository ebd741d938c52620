import {
  MODE_ANNOTATION,
  MODES,
  type Mode,
  OWNER_KEY,
  RISK_TIER_KEY,
  type Target,
  type TargetFacts,
} from '../../domain/target.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { findWorkload, type RawWorkload } from './raw-objects.ts';
import { oneLine } from './revisions.ts';
import { imagesOf } from './template.ts';
import { workloadTypeOf } from './workloads/index.ts';

/** Owner and risk tier are shown and put into expressions: one line each. */
const MAX_FACT_CHARS = 200;

/** The workload's annotation wins over its namespace's configuration. A mode that nobody knows is the safest one. */
export function modeOf(clients: ClusterClients, target: Target, workload: RawWorkload | undefined): Mode {
  if (clients.actsInAnyMode) return 'approve';
  const annotated = workload?.metadata.annotations?.[MODE_ANNOTATION];
  if (annotated !== undefined) return MODES.find((mode) => mode === annotated) ?? 'observe';
  return clients.namespaces[target.namespace]?.mode ?? 'observe';
}

export async function readTarget(clusters: ClusterMap, { target }: { target: Target }): Promise<TargetFacts> {
  const clients = clientsFor(clusters, target);
  const workload = await findWorkload(clients, target);
  const mode = modeOf(clients, target, workload);
  if (workload === undefined) return { exists: false, mode, images: [] };
  const { metadata, spec, status } = workload;
  const type = workloadTypeOf(target.kind);
  // A label value cannot hold an `@`, so owners are annotations; labels are read too.
  const fact = (key: string): string | undefined =>
    oneLine(metadata.annotations?.[key] ?? metadata.labels?.[key], MAX_FACT_CHARS);
  return {
    exists: true,
    owner: fact(OWNER_KEY),
    riskTier: fact(RISK_TIER_KEY),
    mode,
    images: imagesOf(spec.template),
    revision: await type.readRevisionNumber(clients, workload),
    replicas: spec.replicas ?? 1,
    readyReplicas: status?.readyReplicas ?? 0,
  };
}
