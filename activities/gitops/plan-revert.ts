import type { GitOpsKind, GitRevert } from '../../domain/gitops-plan.ts';
import type { RevisionSummary } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import type { RawMetadata } from '../kubernetes/raw-objects.ts';
import { GROUP_OF, gitOpsClaims } from './claims.ts';
import { findClaimed, readSource } from './find.ts';
import { listAt, type RawObject, textAt } from './objects.ts';

/** Flux' default where a GitRepository names nothing (https://fluxcd.io/flux/components/source/gitrepositories/#reference). */
const FLUX_BRANCH = 'master';

/**
 * Where in Git the change is that a rollback would take back, read from the tool's object. Mutates nothing.
 * @returns why it cannot be told, where it cannot.
 */
export async function planRevert(
  clients: ClusterClients,
  target: Target,
  workload: RawMetadata,
  { from, to }: { from: RevisionSummary; to: RevisionSummary },
): Promise<{ git: GitRevert } | { problem: string }> {
  const leave = from.images.filter((image) => !to.images.includes(image));
  const bringBack = to.images.filter((image) => !from.images.includes(image));
  if (leave.length === 0 || bringBack.length === 0) {
    return { problem: 'the two templates have the same images, so nothing tells the change in Git' };
  }
  const problems: string[] = [];
  const found: Omit<GitRevert, 'leave' | 'bringBack'>[] = [];
  for (const claim of gitOpsClaims(workload, { group: GROUP_OF[target.kind], ...target }).claims) {
    const claimed = await findClaimed(clients, target, workload, claim);
    if ('problem' in claimed) {
      if (!claim.weak) problems.push(claimed.problem);
      continue;
    }
    const { ref, object } = claimed;
    const unfit = whyNoFolder(ref.kind, object);
    if (unfit !== undefined) {
      problems.push(`${ref.kind} ${ref.namespace}/${ref.name} ${unfit}`);
      continue;
    }
    const { source } = await readSource(clients, ref, object);
    const follows = source.follows ?? (ref.kind === 'Kustomization' ? FLUX_BRANCH : undefined);
    found.push({
      owner: `${ref.kind} ${ref.namespace}/${ref.name}`,
      source: { ...source, ...(follows === undefined ? {} : { follows }) },
    });
  }
  const [only, ...others] = found;
  if (problems.length > 0) return { problem: problems.join('; ') };
  if (only === undefined || others.length > 0) {
    const owners = found.map(({ owner }) => owner).join(' and ');
    return { problem: owners === '' ? 'no object of the tool was found' : `${owners} both write it` };
  }
  return { git: { ...only, leave, bringBack } };
}

/** What an object takes from elsewhere than one folder of manifests. */
function whyNoFolder(kind: GitOpsKind, { spec }: RawObject): string | undefined {
  if (kind === 'HelmRelease') return 'takes a chart, and no folder of manifests';
  if (kind === 'Kustomization') return undefined;
  if (listAt(spec, 'sources').length > 1) return 'has several sources';
  return textAt(spec, 'source', 'chart') === undefined
    ? undefined
    : 'takes a chart, and no folder of manifests';
}
