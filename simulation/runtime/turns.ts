import { AsyncLocalStorage } from 'node:async_hooks';

/** One call into code outside of the workflows: an action, or an attempt of an activity. */
class Turn {
  /** Waits in virtual time that it is in. */
  parked = 0;
  over = false;
  private told: (() => void) | undefined;

  tell(): void {
    if (this.over || this.parked > 0) this.told?.();
  }

  /** Resolves when it has ended, or goes on only once virtual time does. */
  async quiet(): Promise<void> {
    if (this.over || this.parked > 0) return;
    await new Promise<void>((resolve) => {
      this.told = resolve;
    });
  }
}

/**
 * Lets code outside of the workflows wait in virtual time without holding it up, and stay in step: the next thing happens
 * only when all of that code has ended or waits for virtual time again. Real waits (a file, an evaluator) just take their
 * real time, and the outcome does not depend on how long they take.
 */
export class Turns {
  /** What the first turn that failed threw. */
  problem: { error: unknown } | undefined;
  private readonly current = new AsyncLocalStorage<Turn>();
  private readonly resumed = new Set<Turn>();

  /** Runs `work` until it has ended or waits for virtual time. */
  async take(work: () => void | Promise<void>): Promise<void> {
    const turn = new Turn();
    const end = (problem?: { error: unknown }) => {
      this.problem ??= problem;
      turn.over = true;
      turn.tell();
    };
    try {
      const ending = this.current.run(turn, work);
      if (ending === undefined) return;
      ending.then(
        () => end(),
        (error: unknown) => end({ error }),
      );
      await turn.quiet();
    } catch (error) {
      end({ error });
    }
  }

  /** A promise for something that happens in virtual time: whoever awaits it lets time go on. */
  wait<T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    const turn = this.current.getStore();
    if (turn) turn.parked++;
    const resume = () => {
      if (!turn) return;
      turn.parked--;
      this.resumed.add(turn);
    };
    const waited = new Promise<T>((resolve, reject) => {
      begin(
        (value) => {
          resume();
          resolve(value);
        },
        (error) => {
          resume();
          reject(error);
        },
      );
    });
    turn?.tell();
    return waited;
  }

  get anyResumed(): boolean {
    return this.resumed.size > 0;
  }

  /** Until those that waited and were answered have ended or wait again. */
  async settle(): Promise<void> {
    for (const turn of this.resumed) {
      this.resumed.delete(turn);
      await turn.quiet();
    }
  }
}
