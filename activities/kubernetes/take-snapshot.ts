import { createHash } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Target } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { digestsOf, readRevisions, summarise } from './revisions.ts';
import { imagesOf, referencesOf } from './template.ts';

/** More than any sane pod refers to; each costs a call. */
const MAX_CONFIG_MAPS = 50;

type Snapshot = Awaited<ReturnType<KubernetesActivities['takeSnapshot']>>;

/** What runs now, as evidence. Contents never leave the cluster: hashes of ConfigMaps, names of Secrets. */
export async function takeSnapshot(clusters: ClusterMap, { target }: { target: Target }): Promise<Snapshot> {
  const clients = clientsFor(clusters, target);
  const revisions = await readRevisions(clients, target);
  const { type, workload, all, current, podsOf } = revisions;
  const { configMaps, secrets } = referencesOf(workload.spec.template);
  const configHashes: Record<string, string> = {};
  for (const name of configMaps.slice(0, MAX_CONFIG_MAPS)) {
    configHashes[`ConfigMap/${name}`] = await hashConfigMap(clients, target.namespace, name);
  }
  for (const name of secrets) configHashes[`Secret/${name}`] = 'not read';
  return {
    uid: workload.metadata.uid,
    revision: type.revisionNumber(workload, all),
    images: imagesOf(workload.spec.template),
    digests: current === undefined ? [] : digestsOf(podsOf(current)),
    templateHash: revisions.currentHash,
    configHashes,
    history: all.map((one) => {
      const { revision, images, createdAt, changeCause } = summarise(revisions, one, {});
      return { revision, images, createdAt, changeCause };
    }),
  };
}

async function hashConfigMap(clients: ClusterClients, namespace: string, name: string): Promise<string> {
  try {
    const { data, binaryData } = await clients.core.readNamespacedConfigMap({ namespace, name });
    return createHash('sha256').update(canonicalJson({ data, binaryData })).digest('hex');
  } catch (error) {
    const status = kubernetesStatus(error);
    if (status === 404) return 'not there';
    if (status === 403) return 'not readable';
    throw fromKubernetes(error, `read ConfigMap ${namespace}/${name}`);
  }
}
