import type { V1ConfigMap } from '@kubernetes/client-node';
import type { Target } from '../../domain/target.ts';
import type { TargetChange } from '../../domain/target-change.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { FIELD_MANAGER, type RawRevision, type RawWorkload } from './raw-objects.ts';
import { oneLine, type Revisions, readRevisions } from './revisions.ts';
import { imagesOf, referencesOf } from './template.ts';
import { REVISION_HISTORY_ANNOTATION } from './workloads/deployment.ts';
import { createdAtMs } from './workloads/workload.ts';

const MAX_CONFIG_MAPS = 50;
/** A timeline shows them; more than this is noise around one onset. */
const MAX_CHANGES = 100;
const MAX_MANAGER_CHARS = 60;
/** They write revision numbers and status: nobody's change. */
const CONTROLLERS = new Set(['kube-controller-manager', 'rollouts-controller']);

/** What changed since a moment, newest first: rollouts, edits of the workload, ConfigMaps that it uses. Never contents. */
export async function listChanges(
  clusters: ClusterMap,
  { target, sinceMs, sinceRevision }: { target: Target; sinceMs: number; sinceRevision?: number },
): Promise<{ changes: TargetChange[] }> {
  const clients = clientsFor(clusters, target);
  const revisions = await readRevisions(clients, target);
  const changes = [
    ...rollouts(revisions),
    ...comeback(revisions, sinceRevision),
    ...edits(target.kind, revisions.workload),
    ...(await configMapChanges(clients, target.namespace, revisions.workload)),
  ];
  const recent = changes.filter(({ atMs }) => atMs >= sinceMs).sort((a, b) => b.atMs - a.atMs);
  return { changes: recent.slice(0, MAX_CHANGES) };
}

function rollouts({ all }: Revisions): TargetChange[] {
  // Times are whole seconds: two rollouts within one are told apart by their revisions.
  const byAge = [...all].sort((a, b) => createdAtMs(a) - createdAtMs(b) || a.revision - b.revision);
  return byAge.map((one, index) => {
    const images = imagesOf(one.template).join(', ');
    const before = byAge[index - 1];
    const beforeImages = before === undefined ? undefined : imagesOf(before.template).join(', ');
    const how =
      beforeImages === undefined || beforeImages === images ? images : `${beforeImages} -> ${images}`;
    // A template that came back has a higher number now than the one that it was made with.
    const revision = formerRevisions(one)[0] ?? one.revision;
    return {
      atMs: createdAtMs(one),
      what: `rollout of revision ${revision}: ${how}`,
      revision,
      images: imagesOf(one.template),
    };
  });
}

/**
 * A rollback by others (`kubectl rollout undo`): the template comes back with its old ReplicaSet, whose age tells nothing.
 * The time is that of the last write by somebody who sets parts of the template, which can be a little late.
 */
function comeback({ current, workload }: Revisions, sinceRevision: number | undefined): TargetChange[] {
  if (current === undefined || sinceRevision === undefined) return [];
  const { revision } = current;
  const before = formerRevisions(current).at(-1);
  if (before === undefined || revision <= sinceRevision) return [];
  const written = (workload.metadata.managedFields ?? [])
    .filter(({ manager, subresource }) => subresource !== 'status' && !CONTROLLERS.has(manager ?? ''))
    .filter(({ fieldsV1 = {} }) => JSON.stringify(fieldsV1).includes('"f:template"'))
    .sort((a, b) => Date.parse(b.time ?? '') - Date.parse(a.time ?? ''))[0];
  if (written === undefined || written.manager === FIELD_MANAGER) return [];
  const images = imagesOf(current.template);
  const what = `rollout back to the template of revision ${before}, now revision ${revision}: ${images.join(', ')}`;
  return [{ atMs: Date.parse(written.time ?? ''), what, revision, images }];
}

function formerRevisions({ metadata }: RawRevision): number[] {
  const text = metadata.annotations?.[REVISION_HISTORY_ANNOTATION] ?? '';
  return text
    .split(',')
    .map(Number)
    .filter((revision) => Number.isInteger(revision) && revision > 0);
}

/** The last change of each writer, by the API server's record of who set which field. */
function edits(kind: string, { metadata }: RawWorkload): TargetChange[] {
  return (metadata.managedFields ?? [])
    .filter(({ manager, subresource }) => subresource !== 'status' && !CONTROLLERS.has(manager ?? ''))
    .filter(({ manager }) => manager !== FIELD_MANAGER)
    .map(({ manager, time, fieldsV1 = {} }) => {
      const fields = JSON.stringify(fieldsV1);
      const parts = ['template', 'replicas', 'paused', 'strategy', 'updateStrategy'].filter((field) =>
        fields.includes(`"f:${field}"`),
      );
      const owned = parts.length > 0 ? ` (it sets ${parts.join(', ')})` : '';
      return { atMs: Date.parse(time ?? ''), what: `${kind} written by ${writer(manager)}${owned}` };
    });
}

async function configMapChanges(
  clients: ClusterClients,
  namespace: string,
  workload: RawWorkload,
): Promise<TargetChange[]> {
  const changes: TargetChange[] = [];
  for (const name of referencesOf(workload.spec.template).configMaps.slice(0, MAX_CONFIG_MAPS)) {
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
