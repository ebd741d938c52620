import type { KeyObject } from 'node:crypto';
import { type Target, targetKey } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { fail, fromKubernetes, kubernetesStatus } from '../failure.ts';
import { suspendFor, withoutNeedlessSuspension } from '../gitops/rollback.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { controlledBy } from './owners.ts';
import { rollbackPlanHash, whatIsHashed } from './plan-hash.ts';
import { planRollback, type ServedBy } from './plan-rollback.ts';
import {
  patchWorkload,
  type RawRevision,
  type RawWorkload,
  REVISION_ANNOTATION,
  readWorkload,
} from './raw-objects.ts';
import { modeOf, readTarget } from './read-target.ts';
import { restoredTemplate } from './restored-template.ts';
import { hasTemplate, type Revisions, relate } from './revisions.ts';
import { templateHash, withoutHashLabel } from './template.ts';
import { verifyApprovals } from './verify-approvals.ts';
import {
  AUTOMATIC_ROLLBACK_ANNOTATION,
  findPreapproval,
  type Preapprovals,
  verifyPreapproval,
} from './verify-preapproval.ts';
import { REVISION_HISTORY_ANNOTATION } from './workloads/deployment.ts';
import { workloadTypeOf } from './workloads/index.ts';
import { hasObserved, type WorkloadType } from './workloads/workload.ts';

type ApplyInput = Parameters<KubernetesActivities['applyRollback']>[0];
type ApplyResult = Awaited<ReturnType<KubernetesActivities['applyRollback']>>;

/** Annotations that stay the workload's: `annotationsToSkip` in kubectl's pkg/polymorphichelpers/rollback.go. */
const KEPT_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION_ANNOTATION,
  REVISION_HISTORY_ANNOTATION,
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
  const { gitops } = input.plan;
  if (gitops === undefined) return await apply(options, input);
  try {
    return await apply(options, input);
  } catch (error) {
    throw await withoutNeedlessSuspension(clientsFor(options.clusters, input.plan.target), input, error);
  }
}

async function apply(options: ApplyOptions, input: ApplyInput): Promise<ApplyResult> {
  const { clusters, keys, servedBy, preapprovals } = options;
  const { plan, incidentId, step, decisions } = input;
  const { target } = plan;
  const clients = clientsFor(clusters, target);
  const type = workloadTypeOf(target.kind);
  const workload = await readWorkload(clients, target);
  if (modeOf(clients, target, workload) === 'observe') {
    throw fail('Refused', `${targetKey(target)} is in mode observe: nothing is changed there`);
  }
  const nowMs = Date.now();
  const revisions = relate(type, workload, await type.listRevisions(clients, workload), []);
  const alreadyThere = hasTemplate(revisions, plan.to.templateHash);
  // Where nothing is left to do, an approval that expired since is no obstacle: a repeated attempt must find that out.
  const found = input.preapproved && findPreapproval(preapprovals, input.preapproved, { plan, step });
  const approvedBy =
    found === undefined
      ? verifyApprovals({ plan, incidentId, step, decisions, keys, nowMs }, { allowExpired: alreadyThere })
      : [found.approvedBy];
  refuseDrift(input, type, workload);
  const revision = type.revisionNumber(workload, revisions.all);
  if (alreadyThere) return thereAlready(workload, revision, approvedBy);

  const refusal = controlledBy(workload) ?? type.refusal(workload);
  if (refusal !== undefined) throw fail('Refused', `${targetKey(target)} cannot be rolled back: ${refusal}`);
  if (revisions.current === undefined && !hasObserved(workload, workload.metadata.generation ?? 0)) {
    throw fail(
      'Unavailable',
      `${targetKey(target)}: ${type.controller} has not taken in the latest change yet`,
    );
  }
  if (!hasTemplate(revisions, plan.from.templateHash)) {
    throw drifted(target, 'its template is not the one that was approved to be replaced');
  }
  // The same template again, but shipped anew: the approval was for leaving the other revision.
  if (revision !== plan.from.revision) {
    throw drifted(
      target,
      `it is at another revision than ${plan.from.revision}, which was approved to be left`,
    );
  }
  const restored = await approvedTemplate(clients, input, revisions);
  if (found !== undefined) {
    const last = workload.metadata.annotations?.[AUTOMATIC_ROLLBACK_ANNOTATION];
    await verifyPreapproval({
      found,
      plan,
      facts: await readTarget(clusters, { target }),
      lastMs: last === undefined ? undefined : Date.parse(last),
      nowMs,
      planRollback: (own) => planRollback(clusters, servedBy, own),
    });
  }
  // Written by the patch itself, so that the next automatic rollback cannot overlook it.
  const marks: Record<string, string> =
    found === undefined ? {} : { [AUTOMATIC_ROLLBACK_ANNOTATION]: new Date(nowMs).toISOString() };
  // Right before the patch, since it is approved with it; the template is still tested to be the one that was read.
  const { metadata } = plan.gitops === undefined ? workload : await suspendFor(clients, plan, incidentId);
  try {
    const patched = await patchWorkload(
      clients,
      target,
      patchOf(type, { ...workload, metadata }, restored, marks),
    );
    return { result: 'patched', generation: patched.metadata.generation ?? 0, approvedBy };
  } catch (error) {
    // 422: a `test` of the patch failed, or the API found the result invalid.
    if (kubernetesStatus(error) !== 422)
      throw fromKubernetes(error, `patch ${target.kind} ${target.namespace}/${target.name}`);
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
function refuseDrift({ plan }: ApplyInput, type: WorkloadType, workload: RawWorkload): void {
  if (workload.metadata.uid !== plan.uid) {
    throw drifted(plan.target, 'it was deleted and made anew');
  }
  if (rollbackPlanHash(plan, whatIsHashed(type, workload)) !== plan.hash) {
    throw drifted(
      plan.target,
      'its selector or strategy differs, or the plan is not the one that its hash names',
    );
  }
}

function thereAlready(workload: RawWorkload, revision: number, approvedBy: string[]): ApplyResult {
  return { result: 'already-there', revision, generation: workload.metadata.generation ?? 0, approvedBy };
}

/** The revision that was approved, read from the cluster: a plan carries its template's hash only. */
async function approvedTemplate(
  clients: ClusterClients,
  { plan }: ApplyInput,
  { type, all }: Revisions,
): Promise<RawRevision> {
  const { replicaSet: name, templateHash: hash } = plan.to;
  const revision = all.find(({ metadata }) => metadata.name === name);
  if (revision === undefined) {
    throw drifted(plan.target, `${type.revisionKind} ${name} with the template to go back to is gone`);
  }
  const template = await restoredTemplate(clients, type, plan.target, revision);
  if (template === undefined || templateHash(template) !== hash) {
    throw drifted(
      plan.target,
      `the template of ${type.revisionKind} ${name} is not the one that was approved`,
    );
  }
  return revision;
}

/** JSON Patch: the tests first, then the template, then the annotations, where the kind's own undo carries them over. */
function patchOf(
  { carriesAnnotations }: WorkloadType,
  workload: RawWorkload,
  revision: RawRevision,
  marks: Record<string, string>,
): object[] {
  const now = workload.metadata.annotations ?? {};
  return [
    { op: 'test', path: '/metadata/uid', value: workload.metadata.uid },
    { op: 'test', path: '/spec/template', value: workload.spec.template },
    { op: 'replace', path: '/spec/template', value: withoutHashLabel(revision.template) },
    ...annotationOperations(now, carriesAnnotations ? (revision.metadata.annotations ?? {}) : now, marks),
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
  const type = workloadTypeOf(plan.target.kind);
  const workload = await readWorkload(clients, plan.target);
  if (workload.metadata.uid !== plan.uid) throw drifted(plan.target, 'it was deleted and made anew');
  const revisions = relate(type, workload, await type.listRevisions(clients, workload), []);
  if (hasTemplate(revisions, plan.to.templateHash)) {
    return thereAlready(workload, type.revisionNumber(workload, revisions.all), approvedBy);
  }
  if (!hasTemplate(revisions, plan.from.templateHash))
    throw drifted(plan.target, 'its template was changed at the same moment');
  throw fail(
    'InvalidInput',
    `${targetKey(plan.target)}: the API refused the patch (422), and the target is as it was`,
  );
}
