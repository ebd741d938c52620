import type { GitOpsPlan, GitOpsRef, GitOpsSuspension } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import type { RawMetadata } from '../kubernetes/raw-objects.ts';
import { automatedOf, otherResources } from './argo-cd.ts';
import { type GitOpsClaim, GROUP_OF, gitOpsClaims } from './claims.ts';
import { findClaimed, readSource, whyUndone } from './find.ts';
import { isSuspended } from './flux.ts';
import { MAX_HOLDERS, readMark } from './mark.ts';
import { at, type RawObject } from './objects.ts';

export type SuspensionAnswer =
  | { gitops?: GitOpsPlan; warnings: string[] }
  /** Why the sync cannot be suspended so that it stays so, each with what to do. */
  | { refusals: string[] };

/**
 * What has to be suspended so that nothing brings the template in Git back, read from the objects of the tools. Mutates
 * nothing. What syncs by nobody is left as it is, and said.
 */
export async function planSuspension(
  clients: ClusterClients,
  target: Target,
  workload: RawMetadata,
): Promise<SuspensionAnswer> {
  const { claims } = gitOpsClaims(workload, { group: GROUP_OF[target.kind], ...target });
  const suspend: GitOpsSuspension[] = [];
  const refusals: string[] = [];
  const warnings: string[] = [];
  for (const claim of claims) {
    const found = await findClaimed(clients, target, workload, claim);
    if ('problem' in found) {
      // A label that charts use as well: no application agrees, so it is a chart's.
      if (!claim.weak) refusals.push(found.problem);
      continue;
    }
    const answer = await planOne(clients, claim, found.ref, found.object);
    if ('refusal' in answer) refusals.push(answer.refusal);
    else {
      warnings.push(...answer.warnings);
      if (answer.suspension !== undefined) suspend.push(answer.suspension);
    }
  }
  if (refusals.length > 0) return { refusals };
  return { warnings, ...(suspend.length === 0 ? {} : { gitops: { policy: 'suspend', suspend } }) };
}

type OneAnswer = { refusal: string } | { suspension?: GitOpsSuspension; warnings: string[] };

async function planOne(
  clients: ClusterClients,
  { owner }: GitOpsClaim,
  ref: GitOpsRef,
  object: RawObject,
): Promise<OneAnswer> {
  const shown = `${ref.kind} ${ref.namespace}/${ref.name}`;
  const mark = readMark(object.metadata);
  if (mark === 'unreadable') {
    return {
      refusal: `${shown} has an annotation firebreak.dev/suspended that cannot be read: look who suspended it, and remove the annotation`,
    };
  }
  if (mark !== undefined && mark.holders.length >= MAX_HOLDERS) {
    return { refusal: `${shown} is suspended for ${mark.holders.length} workloads already: resume it first` };
  }
  const was = fieldOf(ref.kind, object);
  if (was === undefined && mark === undefined) {
    return {
      warnings: [
        `${shown} takes the template from Git but does not sync by itself: whoever syncs it brings the template in Git back`,
      ],
    };
  }
  const undone = await whyUndone(clients, ref, object);
  if (undone !== undefined) return { refusal: `${owner} cannot be suspended: ${undone}` };
  const { source } = await readSource(clients, ref, object);
  const others = ref.kind === 'Application' ? otherResources(object) : 0;
  const suspension: GitOpsSuspension = {
    ...ref,
    uid: object.metadata.uid,
    change: mark === undefined ? changeOf(ref.kind) : 'stays suspended, for this rollback as well',
    was: mark?.was ?? was ?? '',
    source,
  };
  return {
    suspension,
    warnings: [
      `${shown} will be suspended (${suspension.change}) until Git no longer renders the template that is left${
        others > 0 ? `; its ${others} other objects do not sync meanwhile either` : ''
      }`,
    ],
  };
}

/** JSON of the field that is changed, as it is where the object syncs by itself; undefined where it does not. */
export function fieldOf(kind: GitOpsRef['kind'], object: RawObject): string | undefined {
  if (kind === 'Application') {
    const automated = automatedOf(object);
    return automated === undefined ? undefined : JSON.stringify(sorted(automated));
  }
  if (isSuspended(object)) return undefined;
  // `suspend: false` and no field mean the same, and are not the same text.
  return at(object.spec, 'suspend') === false ? 'false' : 'null';
}

/** It has plain values only: the order of its keys is no difference. */
function sorted(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function changeOf(kind: GitOpsRef['kind']): string {
  return kind === 'Application' ? 'spec.syncPolicy.automated is removed' : 'spec.suspend is set to true';
}
