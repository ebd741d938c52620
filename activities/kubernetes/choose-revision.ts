import type { RevisionSummary, RollbackTo } from '../../domain/rollback-plan.ts';
import type { Ledger } from '../contract.ts';
import type { RawRevision } from './raw-objects.ts';
import { barrierAfter, type Revisions } from './revisions.ts';

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

export type Choice = { revision: RawRevision; served?: Served } | { reason: string };

interface ChoiceInput {
  revisions: Pick<Revisions, 'type' | 'all' | 'current' | 'hashOf' | 'currentHash'>;
  to: RollbackTo;
  summaryOf(revision: RawRevision): RevisionSummary;
  /** Where it is given, a refusal says why a revision is marked known bad. */
  ledger?: Ledger;
  /** What it served; undefined where Prometheus cannot tell. */
  servedBy(revision: RawRevision): Promise<Served | undefined>;
  goodEnough: GoodEnough;
}

/** Decides which revision `to` means. A revision that is known bad, or across a barrier, is never chosen. */
export async function chooseRevision(input: ChoiceInput): Promise<Choice> {
  const { revisions, to } = input;
  if (to === 'last-known-good') return chooseLastKnownGood(input);
  if (to === 'previous') {
    const previous = revisions.type.previousOf(revisions.all, revisions.current);
    if (previous === undefined) return { reason: 'there is no earlier revision in the rollout history' };
    return permitted(input, previous, 'the previous revision');
  }
  const revision = revisions.all.find((one) => one.revision === to.revision);
  if (revision === undefined) return { reason: `revision ${to.revision} is not in the rollout history` };
  return permitted(input, revision, 'revision');
}

function permitted(input: ChoiceInput, revision: RawRevision, what: string): Choice {
  const problem = whyNever(input, revision);
  return problem === undefined ? { revision } : { reason: `${what} ${revision.revision} ${problem}` };
}

/** Why a revision may never be rolled back to; undefined where it may. */
export function whyNever(
  { revisions, summaryOf, ledger }: Pick<ChoiceInput, 'revisions' | 'summaryOf' | 'ledger'>,
  revision: RawRevision,
): string | undefined {
  if (summaryOf(revision).ledger === 'known-bad') {
    // People roll back for other reasons than harm too: only the ledger knows.
    const why = ledger?.[revisions.hashOf(revision)]?.reason;
    return why === undefined ? 'is marked known bad' : `is marked known bad (${why})`;
  }
  const barrier = barrierAfter(revisions, revision);
  if (barrier === undefined) return undefined;
  return `lies before the rollback barrier of revision ${barrier.revision}`;
}

/** The newest revision other than the current one that was verified, or that served long and well enough. */
async function chooseLastKnownGood(input: ChoiceInput): Promise<Choice> {
  const { revisions, summaryOf, goodEnough } = input;
  const rejected: string[] = [];
  for (const revision of revisions.all) {
    if (revisions.hashOf(revision) === revisions.currentHash) continue;
    const name = `revision ${revision.revision}`;
    const never = whyNever(input, revision);
    if (never !== undefined) {
      rejected.push(`${name} ${never}`);
      continue;
    }
    if (summaryOf(revision).ledger === 'verified-good') return { revision };
    const served = await input.servedBy(revision);
    const lacking = whyNotGoodEnough(served, goodEnough);
    if (lacking === undefined) return { revision, served };
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
