import { within } from '../../activities/within.ts';

/**
 * One after the other, by key. Temporal locks a workflow while it takes a signal: two hundred at once for one incident
 * stand in each other's way until their deadlines pass, in turn each takes milliseconds.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /**
   * Runs `run` once everything taken earlier for `key` has ended, however it ended.
   * @param waitMs after which it is no longer waited for, and `run` never starts.
   * @throws what `run` throws, or what `tooLate` gives.
   */
  async take<T>(key: string, waitMs: number, run: () => Promise<T>, tooLate: () => Error): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    // Whoever gives up leaves its place only after those before it: nobody overtakes.
    const place = before.then(() => ended);
    this.#last.set(key, place);
    void place.then(() => {
      if (this.#last.get(key) === place) this.#last.delete(key);
    });
    try {
      await within(before, waitMs, tooLate);
      return await run();
    } finally {
      end();
    }
  }

  /** Keys that somebody holds or waits for. */
  get size(): number {
    return this.#last.size;
  }
}
