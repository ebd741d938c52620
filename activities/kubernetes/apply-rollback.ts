import type { KeyObject } from 'node:crypto';
import { type Target, targetKey } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { fail, fromKubernetes, kubernetesStatus } from '../failure.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { controlledBy } from './owners.ts';
import { rollbackPlanHash } from './plan-hash.ts';
import { planRollback, type ServedBy } from './plan-rollback.ts';
import {
  listReplicaSets,
  patchDeployment,
  type RawDeployment,
  type RawReplicaSet,
  REVISION_ANNOTATION,
  readDeployment,
  revisionOf,
} from './raw-objects.ts';
import { modeOf, readTarget } from './read-target.ts';
import { templateHash, withoutHashLabel } from './template.ts';
import { verifyApprovals } from './verify-approvals.ts';
import {
  AUTOMATIC_ROLLBACK_ANNOTATION,
  findPreapproval,
  type Preapprovals,
  verifyPreapproval,
} from './verify-preapproval.ts';

type ApplyInput = Parameters<KubernetesActivities['applyRollback']>[0];
type ApplyResult = Awaited<ReturnType<KubernetesActivities['applyRollback']>>;

/** Annotations that stay the Deployment's: `annotationsToSkip` in kubectl's pkg/polymorphichelpers/rollback.go. */
const KEPT_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION_ANNOTATION,
  'deployment.kubernetes.io/revision-history',
  'deployment.kubernetes.io/desired-replicas',
  'deployment.kubernetes.io/max-replicas',
  'deprecated.deployment.rollback.to',
]);

/**
 * And, unlike kubectl, those that say who answers for the workload and what may be done to it: an undo must not bring
 * back the mode or the owner of the day on which the old revision was made.
 */
const KEPT_PREFIXES = ['firebreak.dev/', 'ai.rmf/'];

export interface ApplyOptions {
  clusters: ClusterMap;
  keys: ReadonlyMap<string, KeyObject>;
  servedBy: ServedBy | undefined;
  preapprovals: Preapprovals | undefined;
}

/**
 * Applies an approved plan: verifies the approvals, of people or of the runbook, re-reads the target, and patches with
 * tests on uid and template, so that a change between reading and patching makes the API refuse. Doing it twice changes nothing the second time.
 * @throws Refused, Unauthorized, PreconditionFailed (drift: plan and ask again), or Unavailable.
 */
export async function applyRollback(options: ApplyOptions, input: ApplyInput): Promise<ApplyResult> {
  const { clusters, keys, servedBy, preapprovals } = options;
  const { plan, incidentId, step, decisions } = input;
  const { target } = plan;
  const clients = clientsFor(clusters, target);
  const deployment = await readDeployment(clients, target);
  if (modeOf(clients, target, deployment) === 'observe') {
    throw fail('Refused', `${targetKey(target)} is in mode observe: nothing is changed there`);
  }
  const nowMs = Date.now();
  const alreadyThere = templateHash(deployment.spec.template) === plan.to.templateHash;
  // Where nothing is left to do, an approval that expired since is no obstacle: a repeated attempt must find that out.
  const found = input.preapproved && findPreapproval(preapprovals, input.preapproved, { plan, step });
  const approvedBy =
    found === undefined
      ? verifyApprovals({ plan, incidentId, step, decisions, keys, nowMs }, { allowExpired: alreadyThere })
      : [found.approvedBy];
  refuseDrift(input, deployment);
  if (alreadyThere) return thereAlready(deployment, approvedBy);

  if (deployment.spec.paused === true) {
    throw fail('Refused', `${targetKey(target)} is paused: resume it, then plan and approve again`);
  }
  const controller = controlledBy(deployment);
  if (controller !== undefined)
    throw fail('Refused', `${targetKey(target)} cannot be rolled back: ${controller}`);
  if (templateHash(deployment.spec.template) !== plan.from.templateHash) {
    throw drifted(target, 'its template is not the one that was approved to be replaced');
  }
  // The same template again, but shipped anew: the approval was for leaving the other revision.
  if (revisionOf(deployment.metadata) !== plan.from.revision) {
    throw drifted(
      target,
      `it is at another revision than ${plan.from.revision}, which was approved to be left`,
    );
  }
  const replicaSet = await readTargetRevision(clients, input, deployment);
  if (found !== undefined) {
    const last = deployment.metadata.annotations?.[AUTOMATIC_ROLLBACK_ANNOTATION];
    await verifyPreapproval({
      found,
      plan,
      facts: await readTarget(clusters, { target }),
      lastMs: last === undefined ? undefined : Date.parse(last),
      nowMs,
      planRollback: (wanted) => planRollback(clusters, servedBy, wanted),
    });
  }
  // Written by the patch itself, so that the next automatic rollback cannot overlook it.
  const marks: Record<string, string> =
    found === undefined ? {} : { [AUTOMATIC_ROLLBACK_ANNOTATION]: new Date(nowMs).toISOString() };
  try {
    const patched = await patchDeployment(clients, target, patchOf(deployment, replicaSet, marks));
    return { result: 'patched', generation: patched.metadata.generation ?? 0, approvedBy };
  } catch (error) {
    // 422: a `test` of the patch failed, or the API found the result invalid.
    if (kubernetesStatus(error) !== 422)
      throw fromKubernetes(error, `patch Deployment ${target.namespace}/${target.name}`);
    return await afterFailedTest(clients, input, approvedBy);
  }
}

function drifted(target: Target, why: string): Error {
  return fail(
    'PreconditionFailed',
    `${targetKey(target)} changed since the plan was made: ${why}; a fresh plan is needed`,
  );
}

/** Uid, selector and strategy, and that the plan is the one whose hash was approved. */
function refuseDrift({ plan }: ApplyInput, deployment: RawDeployment): void {
  if (deployment.metadata.uid !== plan.uid) {
    throw drifted(plan.target, 'it was deleted and made anew');
  }
  if (rollbackPlanHash(plan, deployment.spec) !== plan.hash) {
    throw drifted(
      plan.target,
      'its selector or strategy differs, or the plan is not the one that its hash names',
    );
  }
}

function thereAlready(deployment: RawDeployment, approvedBy: string[]): ApplyResult {
  return {
    result: 'already-there',
    revision: revisionOf(deployment.metadata),
    generation: deployment.metadata.generation ?? 0,
    approvedBy,
  };
}

/** The template that was approved, read from the cluster: a plan carries its hash only. */
async function readTargetRevision(
  clients: ClusterClients,
  { plan }: ApplyInput,
  deployment: RawDeployment,
): Promise<RawReplicaSet> {
  const replicaSets = await listReplicaSets(clients, deployment);
  const replicaSet = replicaSets.find(({ metadata }) => metadata.name === plan.to.replicaSet);
  if (replicaSet === undefined) {
    throw drifted(plan.target, `ReplicaSet ${plan.to.replicaSet} with the template to go back to is gone`);
  }
  if (templateHash(replicaSet.spec.template) !== plan.to.templateHash) {
    throw drifted(
      plan.target,
      `the template of ReplicaSet ${plan.to.replicaSet} is not the one that was approved`,
    );
  }
  return replicaSet;
}

/** JSON Patch: the tests first, then the template, then the annotations as `kubectl rollout undo` carries them over. */
function patchOf(
  deployment: RawDeployment,
  replicaSet: RawReplicaSet,
  marks: Record<string, string>,
): object[] {
  return [
    { op: 'test', path: '/metadata/uid', value: deployment.metadata.uid },
    { op: 'test', path: '/spec/template', value: deployment.spec.template },
    { op: 'replace', path: '/spec/template', value: withoutHashLabel(replicaSet.spec.template) },
    ...annotationOperations(
      deployment.metadata.annotations ?? {},
      replicaSet.metadata.annotations ?? {},
      marks,
    ),
  ];
}

/**
 * One operation a key: annotations that others write at the same moment are left alone.
 * @param marks set besides, whatever was there.
 */
function annotationOperations(
  now: Record<string, string>,
  then: Record<string, string>,
  marks: Record<string, string>,
): object[] {
  const path = (key: string): string =>
    `/metadata/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  const carried = (key: string): boolean =>
    !KEPT_ANNOTATIONS.has(key) && !KEPT_PREFIXES.some((prefix) => key.startsWith(prefix));
  const set = [
    ...Object.entries(then).filter(([key, value]) => carried(key) && now[key] !== value),
    ...Object.entries(marks),
  ];
  const removed = Object.keys(now).filter((key) => carried(key) && !Object.hasOwn(then, key));
  const operations = [
    ...set.map(([key, value]) => ({ op: 'add', path: path(key), value })),
    ...removed.map((key) => ({ op: 'remove', path: path(key) })),
  ];
  const hasNone = Object.keys(now).length === 0;
  return hasNone && set.length > 0
    ? [{ op: 'add', path: '/metadata/annotations', value: {} }, ...operations]
    : operations;
}

async function afterFailedTest(
  clients: ClusterClients,
  { plan }: ApplyInput,
  approvedBy: string[],
): Promise<ApplyResult> {
  const deployment = await readDeployment(clients, plan.target);
  if (deployment.metadata.uid !== plan.uid) throw drifted(plan.target, 'it was deleted and made anew');
  const hash = templateHash(deployment.spec.template);
  if (hash === plan.to.templateHash) return thereAlready(deployment, approvedBy);
  if (hash !== plan.from.templateHash)
    throw drifted(plan.target, 'its template was changed at the same moment');
  throw fail(
    'InvalidInput',
    `${targetKey(plan.target)}: the API refused the patch (422), and the target is as it was`,
  );
}
