import type { Target } from '../../domain/target.ts';
import { fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from './cluster-clients.ts';
import { patchWorkload, type RawRevision, type RawTemplate } from './raw-objects.ts';
import { withoutHashLabel } from './template.ts';
import type { WorkloadType } from './workloads/workload.ts';

/**
 * The template that the workload will have after a rollback to a revision. For most it is the revision's own; where the
 * API puts defaults into it, the API is asked by a dry run, which changes nothing.
 * @returns undefined where the API finds the template invalid by now.
 */
export async function restoredTemplate(
  clients: ClusterClients,
  type: WorkloadType,
  target: Target,
  revision: RawRevision,
): Promise<RawTemplate | undefined> {
  const value = withoutHashLabel(revision.template);
  if (!type.templatesAreRewritten) return value;
  try {
    const operations = [{ op: 'replace', path: '/spec/template', value }];
    const patched = await patchWorkload(clients, target, operations, { dryRun: true });
    return patched.spec.template;
  } catch (error) {
    if (kubernetesStatus(error) === 422) return undefined;
    // A plan of people who may look and not patch: as it stands there is the best that can be said.
    if (kubernetesStatus(error) === 403) return value;
    throw fromKubernetes(error, `try out a patch of ${target.kind} ${target.namespace}/${target.name}`);
  }
}
