import type { RevisionSummary, RollbackTo } from '../../domain/rollback-plan.ts';
import type { RawReplicaSet } from './raw-objects.ts';
import { revisionOf } from './raw-objects.ts';
import { barrierAfter, byCreation, type Revisions } from './revisions.ts';

/** What a revision served while it ran, by Prometheus. */
export interface Served {
  classified: number;
  harmful: number;
  seconds: number;
}

interface GoodEnough {
  forMs: number;
  minClassified: number;
  harmRateBelow: number;
}

export type Choice = { replicaSet: RawReplicaSet; served?: Served } | { reason: string };

interface ChoiceInput {
  revisions: Revisions;
  to: RollbackTo;
  summaryOf(replicaSet: RawReplicaSet): RevisionSummary;
  /** What it served; undefined where Prometheus cannot tell. */
  servedBy(replicaSet: RawReplicaSet): Promise<Served | undefined>;
  goodEnough: GoodEnough;
}

/** Decides which revision `to` means. A revision that is known bad, or across a barrier, is never chosen. */
export async function chooseRevision(input: ChoiceInput): Promise<Choice> {
  const { revisions, to } = input;
  if (to === 'last-known-good') return chooseLastKnownGood(input);
  if (to === 'previous') {
    const previous = kubectlPrevious(revisions);
    if (previous === undefined) return { reason: 'there is no earlier revision in the rollout history' };
    return permitted(input, previous, 'the previous revision');
  }
  const replicaSet = revisions.replicaSets.find(({ metadata }) => revisionOf(metadata) === to.revision);
  if (replicaSet === undefined) return { reason: `revision ${to.revision} is not in the rollout history` };
  return permitted(input, replicaSet, 'revision');
}

function permitted(input: ChoiceInput, replicaSet: RawReplicaSet, what: string): Choice {
  const problem = whyNever(input, replicaSet);
  return problem === undefined
    ? { replicaSet }
    : { reason: `${what} ${revisionOf(replicaSet.metadata)} ${problem}` };
}

/** Why a revision may never be rolled back to; undefined where it may. */
export function whyNever(
  { revisions, summaryOf }: Pick<ChoiceInput, 'revisions' | 'summaryOf'>,
  replicaSet: RawReplicaSet,
): string | undefined {
  if (summaryOf(replicaSet).ledger === 'known-bad') return 'is known to be bad: it was harmful when it ran';
  const barrier = barrierAfter(revisions, replicaSet);
  if (barrier === undefined) return undefined;
  return `lies before the rollback barrier of revision ${revisionOf(barrier.metadata)}`;
}

/**
 * What `kubectl rollout undo` picks: the second-highest revision, walking the old ReplicaSets by age and the current one
 * last (deploymentRevision in kubectl's pkg/polymorphichelpers/rollback.go, toRevision = 0).
 */
function kubectlPrevious({ replicaSets, current }: Revisions): RawReplicaSet | undefined {
  const old = replicaSets.filter((replicaSet) => replicaSet !== current).sort(byCreation);
  let latest: RawReplicaSet | undefined;
  let latestRevision = -1;
  let previous: RawReplicaSet | undefined;
  let previousRevision = -1;
  for (const replicaSet of current === undefined ? old : [...old, current]) {
    const revision = revisionOf(replicaSet.metadata);
    if (latestRevision < revision) {
      [previous, previousRevision] = [latest, latestRevision];
      [latest, latestRevision] = [replicaSet, revision];
    } else if (previousRevision < revision) {
      [previous, previousRevision] = [replicaSet, revision];
    }
  }
  return previous;
}

/** The newest revision other than the current one that was verified, or that served long and well enough. */
async function chooseLastKnownGood(input: ChoiceInput): Promise<Choice> {
  const { revisions, summaryOf, goodEnough } = input;
  const rejected: string[] = [];
  for (const replicaSet of revisions.replicaSets) {
    if (revisions.hashOf(replicaSet) === revisions.currentHash) continue;
    const name = `revision ${revisionOf(replicaSet.metadata)}`;
    const never = whyNever(input, replicaSet);
    if (never !== undefined) {
      rejected.push(`${name} ${never}`);
      continue;
    }
    if (summaryOf(replicaSet).ledger === 'verified-good') return { replicaSet };
    const served = await input.servedBy(replicaSet);
    const lacking = whyNotGoodEnough(served, goodEnough);
    if (lacking === undefined) return { replicaSet, served };
    rejected.push(`${name} ${lacking}`);
  }
  const why =
    rejected.length === 0 ? 'there is no other revision in the rollout history' : rejected.join('; ');
  return { reason: `no revision is known to be good: ${why}` };
}

function whyNotGoodEnough(served: Served | undefined, wanted: GoodEnough): string | undefined {
  if (served === undefined) return 'was never verified, and Prometheus cannot tell what it served';
  const { classified, harmful, seconds } = served;
  if (!(classified >= wanted.minClassified)) {
    return `was never verified and served ${Math.floor(classified)} classified outputs of ${wanted.minClassified} needed`;
  }
  if (!(seconds * 1_000 >= wanted.forMs)) {
    return `was never verified and served for ${Math.floor(seconds)} s of ${wanted.forMs / 1_000} s needed`;
  }
  const rate = harmful / classified;
  if (rate < wanted.harmRateBelow) return undefined;
  return `had a harm rate of ${(rate * 100).toFixed(2)}%, at least ${(wanted.harmRateBelow * 100).toFixed(2)}%`;
}
