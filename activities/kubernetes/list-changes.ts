import type { V1ConfigMap } from '@kubernetes/client-node';
import type { Target } from '../../domain/target.ts';
import type { TargetChange } from '../../domain/target-change.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { FIELD_MANAGER, type RawDeployment, type RawReplicaSet, revisionOf } from './raw-objects.ts';
import { createdAtMs, oneLine, type Revisions, readRevisions } from './revisions.ts';
import { imagesOf, referencesOf } from './template.ts';

const MAX_CONFIG_MAPS = 50;
/** A timeline shows them; more than this is noise around one onset. */
const MAX_CHANGES = 100;
const MAX_MANAGER_CHARS = 60;
/** It writes revision numbers and status: nobody's change. */
const DEPLOYMENT_CONTROLLER = 'kube-controller-manager';

/** Revisions that a ReplicaSet had before, separated by commas: the controller notes them when its template comes back. */
const REVISION_HISTORY_ANNOTATION = 'deployment.kubernetes.io/revision-history';

/** What changed since a moment, newest first: rollouts, edits of the Deployment, ConfigMaps that it uses. Never contents. */
export async function listChanges(
  clusters: ClusterMap,
  { target, sinceMs, sinceRevision }: { target: Target; sinceMs: number; sinceRevision?: number },
): Promise<{ changes: TargetChange[] }> {
  const clients = clientsFor(clusters, target);
  const revisions = await readRevisions(clients, target);
  const changes = [
    ...rollouts(revisions),
    ...comeback(revisions, sinceRevision),
    ...edits(revisions.deployment),
    ...(await configMapChanges(clients, target.namespace, revisions.deployment)),
  ];
  const recent = changes.filter(({ atMs }) => atMs >= sinceMs).sort((a, b) => b.atMs - a.atMs);
  return { changes: recent.slice(0, MAX_CHANGES) };
}

function rollouts({ replicaSets }: Revisions): TargetChange[] {
  // Times are whole seconds: two rollouts within one are told apart by their revisions.
  const byAge = [...replicaSets].sort(
    (a, b) =>
      createdAtMs(a) - createdAtMs(b) || (revisionOf(a.metadata) ?? 0) - (revisionOf(b.metadata) ?? 0),
  );
  return byAge.map((replicaSet, index) => {
    const images = imagesOf(replicaSet.spec.template).join(', ');
    const before = byAge[index - 1];
    const beforeImages = before === undefined ? undefined : imagesOf(before.spec.template).join(', ');
    const how =
      beforeImages === undefined || beforeImages === images ? images : `${beforeImages} -> ${images}`;
    // A template that came back has a higher number now than the one that it was made with.
    const revision = formerRevisions(replicaSet)[0] ?? revisionOf(replicaSet.metadata);
    return {
      atMs: createdAtMs(replicaSet),
      what: `rollout of revision ${revision}: ${how}`,
      revision,
      images: imagesOf(replicaSet.spec.template),
    };
  });
}

/**
 * A rollback by others (`kubectl rollout undo`): the template comes back with its old ReplicaSet, whose age tells nothing.
 * The time is that of the last write by somebody who sets parts of the template, which can be a little late.
 */
function comeback({ current, deployment }: Revisions, sinceRevision: number | undefined): TargetChange[] {
  if (current === undefined || sinceRevision === undefined) return [];
  const revision = revisionOf(current.metadata);
  const before = formerRevisions(current).at(-1);
  if (before === undefined || revision <= sinceRevision) return [];
  const written = (deployment.metadata.managedFields ?? [])
    .filter(({ manager, subresource }) => subresource !== 'status' && manager !== DEPLOYMENT_CONTROLLER)
    .filter(({ fieldsV1 = {} }) => JSON.stringify(fieldsV1).includes('"f:template"'))
    .sort((a, b) => Date.parse(b.time ?? '') - Date.parse(a.time ?? ''))[0];
  if (written === undefined || written.manager === FIELD_MANAGER) return [];
  const images = imagesOf(current.spec.template);
  const what = `rollout back to the template of revision ${before}, now revision ${revision}: ${images.join(', ')}`;
  return [{ atMs: Date.parse(written.time ?? ''), what, revision, images }];
}

function formerRevisions({ metadata }: RawReplicaSet): number[] {
  const text = metadata.annotations?.[REVISION_HISTORY_ANNOTATION] ?? '';
  return text
    .split(',')
    .map(Number)
    .filter((revision) => Number.isInteger(revision) && revision > 0);
}

/** The last change of each writer, by the API server's record of who set which field. */
function edits({ metadata }: RawDeployment): TargetChange[] {
  return (metadata.managedFields ?? [])
    .filter(({ manager, subresource }) => subresource !== 'status' && manager !== DEPLOYMENT_CONTROLLER)
    .filter(({ manager }) => manager !== FIELD_MANAGER)
    .map(({ manager, time, fieldsV1 = {} }) => {
      const fields = JSON.stringify(fieldsV1);
      const parts = ['template', 'replicas', 'paused', 'strategy'].filter((field) =>
        fields.includes(`"f:${field}"`),
      );
      const owned = parts.length > 0 ? ` (it sets ${parts.join(', ')})` : '';
      return { atMs: Date.parse(time ?? ''), what: `Deployment written by ${writer(manager)}${owned}` };
    });
}

async function configMapChanges(
  clients: ClusterClients,
  namespace: string,
  deployment: RawDeployment,
): Promise<TargetChange[]> {
  const changes: TargetChange[] = [];
  for (const name of referencesOf(deployment.spec.template).configMaps.slice(0, MAX_CONFIG_MAPS)) {
    const configMap = await readConfigMap(clients, namespace, name);
    for (const { manager, time } of configMap?.metadata?.managedFields ?? []) {
      const version = configMap?.metadata?.resourceVersion;
      changes.push({
        atMs: time === undefined ? Number.NaN : time.getTime(),
        what: `ConfigMap ${name} written by ${writer(manager)} (now resourceVersion ${version})`,
      });
    }
  }
  return changes;
}

async function readConfigMap(
  clients: ClusterClients,
  namespace: string,
  name: string,
): Promise<V1ConfigMap | undefined> {
  try {
    return await clients.core.readNamespacedConfigMap({ namespace, name });
  } catch (error) {
    const status = kubernetesStatus(error);
    if (status === 404 || status === 403) return undefined;
    throw fromKubernetes(error, `read ConfigMap ${namespace}/${name}`);
  }
}

function writer(manager: string | undefined): string {
  return oneLine(manager, MAX_MANAGER_CHARS) ?? 'an unknown client';
}
