import { setTimeout as delay } from 'node:timers/promises';
import type { ServedByRevision } from '../../domain/rollback-inquiry.ts';
import type { MeasurementActivities } from '../contract.ts';
import type { PrometheusMap } from './client.ts';
import { createServedBy } from './served-by.ts';

/** All revisions together: somebody waits at a terminal. */
const WITHIN_MS = 6_000;
/** The newest ones: what nobody would go back to costs a week of samples each. */
const MAX_REVISIONS = 10;
/** Three queries a revision: more at once would be in one another's way. */
const AT_ONCE = 3;

type Input = Parameters<MeasurementActivities['readServed']>[0];
type Result = Awaited<ReturnType<MeasurementActivities['readServed']>>;

/** Never throws: what Prometheus does not tell in time is left out, with the reason. */
export async function readServed(prometheus: PrometheusMap, input: Input): Promise<Result> {
  const { target, criteria } = input;
  const servedBy = createServedBy(prometheus);
  const served: ServedByRevision = {};
  let problem: string | undefined;
  const queue = input.revisions.slice(0, MAX_REVISIONS).values();
  let timeIsOver = false;
  const worker = async (): Promise<void> => {
    for (const name of queue) {
      if (timeIsOver) return;
      try {
        const one = await servedBy(target, name, criteria);
        if (one !== undefined) served[name] = one;
      } catch (error) {
        problem ??= error instanceof Error ? error.message : 'Prometheus could not be read';
      }
    }
  };
  const over = new AbortController();
  const deadline = delay(WITHIN_MS, 'late' as const, { signal: over.signal, ref: false }).catch(
    () => undefined,
  );
  const all = Promise.all(Array.from({ length: AT_ONCE }, worker)).then(() => undefined);
  if ((await Promise.race([all, deadline])) === 'late') {
    timeIsOver = true;
    problem ??= `Prometheus has not told all of it within ${WITHIN_MS / 1_000} s`;
  }
  over.abort();
  // Copied: what still comes in is nobody's any more.
  return { served: { ...served }, ...(problem === undefined ? {} : { problem }) };
}
