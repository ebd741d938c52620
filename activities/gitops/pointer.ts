import { z } from 'zod';
import { GITOPS_KINDS, type GitOpsRef } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import {
  patchWorkload,
  type RawMetadata,
  type RawWorkload,
  readWorkload,
} from '../kubernetes/raw-objects.ts';
import { annotationPatch, SUSPENDED_SYNC_ANNOTATION } from './mark.ts';
import { isObjectName } from './objects.ts';

/** A workload is written by one tool, rarely two; more is not of our making. */
const MAX_REFS = 10;
const MAX_ATTEMPTS = 6;

const refs = z
  .array(
    z.object({
      kind: z.enum(GITOPS_KINDS),
      namespace: z.string().refine(isObjectName),
      name: z.string().refine(isObjectName),
    }),
  )
  .max(MAX_REFS);

/**
 * What the workload says is suspended for it. Whoever may write the workload may write this too: it only says where to
 * look, and the mark on the object itself decides.
 */
export function readPointer({ annotations = {} }: Pick<RawMetadata, 'annotations'>): GitOpsRef[] {
  try {
    return refs.parse(JSON.parse(annotations[SUSPENDED_SYNC_ANNOTATION] ?? '[]'));
  } catch {
    return [];
  }
}

/**
 * Adds objects to what the workload points at, or takes them away.
 * @returns the workload as it is then.
 */
export async function writePointer(
  clients: ClusterClients,
  target: Target,
  change: { add: readonly GitOpsRef[] } | { remove: readonly GitOpsRef[] },
): Promise<RawWorkload> {
  for (let attempt = 1; ; attempt += 1) {
    const workload = await readWorkload(clients, target);
    const now = readPointer(workload.metadata);
    const wanted =
      'add' in change
        ? [...now, ...change.add.filter((ref) => !has(now, ref)).map(bare)]
        : now.filter((ref) => !has(change.remove, ref));
    const operations = annotationPatch(
      workload.metadata,
      SUSPENDED_SYNC_ANNOTATION,
      wanted.length === 0 ? undefined : JSON.stringify(wanted),
    );
    if (wanted.length === now.length || operations.length === 0) return workload;
    const { uid, resourceVersion } = workload.metadata;
    try {
      return await patchWorkload(clients, target, [
        { op: 'test', path: '/metadata/uid', value: uid },
        { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        ...operations,
      ]);
    } catch (error) {
      const status = kubernetesStatus(error);
      if ((status !== 422 && status !== 409) || attempt === MAX_ATTEMPTS)
        throw fromKubernetes(error, `annotate ${target.kind} ${target.namespace}/${target.name}`);
    }
  }
}

function has(list: readonly GitOpsRef[], { kind, namespace, name }: GitOpsRef): boolean {
  return list.some((it) => it.kind === kind && it.namespace === namespace && it.name === name);
}

function bare({ kind, namespace, name }: GitOpsRef): GitOpsRef {
  return { kind, namespace, name };
}
