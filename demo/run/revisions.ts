/** Harm by revision, as the plan of a rollback shows it to people. */
import type { RollbackInquiry } from '../../domain/rollback-inquiry.ts';
import type { RevisionSummary } from '../../domain/rollback-plan.ts';
import { pollUntil } from '../stack/poll.ts';
import type { Api } from './api.ts';

/** Fewer classified outputs say nothing of a rate near the alert's limit of 1%. */
const MIN_CLASSIFIED = 300;
/** Far above: harm of another kind, not of another day. */
const FAR_ABOVE = 10;
/** An answer takes up to 15 s where the cluster's worker is busy, and outputs have to be counted. */
const LOOKED_WITHIN_MS = 60_000;

export interface RevisionHarm {
  revision: number;
  image: string;
  harmful: number;
  classified: number;
}

/**
 * Asks what a rollback to the previous revision would be, and reads what each revision served; again until that is enough
 * to compare two of them. Changes nothing.
 * @throws Error when there are no such two revisions in time.
 */
export async function lookAtRevisions(api: Api, namespace: string, name: string): Promise<RevisionHarm[]> {
  const target = { namespace, kind: 'Deployment', name };
  return pollUntil('The plan showing what two revisions served', LOOKED_WITHIN_MS, async () => {
    const { status, body } = await api.call('POST', '/rollbacks/plan', { target, to: 'previous' });
    if (status !== 200) throw new Error(`the plan was answered ${status}: ${JSON.stringify(body)}`);
    const { history } = body as unknown as RollbackInquiry;
    const seen = history.flatMap(harmOf).filter(({ classified }) => classified >= MIN_CLASSIFIED);
    return seen.length >= 2 ? seen : undefined;
  });
}

function harmOf({ revision, images, served }: RevisionSummary): RevisionHarm[] {
  if (served === undefined) return [];
  // Prometheus extrapolates increments: they are no whole numbers.
  const [harmful, classified] = [Math.round(served.harmful), Math.round(served.classified)];
  return [{ revision, image: images.join(', '), harmful, classified }];
}

/** The image whose harm rate is far above that of every other revision; else what is so, in words. */
export function blamed(revisions: readonly RevisionHarm[]): string {
  const rate = ({ harmful, classified }: RevisionHarm): number => harmful / classified;
  const [worst, next] = [...revisions].sort((a, b) => rate(b) - rate(a));
  if (worst === undefined || next === undefined) return 'nothing: fewer than two revisions served';
  if (rate(worst) > FAR_ABOVE * rate(next)) return worst.image;
  return `nothing: ${describeHarm(worst)}, but ${describeHarm(next)}`;
}

export function describeHarm({ revision, image, harmful, classified }: RevisionHarm): string {
  const percent = ((harmful / classified) * 100).toFixed(2);
  return `revision ${revision} (${image}): ${harmful} harmful of ${classified} classified outputs (${percent}%)`;
}
