import type { Json } from './objects.ts';
import { readRevisions, readWorkload, type Twin } from './twin.ts';

/** A workload and its revisions as far as both tools must leave them the same. */
export interface Picture {
  workload: object;
  /** By name, which the controller makes of the template. */
  revisions: Record<string, object>;
}

export interface FieldDifference {
  /** `workload.spec.template...` or `revisions[name]...` */
  path: string;
  kubectl: unknown;
  firebreak: unknown;
}

export async function pictureOf(twin: Twin): Promise<Picture> {
  const revisions = (await readRevisions(twin)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return {
    workload: normalised(await readWorkload(twin), true),
    revisions: Object.fromEntries(revisions.map((one) => [one.metadata.name, normalised(one, false)])),
  };
}

/** Everything but uids, versions, times and the namespace; of the status, what does not tell how a rollout went. */
function normalised({ metadata, status, ...rest }: Json, withGeneration: boolean): object {
  const { name, labels, annotations, generation, ownerReferences, managedFields, finalizers } =
    metadata as Json['metadata'] & {
      managedFields?: { manager?: string; subresource?: string }[];
      finalizers?: string[];
    };
  const { replicas, readyReplicas, updatedReplicas, collisionCount, currentRevision, updateRevision } =
    (status ?? {}) as Record<string, unknown>;
  return {
    ...rest,
    metadata: {
      name,
      labels,
      annotations,
      finalizers,
      // How often a controller scaled a ReplicaSet on the way is its own matter.
      ...(withGeneration ? { generation } : {}),
      ownerReferences: ownerReferences?.map(({ uid: _uid, ...reference }: { uid?: string }) => reference),
      // One text: a list would differ in all that follows the first difference.
      managers: managedFields
        ?.map(({ manager, subresource }) => `${manager}${subresource === undefined ? '' : `/${subresource}`}`)
        .sort()
        .join(' '),
    },
    status: { replicas, readyReplicas, updatedReplicas, collisionCount, currentRevision, updateRevision },
  };
}

/** Field by field, absent and undefined being the same. */
export function differencesOf(kubectl: Picture, firebreak: Picture): FieldDifference[] {
  const found: FieldDifference[] = [];
  walk('workload', kubectl.workload, firebreak.workload);
  const names = new Set([...Object.keys(kubectl.revisions), ...Object.keys(firebreak.revisions)]);
  for (const name of names) walk(`revisions[${name}]`, kubectl.revisions[name], firebreak.revisions[name]);
  return found;

  function walk(path: string, a: unknown, b: unknown): void {
    if (isRecord(a) && isRecord(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        walk(/^[\w$]+$/.test(key) ? `${path}.${key}` : `${path}['${key}']`, a[key], b[key]);
      }
    } else if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
      for (const [index, item] of a.entries()) walk(`${path}[${index}]`, item, b[index]);
    } else if (JSON.stringify(a) !== JSON.stringify(b)) {
      found.push({ path, kubectl: a, firebreak: b });
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
