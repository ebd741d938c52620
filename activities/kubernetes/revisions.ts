import type { V1Pod } from '@kubernetes/client-node';
import type { RevisionSummary } from '../../domain/rollback-plan.ts';
import { ROLLBACK_BARRIER_ANNOTATION, type Target } from '../../domain/target.ts';
import type { Ledger } from '../contract.ts';
import type { ClusterClients } from './cluster-clients.ts';
import { listPods, type RawRevision, type RawWorkload, readWorkload } from './raw-objects.ts';
import { imagesOf, templateHash } from './template.ts';
import { workloadTypeOf } from './workloads/index.ts';
import { byCreation, createdAtMs, type RolloutPods, type WorkloadType } from './workloads/workload.ts';

const CHANGE_CAUSE_ANNOTATION = 'kubernetes.io/change-cause';
/** It is free text of whoever deployed: one line, and no more than a line. */
const MAX_CHANGE_CAUSE_CHARS = 200;
const DIGEST = /sha256:[0-9a-f]{64}/;

/** A workload with its revisions, read together. */
export interface Revisions {
  type: WorkloadType;
  workload: RawWorkload;
  /** Newest first. */
  all: RawRevision[];
  /** The revision of the workload's template; absent before the controller has made it. */
  current: RawRevision | undefined;
  podsOf(revision: RawRevision): V1Pod[];
  /** Pods of the workload whose revision is gone from its history. */
  strayPods: V1Pod[];
  hashOf(revision: RawRevision): string;
  /** Of the current revision, or, before there is one, of the workload's template as it stands there. */
  currentHash: string;
}

/** @throws NotFound where there is no such workload. */
export async function readRevisions(clients: ClusterClients, target: Target): Promise<Revisions> {
  const workload = await readWorkload(clients, target);
  return readRevisionsOf(clients, workloadTypeOf(target.kind), workload);
}

/** @param workload as it was read before: what else is read here can be a moment newer. */
export async function readRevisionsOf(
  clients: ClusterClients,
  type: WorkloadType,
  workload: RawWorkload,
): Promise<Revisions> {
  const all = await type.listRevisions(clients, workload);
  return relate(type, workload, all, await listPods(clients, workload));
}

/** What belongs to what, of a workload, its revisions and its pods. */
export function relate(
  type: WorkloadType,
  workload: RawWorkload,
  all: RawRevision[],
  pods: readonly V1Pod[],
): Revisions {
  const podsByUid = new Map<string, V1Pod[]>(all.map(({ metadata }) => [metadata.uid, []]));
  const strayPods: V1Pod[] = [];
  for (const pod of pods) {
    const revision = type.revisionOfPod(pod, workload, all);
    if (revision === 'unknown') strayPods.push(pod);
    else if (revision !== undefined) podsByUid.get(revision.metadata.uid)?.push(pod);
  }
  const hashes = new Map(all.map(({ metadata, template }) => [metadata.uid, templateHash(template)]));
  const hashOf = (revision: RawRevision): string => hashes.get(revision.metadata.uid) ?? '';
  const standing = templateHash(workload.spec.template);
  const current = type.currentOf(workload, all, (revision) => hashOf(revision) === standing);
  const currentHash = current === undefined ? standing : hashOf(current);
  const podsOf = (revision: RawRevision): V1Pod[] => podsByUid.get(revision.metadata.uid) ?? [];
  // Of equal numbers the oldest first: the one that kubectl takes.
  all.sort((a, b) => b.revision - a.revision || byCreation(a, b));
  return { type, workload, all, current, podsOf, strayPods, hashOf, currentHash };
}

/**
 * True where the workload has the template of this hash: as its controller understands it, or as it stands there. The
 * two can differ where the API puts in defaults that are newer than the revision.
 */
export function hasTemplate(
  { workload, currentHash }: Pick<Revisions, 'workload' | 'currentHash'>,
  hash: string,
): boolean {
  return currentHash === hash || templateHash(workload.spec.template) === hash;
}

/** The workload's pods by whether they are of a revision's template: others as far as they may still answer requests. */
export function podsByTemplate(revisions: Revisions, of: RawRevision | undefined): RolloutPods {
  const { type, all, podsOf, hashOf, strayPods } = revisions;
  const hash = of === undefined ? undefined : hashOf(of);
  const others = all.filter((revision) => hashOf(revision) !== hash);
  return {
    wanted: all.filter((revision) => hashOf(revision) === hash).flatMap(podsOf),
    others: [
      ...others.flatMap((revision) => podsOf(revision).filter((pod) => type.mayServe(pod, revision))),
      ...strayPods.filter((pod) => type.mayServe(pod, 'unknown')),
    ],
  };
}

export function summarise(
  { hashOf, podsOf }: Pick<Revisions, 'hashOf' | 'podsOf'>,
  revision: RawRevision,
  ledger: Ledger,
): RevisionSummary {
  const { metadata, template } = revision;
  const hash = hashOf(revision);
  return {
    revision: revision.revision,
    replicaSet: metadata.name,
    images: imagesOf(template),
    digests: digestsOf(podsOf(revision)),
    templateHash: hash,
    createdAt: metadata.creationTimestamp,
    changeCause: oneLine(metadata.annotations?.[CHANGE_CAUSE_ANNOTATION], MAX_CHANGE_CAUSE_CHARS),
    replicas: revision.replicas,
    barrier: hasBarrier(revision),
    ledger: Object.hasOwn(ledger, hash) ? ledger[hash]?.verdict : undefined,
  };
}

/** Digests of the images that the pods' main containers run, as the kubelet reports them, in order, each once. */
export function digestsOf(pods: readonly V1Pod[]): string[] {
  const imageIds = pods.flatMap((pod) =>
    (pod.status?.containerStatuses ?? []).map((status) => status.imageID),
  );
  const digests = imageIds
    .map((imageId) => DIGEST.exec(imageId ?? '')?.[0])
    .filter((digest) => digest !== undefined);
  return [...new Set(digests)].sort();
}

function hasBarrier({ template }: RawRevision): boolean {
  const value = template.metadata?.annotations?.[ROLLBACK_BARRIER_ANNOTATION];
  return value !== undefined && value !== 'false';
}

/**
 * The barrier that lies between a revision and now: the revision's template is older than one that says that nothing
 * older may come back (a data migration, say). Age, not revision number: a rollback gives an old template a new number.
 */
export function barrierAfter(
  { all }: Pick<Revisions, 'all'>,
  revision: RawRevision,
): RawRevision | undefined {
  return all.find((other) => other !== revision && hasBarrier(other) && isOlder(revision, other));
}

function isOlder(a: RawRevision, b: RawRevision): boolean {
  const difference = createdAtMs(a) - createdAtMs(b);
  // Times have whole seconds.
  return difference === 0 ? a.revision < b.revision : difference < 0;
}

/** Text that others wrote, without line breaks and control characters, cut to a length. */
export function oneLine(text: string | undefined, maxChars: number): string | undefined {
  const line = text
    ?.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim();
  if (line === undefined || line === '') return undefined;
  return line.length <= maxChars ? line : `${line.slice(0, maxChars - 1)}…`;
}
