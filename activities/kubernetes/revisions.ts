import type { V1Pod } from '@kubernetes/client-node';
import type { RevisionSummary } from '../../domain/rollback-plan.ts';
import { ROLLBACK_BARRIER_ANNOTATION, type Target } from '../../domain/target.ts';
import type { Ledger } from '../contract.ts';
import type { ClusterClients } from './cluster-clients.ts';
import {
  listPods,
  listReplicaSets,
  type RawDeployment,
  type RawReplicaSet,
  readDeployment,
  revisionOf,
} from './raw-objects.ts';
import { imagesOf, templateHash } from './template.ts';

const CHANGE_CAUSE_ANNOTATION = 'kubernetes.io/change-cause';
/** It is free text of whoever deployed: one line, and no more than a line. */
const MAX_CHANGE_CAUSE_CHARS = 200;
const DIGEST = /sha256:[0-9a-f]{64}/;

/** A Deployment with its revisions, read together. */
export interface Revisions {
  deployment: RawDeployment;
  /** Newest revision first. */
  replicaSets: RawReplicaSet[];
  /** The ReplicaSet of the Deployment's template; absent before the controller has made it. */
  current: RawReplicaSet | undefined;
  podsByReplicaSet: Map<string, V1Pod[]>;
  hashOf(replicaSet: RawReplicaSet): string;
  currentHash: string;
}

/** @throws NotFound where there is no such Deployment. */
export async function readRevisions(clients: ClusterClients, target: Target): Promise<Revisions> {
  const deployment = await readDeployment(clients, target);
  const replicaSets = await listReplicaSets(clients, deployment);
  const podsByReplicaSet = await listPods(clients, deployment, replicaSets);
  const hashes = new Map(
    replicaSets.map(({ metadata, spec }) => [metadata.uid, templateHash(spec.template)]),
  );
  const hashOf = (replicaSet: RawReplicaSet): string => hashes.get(replicaSet.metadata.uid) ?? '';
  const currentHash = templateHash(deployment.spec.template);
  // Several can have one template after an upgrade of the control plane: kubectl and the controller take the oldest.
  const current = [...replicaSets].sort(byCreation).find((replicaSet) => hashOf(replicaSet) === currentHash);
  replicaSets.sort((a, b) => revisionOf(b.metadata) - revisionOf(a.metadata));
  return { deployment, replicaSets, current, podsByReplicaSet, hashOf, currentHash };
}

/** By age, then name: the order in which kubectl looks at ReplicaSets. */
export function byCreation(a: RawReplicaSet, b: RawReplicaSet): number {
  const difference = createdAtMs(a) - createdAtMs(b);
  if (difference !== 0) return difference;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

export function createdAtMs(replicaSet: RawReplicaSet): number {
  return Date.parse(replicaSet.metadata.creationTimestamp);
}

export function summarise(revisions: Revisions, replicaSet: RawReplicaSet, ledger: Ledger): RevisionSummary {
  const { metadata, spec, status } = replicaSet;
  const hash = revisions.hashOf(replicaSet);
  return {
    revision: revisionOf(metadata),
    replicaSet: metadata.name,
    images: imagesOf(spec.template),
    digests: digestsOf(revisions.podsByReplicaSet.get(metadata.uid) ?? []),
    templateHash: hash,
    createdAt: metadata.creationTimestamp,
    changeCause: oneLine(metadata.annotations?.[CHANGE_CAUSE_ANNOTATION], MAX_CHANGE_CAUSE_CHARS),
    replicas: status?.replicas ?? 0,
    barrier: hasBarrier(replicaSet),
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

function hasBarrier(replicaSet: RawReplicaSet): boolean {
  const value = replicaSet.spec.template.metadata?.annotations?.[ROLLBACK_BARRIER_ANNOTATION];
  return value !== undefined && value !== 'false';
}

/**
 * The barrier that lies between a revision and now: the revision's template is older than one that says that nothing
 * older may come back (a data migration, say). Age, not revision number: a rollback gives an old template a new number.
 */
export function barrierAfter(revisions: Revisions, replicaSet: RawReplicaSet): RawReplicaSet | undefined {
  return revisions.replicaSets.find(
    (other) => other !== replicaSet && hasBarrier(other) && isOlder(replicaSet, other),
  );
}

function isOlder(a: RawReplicaSet, b: RawReplicaSet): boolean {
  const difference = createdAtMs(a) - createdAtMs(b);
  // Times have whole seconds.
  return difference === 0 ? revisionOf(a.metadata) < revisionOf(b.metadata) : difference < 0;
}

/** Text that others wrote, without line breaks and control characters, cut to a length. */
export function oneLine(text: string | undefined, maxChars: number): string | undefined {
  const line = text
    ?.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim();
  if (line === undefined || line === '') return undefined;
  return line.length <= maxChars ? line : `${line.slice(0, maxChars - 1)}…`;
}
