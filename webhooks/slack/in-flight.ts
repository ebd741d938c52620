import { within } from '../../activities/within.ts';

/** Work that goes on after the answer may last as long as an action is tried for (30 s), and its last two calls (5 s each). */
const DRAIN_MS = 42_000;

/** What was answered "recording..." and is not recorded yet. */
export class InFlight {
  readonly #working = new Set<Promise<unknown>>();

  track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
    return tracked;
  }

  /** Waits for all of it, DRAIN_MS at most. Never rejects. */
  async drain(): Promise<void> {
    const left = () => new Error('some of it is still being recorded');
    await within(Promise.allSettled([...this.#working]), DRAIN_MS, left).catch(() => undefined);
  }
}
