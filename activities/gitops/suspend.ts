import { setTimeout as delay } from 'node:timers/promises';
import type { GitOpsPlan, GitOpsRef, GitOpsSuspension } from '../../domain/gitops-plan.ts';
import { GITOPS_KINDS } from '../../domain/gitops-plan.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { fail, fromKubernetes, kubernetesStatus } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { comparedBy } from './argo-cd.ts';
import { readSource } from './find.ts';
import {
  alsoBadAfter,
  annotationPatch,
  type Holder,
  type Mark,
  readMark,
  SUSPENDED_ANNOTATION,
  withHolder,
  withoutHolder,
} from './mark.ts';
import { at, isObjectName, patchGitOpsObject, type RawObject, readGitOpsObject, textAt } from './objects.ts';
import { fieldOf } from './plan-suspension.ts';

/** Controllers write an object's status every few seconds: each lost race is read again, and so many are not lost. */
const MAX_ATTEMPTS = 6;

/** A sync that runs already is given this long to end before the template is patched; the caller's limit is near. */
const IN_FLIGHT_WITHIN_MS = 2_500;
const IN_FLIGHT_POLL_MS = 250;

/** What an object is suspended for. */
export type SuspendedFor = Omit<
  Holder,
  'alsoBad' | 'badRevision' | 'differedAt' | 'inSyncBefore' | 'since' | 'target'
> & { target: Target };

/**
 * Suspends what people approved, one object after the other. Doing it twice changes nothing the second time.
 * @throws PreconditionFailed where an object is not as it was approved; Refused for a namespace that is not configured.
 */
export async function suspendSync(
  clients: ClusterClients,
  plan: GitOpsPlan,
  forWhom: SuspendedFor,
): Promise<void> {
  for (const suspension of plan.suspend) {
    refuseUnconfigured(clients, suspension);
    await changeObject(clients, suspension, async (object) => {
      if (object.metadata.uid !== suspension.uid) throw changed(suspension, 'it was deleted and made anew');
      const mark = readableMark(suspension, object);
      const was = fieldOf(suspension.kind, object);
      const ours = mark?.holders.find(({ target }) => target === targetKey(forWhom.target));
      if (was === undefined) {
        if (mark === undefined) throw changed(suspension, 'something else has suspended it');
        if (mark.was !== suspension.was) throw changed(suspension, 'it syncs in another way');
        if (ours?.plan === forWhom.plan) return [];
      } else if (was !== suspension.was) {
        throw changed(suspension, 'it syncs in another way');
      }
      const { source } = await readSource(clients, suspension, object);
      const badRevision = source.revision;
      const alsoBad = alsoBadAfter(ours, badRevision);
      const holder: Holder = {
        ...forWhom,
        target: targetKey(forWhom.target),
        since: new Date().toISOString(),
        ...(badRevision === undefined ? {} : { badRevision }),
        ...(alsoBad.length === 0 ? {} : { alsoBad }),
        inSyncBefore:
          suspension.kind === 'Application' && comparedBy(object, forWhom.target).status === 'Synced',
      };
      return [
        ...(was === undefined ? [] : offPatch(suspension.kind)),
        ...markPatch(object, withHolder(mark, suspension.was, holder)),
      ];
    });
  }
  await Promise.all(plan.suspend.map((suspension) => awaitQuiet(clients, suspension)));
}

/**
 * Lets go of what `suspendSync` holds for this plan: nothing was changed, so nothing needs protection. Objects that others
 * hold stay suspended for them.
 */
export async function releaseSync(
  clients: ClusterClients,
  plan: GitOpsPlan,
  forWhom: Pick<SuspendedFor, 'target' | 'plan'>,
): Promise<void> {
  for (const suspension of plan.suspend) {
    await changeObject(clients, suspension, async (object) => {
      const mark = readMark(object.metadata);
      if (mark === undefined || mark === 'unreadable') return [];
      const ours = mark.holders.find(({ target }) => target === targetKey(forWhom.target));
      return ours?.plan === forWhom.plan ? letGoPatch(suspension.kind, object, mark, forWhom.target) : [];
    });
  }
}

/** Whether any object is held for this plan now. */
export async function isHeld(
  clients: ClusterClients,
  plan: GitOpsPlan,
  forWhom: Pick<SuspendedFor, 'target' | 'plan'>,
): Promise<boolean> {
  for (const suspension of plan.suspend) {
    const answer = await readGitOpsObject(clients, suspension.kind, suspension);
    const mark = 'object' in answer ? readMark(answer.object.metadata) : undefined;
    if (mark === undefined || mark === 'unreadable') continue;
    const ours = mark.holders.find(({ target }) => target === targetKey(forWhom.target));
    if (ours?.plan === forWhom.plan) return true;
  }
  return false;
}

/** JSON Patch that takes a target's hold away, and with the last one the suspension. */
export function letGoPatch(kind: GitOpsRef['kind'], object: RawObject, mark: Mark, target: Target): object[] {
  const left = withoutHolder(mark, targetKey(target));
  // Somebody wrote the field meanwhile: then it stays as it is, and only the mark is taken away.
  const untouched =
    kind === 'Application'
      ? at(object.spec, 'syncPolicy', 'automated') === undefined
      : at(object.spec, 'suspend') === true;
  const backOn = left === undefined && untouched ? onPatch(kind, object, mark.was) : [];
  return [...backOn, ...markPatch(object, left)];
}

/** Sets or removes the mark. */
export function markPatch(object: RawObject, mark: Mark | undefined): object[] {
  return annotationPatch(
    object.metadata,
    SUSPENDED_ANNOTATION,
    mark === undefined ? undefined : JSON.stringify(mark),
  );
}

/** Reads, lets `decide` make a JSON Patch, and patches where nobody wrote meanwhile; reads again where somebody did. */
export async function changeObject(
  clients: ClusterClients,
  ref: GitOpsRef,
  decide: (object: RawObject) => Promise<object[]>,
): Promise<void> {
  const what = `${ref.kind} ${ref.namespace}/${ref.name}`;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await readGitOpsObject(clients, ref.kind, ref);
    if ('missing' in answer) {
      if (answer.missing === 'absent')
        throw fail('PreconditionFailed', `${what} is gone: a fresh plan is needed`);
      throw fail(
        'Unauthorized',
        `${what}: the worker has no right to read it; see docs/gitops.md for the Role`,
      );
    }
    const operations = await decide(answer.object);
    if (operations.length === 0) return;
    const { resourceVersion, uid } = answer.object.metadata;
    const tests = [
      { op: 'test', path: '/metadata/uid', value: uid },
      // The mark is one text of many holders: it is only ever written over what was read.
      { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
    ];
    try {
      await patchGitOpsObject(clients, ref, [...tests, ...operations]);
      return;
    } catch (error) {
      const status = kubernetesStatus(error);
      if ((status !== 422 && status !== 409) || attempt === MAX_ATTEMPTS)
        throw fromKubernetes(error, `patch ${what}`);
    }
  }
}

function offPatch(kind: GitOpsRef['kind']): object[] {
  return kind === 'Application'
    ? [{ op: 'remove', path: '/spec/syncPolicy/automated' }]
    : [{ op: 'add', path: '/spec/suspend', value: true }];
}

function onPatch(kind: GitOpsRef['kind'], object: RawObject, was: string): object[] {
  const value: unknown = JSON.parse(was);
  if (kind !== 'Application') {
    return value === null
      ? [{ op: 'remove', path: '/spec/suspend' }]
      : [{ op: 'replace', path: '/spec/suspend', value: false }];
  }
  const hasPolicy = at(object.spec, 'syncPolicy') !== undefined;
  return [
    ...(hasPolicy ? [] : [{ op: 'add', path: '/spec/syncPolicy', value: {} }]),
    { op: 'add', path: '/spec/syncPolicy/automated', value },
  ];
}

/** Only what the configuration names is ever changed, whatever a plan says. */
export function refuseUnconfigured(clients: ClusterClients, { kind, namespace, name }: GitOpsRef): void {
  const known =
    GITOPS_KINDS.includes(kind) && clients.gitOpsNamespaces.includes(namespace) && isObjectName(name);
  if (known) return;
  throw fail(
    'Refused',
    `${kind} ${namespace}/${name} is not to be changed: only objects in the namespaces under gitops.namespaces of the cluster are`,
  );
}

function readableMark(ref: GitOpsRef, object: RawObject): Mark | undefined {
  const mark = readMark(object.metadata);
  if (mark === 'unreadable') throw changed(ref, 'its mark firebreak.dev/suspended cannot be read');
  return mark;
}

function changed({ kind, namespace, name }: GitOpsRef, why: string): Error {
  return fail(
    'PreconditionFailed',
    `${kind} ${namespace}/${name} is not as it was approved: ${why}; a fresh plan is needed`,
  );
}

/**
 * A suspension does not stop a sync that runs: one that ends in time cannot bring the old template back. One that does not
 * is not waited for longer: containment by the rollback is worth more, and a foreign template is told as superseded.
 */
async function awaitQuiet(clients: ClusterClients, suspension: GitOpsSuspension): Promise<void> {
  const untilMs = Date.now() + IN_FLIGHT_WITHIN_MS;
  for (;;) {
    const answer = await readGitOpsObject(clients, suspension.kind, suspension);
    if ('missing' in answer || !isSyncing(suspension.kind, answer.object) || Date.now() >= untilMs) return;
    await delay(IN_FLIGHT_POLL_MS);
  }
}

function isSyncing(kind: GitOpsRef['kind'], object: RawObject): boolean {
  if (kind === 'Application') return textAt(object.status, 'operationState', 'phase') === 'Running';
  const conditions = at(object.status, 'conditions');
  return (
    Array.isArray(conditions) &&
    conditions.some((it) => textAt(it, 'type') === 'Reconciling' && textAt(it, 'status') === 'True')
  );
}
