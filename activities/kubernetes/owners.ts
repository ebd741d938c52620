import type { V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import type { Target } from '../../domain/target.ts';
import { kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from './cluster-clients.ts';
import { controllerOf, type RawDeployment } from './raw-objects.ts';
import { oneLine } from './revisions.ts';

const MAX_OWNER_CHARS = 120;

/** What else writes to the workload: it may undo the rollback, or change it meanwhile. */
export interface Owners {
  owners: string[];
  /** Those of them that write the template from Git. */
  fromGit: string[];
  warnings: string[];
}

/** Tools by the labels and annotations that they put on what they manage. */
const TOOLS: { keys: string[]; name: string; effect: string; fromGit?: true }[] = [
  {
    // https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
    keys: ['argocd.argoproj.io/tracking-id', 'argocd.argoproj.io/instance'],
    name: 'Argo CD application',
    fromGit: true,
    effect: 'with self-heal it syncs the rolled-back template forward again; revert it in Git as well',
  },
  {
    // https://fluxcd.io/flux/components/kustomize/kustomizations/
    keys: ['kustomize.toolkit.fluxcd.io/name'],
    name: 'Flux Kustomization',
    fromGit: true,
    effect:
      'its next reconciliation applies the template in Git again; suspend it or revert it in Git as well',
  },
  {
    keys: ['helm.toolkit.fluxcd.io/name'],
    name: 'Flux HelmRelease',
    fromGit: true,
    effect:
      'its next upgrade or drift correction applies the chart again; suspend it or revert it in Git as well',
  },
  {
    // https://helm.sh/docs/chart_best_practices/labels/
    keys: ['meta.helm.sh/release-name'],
    name: 'Helm release',
    effect: 'its next upgrade applies the chart again; roll the release back as well',
  },
  {
    keys: ['serving.kserve.io/inferenceservice'],
    name: 'KServe InferenceService',
    effect: 'its controller may write the template again; change the InferenceService as well',
  },
];

export async function findOwners(
  clients: ClusterClients,
  target: Target,
  deployment: RawDeployment,
): Promise<Owners> {
  const result: Owners = { owners: [], fromGit: [], warnings: [] };
  const { annotations = {}, labels = {} } = deployment.metadata;
  for (const { keys, name, effect, fromGit } of TOOLS) {
    const value = keys.map((key) => annotations[key] ?? labels[key]).find((found) => found !== undefined);
    if (value === undefined) continue;
    const owner = oneLine(`${name} ${value}`, MAX_OWNER_CHARS) ?? name;
    result.owners.push(owner);
    if (fromGit) result.fromGit.push(owner);
    result.warnings.push(`${owner} manages this Deployment: ${effect}`);
  }
  for (const autoscaler of await listAutoscalers(clients, target)) {
    const isKeda = autoscaler.metadata?.labels?.['scaledobject.keda.sh/name'] !== undefined;
    const owner = `${isKeda ? 'KEDA ScaledObject' : 'HorizontalPodAutoscaler'} ${autoscaler.metadata?.name}`;
    result.owners.push(owner);
    result.warnings.push(
      `${owner} sets the number of replicas: it stays as it is, a rollback does not change it`,
    );
  }
  return result;
}

/** Why a workload that another object controls is not rolled back here; undefined where nothing controls it. */
export function controlledBy(deployment: RawDeployment): string | undefined {
  const controller = controllerOf(deployment.metadata);
  if (controller === undefined) return undefined;
  return `it is controlled by ${controller.kind} ${controller.name}, which would write its template again: act on that instead`;
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
