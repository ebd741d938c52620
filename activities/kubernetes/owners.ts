import type { V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import type { GitOpsKind } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import { kubernetesStatus } from '../failure.ts';
import { type GitOpsClaim, GROUP_OF, gitOpsClaims } from '../gitops/claims.ts';
import { findClaimed } from '../gitops/find.ts';
import type { ClusterClients } from './cluster-clients.ts';
import type { RawMetadata } from './raw-objects.ts';
import { oneLine } from './revisions.ts';

export { controlledBy, controlledByChain } from './controllers.ts';

const MAX_OWNER_CHARS = 120;

/** What else writes to the workload: it may undo the rollback, or change it meanwhile. */
export interface Owners {
  owners: string[];
  /** Those of them that write the template from Git. */
  fromGit: string[];
  warnings: string[];
}

const EFFECT: Record<GitOpsKind, string> = {
  Application: 'with self-heal it syncs the rolled-back template forward again; revert it in Git as well',
  Kustomization:
    'its next reconciliation applies the template in Git again; suspend it or revert it in Git as well',
  HelmRelease:
    'its next upgrade or drift correction applies the chart again; suspend it or revert it in Git as well',
};

/** https://helm.sh/docs/chart_best_practices/labels/ */
const HELM_RELEASE = 'meta.helm.sh/release-name';

/** Marks of tools first: they are there for everybody to read. The tools' objects are asked where a mark is ambiguous. */
export async function findOwners(
  clients: ClusterClients,
  target: Target,
  { metadata }: { metadata: RawMetadata },
): Promise<Owners> {
  const result: Owners = { owners: [], fromGit: [], warnings: [] };
  const add = (owner: string, effect: string): void => {
    result.owners.push(owner);
    result.warnings.push(`${owner} manages this ${target.kind}: ${effect}`);
  };
  const { claims, warnings } = gitOpsClaims(metadata, { group: GROUP_OF[target.kind], ...target });
  for (const claim of claims) {
    if (!(await counts(clients, target, metadata, claim))) continue;
    add(claim.owner, EFFECT[claim.kind]);
    result.fromGit.push(claim.owner);
  }
  const release = metadata.annotations?.[HELM_RELEASE] ?? metadata.labels?.[HELM_RELEASE];
  if (release !== undefined) {
    const owner = oneLine(`Helm release ${release}`, MAX_OWNER_CHARS) ?? 'Helm release';
    add(owner, 'its next upgrade applies the chart again; roll the release back as well');
  }
  for (const autoscaler of await listAutoscalers(clients, target)) {
    const { name = '', labels = {} } = autoscaler.metadata ?? {};
    // https://keda.sh/docs/latest/concepts/scaling-deployments/: KEDA makes an autoscaler of its own, named after that.
    const scaledObject = labels['scaledobject.keda.sh/name'];
    const owner =
      scaledObject === undefined ? `HorizontalPodAutoscaler ${name}` : `KEDA ScaledObject ${scaledObject}`;
    result.owners.push(owner);
    result.warnings.push(
      `${owner} sets the number of replicas: it stays as it is, a rollback does not change it`,
    );
  }
  result.warnings.push(...warnings);
  return result;
}

/** A mark that charts use as well counts where an application lists the workload; any other counts by itself. */
async function counts(
  clients: ClusterClients,
  target: Target,
  metadata: RawMetadata,
  claim: GitOpsClaim,
): Promise<boolean> {
  if (!claim.weak) return true;
  return 'object' in (await findClaimed(clients, target, metadata, claim));
}

async function listAutoscalers(
  clients: ClusterClients,
  target: Target,
): Promise<V2HorizontalPodAutoscaler[]> {
  try {
    const { namespace } = target;
    const { items } = await clients.autoscaling.listNamespacedHorizontalPodAutoscaler({ namespace });
    return items.filter(({ spec }) => {
      const reference = spec?.scaleTargetRef;
      return reference?.kind === target.kind && reference.name === target.name;
    });
  } catch (error) {
    // A warning less: the right to read autoscalers is optional, and a plan must not wait for them.
    if (kubernetesStatus(error) !== undefined) return [];
    throw error;
  }
}
