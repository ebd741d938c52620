import type { KeyObject } from 'node:crypto';
import type { GitOpsRef, ResumePlan, SuspensionState } from '../../domain/gitops-plan.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { GitOpsActivities, Ledger } from '../contract.ts';
import { fail } from '../failure.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from '../kubernetes/cluster-clients.ts';
import { type RawWorkload, readWorkload } from '../kubernetes/raw-objects.ts';
import { modeOf } from '../kubernetes/read-target.ts';
import { templateHash } from '../kubernetes/template.ts';
import { verifyApprovals } from '../kubernetes/verify-approvals.ts';
import { comparedBy, withoutAbsent } from './argo-cd.ts';
import { readSource, syncs } from './find.ts';
import { type Holder, type Mark, readMark } from './mark.ts';
import { type RawObject, readGitOpsObject } from './objects.ts';
import { readPointer, writePointer } from './pointer.ts';
import { resumePlanHash } from './resume-hash.ts';
import { sameRevision } from './same-revision.ts';
import { changeObject, letGoPatch, markPatch, refuseUnconfigured } from './suspend.ts';

type Input = Parameters<GitOpsActivities['resumeSync']>[0];

/** What is known of one suspended object. */
interface Look {
  state: SuspensionState;
  object?: RawObject;
  mark?: Mark;
  holder?: Holder;
  /** Seen just now: Git renders another template than runs. To be remembered with the mark. */
  differs: boolean;
}

/** What is suspended for a target, and whether the tools themselves show that it may resume. Mutates nothing. */
export async function checkSuspended(
  clusters: ClusterMap,
  { target, ledger, also }: Parameters<GitOpsActivities['checkSuspended']>[0],
): Promise<{ suspensions: SuspensionState[] }> {
  const clients = clientsFor(clusters, target);
  const workload = await readWorkload(clients, target);
  const refs = refsOf(clients, workload, also ?? []);
  const looks = await Promise.all(refs.map((ref) => look(clients, { target, ledger, ref, workload })));
  return { suspensions: looks.map(({ state }) => state) };
}

/** What a person is asked to stand for: that a Git revision renders the known-bad template no longer. Mutates nothing. */
export async function planResume(
  clusters: ClusterMap,
  { target, ledger, also, revision, approval }: Parameters<GitOpsActivities['planResume']>[0],
): Promise<{ plan: ResumePlan } | { none: { reason: string } }> {
  const clients = clientsFor(clusters, target);
  const workload = await readWorkload(clients, target);
  const objects: ResumePlan['objects'] = [];
  const warnings: string[] = [];
  const reasons: string[] = [];
  for (const ref of refsOf(clients, workload, also ?? [])) {
    const looked = await look(clients, { target, ledger, ref, workload });
    const shown = `${ref.kind} ${ref.namespace}/${ref.name}`;
    if (looked.object === undefined || looked.state.state !== 'suspended') continue;
    const { gitRevision } = looked.state;
    const why = whyNotNamed(revision, gitRevision, badRevisionsOf(looked.holder));
    if (why !== undefined || gitRevision === undefined) {
      reasons.push(`${shown}: ${why}`);
      continue;
    }
    objects.push({ ...ref, uid: looked.object.metadata.uid, gitRevision });
    if (!looked.state.shown) warnings.push(`${shown}: not shown by the tool itself: ${looked.state.why}`);
  }
  if (reasons.length > 0) return { none: { reason: reasons.join('; ') } };
  if (objects.length === 0) return { none: { reason: 'nothing is suspended for it' } };
  const unhashed = { target, revision, objects, warnings, approval };
  return { plan: { ...unhashed, hash: resumePlanHash(unhashed) } };
}

/**
 * Gives the sync of a target's objects back: of each where the tool itself shows that Git renders the template that runs,
 * or, with a plan that people approved, of the plan's objects at the revision that they named. Never by time alone, and never
 * at the revision that was rolled back from. Repeating it changes nothing more.
 * @throws Unauthorized, Refused or PreconditionFailed where a plan is given that may not be carried out.
 */
export async function resumeSync(
  { clusters, keys }: { clusters: ClusterMap; keys: ReadonlyMap<string, KeyObject> },
  input: Input,
): Promise<{ suspensions: SuspensionState[]; approvedBy: string[] }> {
  const { target, ledger, also, byPeople } = input;
  const clients = clientsFor(clusters, target);
  const workload = await readWorkload(clients, target);
  if (modeOf(clients, target, workload) === 'observe') {
    throw fail('Refused', `${targetKey(target)} is in mode observe: nothing is changed there`);
  }
  const approvedBy = byPeople === undefined ? [] : approversOf(input, keys);
  const suspensions: SuspensionState[] = [];
  const done: GitOpsRef[] = [];
  for (const ref of refsOf(clients, workload, also ?? [])) {
    let state: SuspensionState | undefined;
    const first = await look(clients, { target, ledger, ref, workload });
    if (first.object === undefined || first.mark === undefined) {
      suspensions.push(first.state);
      if (first.state.state === 'gone') done.push(ref);
      continue;
    }
    // Decided on the object that the patch tests for: it may have changed since the first look.
    await changeObject(clients, ref, async (object) => {
      const now = await lookAt(
        clients,
        { target, ledger, ref, workload: await readWorkload(clients, target) },
        object,
      );
      const { operations, after } = decide(now, ref, object, target, byPeople?.plan);
      state = after;
      return operations;
    });
    const after = state ?? first.state;
    suspensions.push(after);
    if (after.state !== 'suspended') done.push(ref);
  }
  if (done.length > 0) await writePointer(clients, target, { remove: done });
  return { suspensions, approvedBy };
}

function approversOf({ target, byPeople }: Input, keys: ReadonlyMap<string, KeyObject>): string[] {
  if (byPeople === undefined) return [];
  const { plan, incidentId, step, decisions } = byPeople;
  if (targetKey(plan.target) !== targetKey(target) || resumePlanHash(plan) !== plan.hash) {
    throw fail(
      'PreconditionFailed',
      `the plan to resume is not the one that its hash names; a fresh plan is needed`,
    );
  }
  return verifyApprovals(
    { plan, incidentId, step, decisions, keys, nowMs: Date.now() },
    { allowExpired: false },
  );
}

function decide(
  { state, mark, holder, differs }: Look,
  ref: GitOpsRef,
  object: RawObject,
  target: Target,
  plan: ResumePlan | undefined,
): { operations: object[]; after: SuspensionState } {
  if (mark === undefined || holder === undefined) return { operations: [], after: state };
  const letGo = letGoPatch(ref.kind, object, mark, target);
  if (state.state === 'foreign') return { operations: letGo, after: state };
  const planned = plan?.objects.find(
    (it) => it.kind === ref.kind && it.namespace === ref.namespace && it.name === ref.name,
  );
  if (planned !== undefined) {
    // Git moved on, or the object is another one: that is not what people looked at.
    if (planned.uid !== object.metadata.uid || planned.gitRevision !== state.gitRevision) {
      throw fail(
        'PreconditionFailed',
        `${ref.kind} ${ref.namespace}/${ref.name} is at ${state.gitRevision ?? 'no known revision'} now, and ${planned.gitRevision} was approved; a fresh plan is needed`,
      );
    }
    const why = whyNotNamed(plan?.revision ?? '', state.gitRevision, badRevisionsOf(holder));
    if (why !== undefined) throw fail('Refused', `${ref.kind} ${ref.namespace}/${ref.name}: ${why}`);
  }
  if (planned === undefined && !state.shown) {
    const remembered = { ...holder, differedAt: state.gitRevision };
    const operations =
      differs && holder.differedAt === undefined
        ? markPatch(object, { ...mark, holders: mark.holders.map((it) => (it === holder ? remembered : it)) })
        : [];
    return { operations, after: state };
  }
  const isLast = mark.holders.length === 1;
  const by = planned === undefined ? 'the tool shows that Git renders what runs' : 'approved by people';
  return {
    operations: letGo,
    after: {
      ...state,
      state: isLast ? 'resumed' : 'released',
      why: isLast ? by : `${by}; it stays suspended for ${mark.holders.length - 1} other workloads`,
    },
  };
}

/**
 * The objects that the workload points at, and those that the caller knows of. What a workload points at can be written by
 * many: what is not configured there is nothing to look at, and no reason to keep others waiting.
 */
function refsOf(clients: ClusterClients, workload: RawWorkload, also: readonly GitOpsRef[]): GitOpsRef[] {
  const refs = new Map<string, GitOpsRef>();
  const add = ({ kind, namespace, name }: GitOpsRef) =>
    refs.set(`${kind}/${namespace}/${name}`, { kind, namespace, name });
  for (const ref of readPointer(workload.metadata)) {
    if (clients.gitOpsNamespaces.includes(ref.namespace)) add(ref);
  }
  for (const ref of also) {
    refuseUnconfigured(clients, ref);
    add(ref);
  }
  return [...refs.values()];
}

interface LookInput {
  target: Target;
  ledger: Ledger;
  ref: GitOpsRef;
  workload: RawWorkload;
}

async function look(clients: ClusterClients, input: LookInput): Promise<Look> {
  const answer = await readGitOpsObject(clients, input.ref.kind, input.ref);
  if ('object' in answer) return lookAt(clients, input, answer.object);
  if (answer.missing === 'forbidden') {
    const why = 'the worker has no right to read it; see docs/gitops.md for the Role';
    return { state: { ...input.ref, state: 'suspended', shown: false, why }, differs: false };
  }
  return {
    state: { ...input.ref, state: 'gone', shown: false, why: 'there is no such object' },
    differs: false,
  };
}

async function lookAt(clients: ClusterClients, input: LookInput, object: RawObject): Promise<Look> {
  const { ref, target } = input;
  const mark = readMark(object.metadata);
  const holder =
    mark === undefined || mark === 'unreadable'
      ? undefined
      : mark.holders.find((it) => it.target === targetKey(target));
  if (mark === 'unreadable') {
    const why =
      'its mark firebreak.dev/suspended cannot be read: resume it by hand, and remove the annotation';
    return { state: { ...ref, state: 'suspended', shown: false, why }, object, differs: false };
  }
  if (mark === undefined || holder === undefined) {
    const why = 'it carries no mark of this workload';
    return { state: { ...ref, state: 'gone', shown: false, why }, object, differs: false };
  }
  const { gitRevision } = await readSource(clients, ref, object);
  const facts = withoutAbsent({ ...ref, gitRevision, badRevision: holder.badRevision });
  if (syncs(ref.kind, object)) {
    const why = 'something else switched its sync on again: the template in Git is applied, whatever it is';
    return { state: { ...facts, state: 'foreign', shown: false, why }, object, mark, holder, differs: false };
  }
  const { shown, why, differs } = evidenceOf(input, object, holder, gitRevision);
  return { state: { ...facts, state: 'suspended', shown, why }, object, mark, holder, differs };
}

/**
 * Whether the tool itself shows that Git renders the template that runs. Argo CD goes on comparing an application that does
 * not sync by itself; Flux does nothing with what is suspended, so that its objects never show it.
 */
function evidenceOf(
  { target, ledger, ref, workload }: LookInput,
  object: RawObject,
  holder: Holder,
  gitRevision: string | undefined,
): { shown: boolean; why: string; differs: boolean } {
  const not = (why: string, differs = false) => ({ shown: false, why, differs });
  if (ref.kind !== 'Application') {
    return not(
      `Flux compares nothing while it is suspended: a person has to say that revision ${gitRevision ?? '(not told)'} does not render the template that was rolled back from`,
    );
  }
  const compared = comparedBy(object, target);
  const badRevisions = badRevisionsOf(holder);
  if (compared.blind !== undefined) return not(`Argo CD's comparison cannot tell: ${compared.blind}`);
  if (!(compared.atMs > Date.parse(holder.since))) {
    return not('Argo CD has not compared with Git since the sync was suspended');
  }
  if (compared.status === 'OutOfSync') {
    const sameAsBad = compared.revision !== undefined && badRevisions.includes(compared.revision);
    return not(
      sameAsBad
        ? `Git is at ${compared.revision} still, which renders the template that was rolled back from`
        : `Git at ${compared.revision ?? 'an unknown revision'} renders another template than runs, which nothing has verified`,
      holder.inSyncBefore === true,
    );
  }
  if (compared.status !== 'Synced') return not('Argo CD does not say whether the workload is in sync');
  const running = templateHash(workload.spec.template);
  if (running === holder.bad || ledger[running]?.verdict === 'known-bad') {
    return not('what runs is known to be bad, and Git renders it');
  }
  if (running !== holder.good && ledger[running]?.verdict !== 'verified-good') {
    return not('what runs is neither what was rolled back to nor verified');
  }
  if (holder.badRevision === undefined)
    return not('which revision Git had when the sync was suspended is not known');
  if (compared.revision === undefined || badRevisions.includes(compared.revision)) {
    return not(
      'Argo CD calls it in sync at the revision that was rolled back from: its comparison does not see templates',
    );
  }
  if (holder.differedAt === undefined) {
    return not(
      'Argo CD was never seen to tell the templates apart since the rollback, so "in sync" proves nothing',
    );
  }
  return {
    shown: true,
    why: `Argo CD compares Git at ${compared.revision} as in sync with what runs`,
    differs: false,
  };
}

/** What Git had at the rollbacks for which the object is suspended. */
function badRevisionsOf(holder: Holder | undefined): string[] {
  return [holder?.badRevision, ...(holder?.alsoBad ?? [])].filter((it) => it !== undefined);
}

/** Why a person's revision is not one to resume at; undefined where it is. */
function whyNotNamed(revision: string, git: string | undefined, bad: readonly string[]): string | undefined {
  if (git === undefined)
    return 'which revision Git has cannot be told from the objects: resume it by hand with its own tool';
  if (!sameRevision(revision, git)) return `Git has ${git} there, not ${revision}`;
  if (!bad.some((one) => sameRevision(one, git))) return undefined;
  return `Git has ${git} there still, which renders the template that was rolled back from: revert it in Git first`;
}
