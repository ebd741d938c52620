import { setTimeout as delay } from 'node:timers/promises';

/** Between two looks: short against every start-up time here, long against a loopback request. */
const POLL_MS = 50;

/**
 * Looks until `look` gives something other than undefined, and gives that. What `look` throws counts as not yet, and
 * is told when the deadline passes.
 */
export async function pollUntil<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  do {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
      last = '';
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    await delay(POLL_MS);
  } while (performance.now() < deadline);
  throw new Error(`${what} did not happen within ${timeoutMs / 1000} s${last}`);
}
