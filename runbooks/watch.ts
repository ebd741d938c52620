import { setTimeout as delay } from 'node:timers/promises';
import { type LiveOptions, LiveRunbooks, type RunbookSource } from './live.ts';

export interface WatchOptions extends LiveOptions {
  /** Between two looks at the files; absent: only when asked by `reload`. */
  everyMs?: number | undefined;
}

export interface RunbookWatch extends RunbookSource {
  /** Looks now. Resolves when what was there has been loaded, or refused; see `status` for which. */
  reload(): Promise<void>;
  /** Stops looking; the set stays. */
  stop(): Promise<void>;
}

/**
 * Loads runbooks, and keeps looking whether their files have changed.
 * @throws RunbooksRefused with every problem where the first set cannot be used, unless `orNone`.
 */
export async function watchRunbooks(options: WatchOptions): Promise<RunbookWatch> {
  const live = await LiveRunbooks.open(options);
  const looking = keepLooking(() => live.look(), options.everyMs);
  return {
    current: () => live.current(),
    status: () => live.status(),
    reload: looking.now,
    stop: looking.stop,
  };
}

/**
 * Looks again and again, one look at a time.
 * @param look returns after how many milliseconds to look again because something is changing; undefined: nothing is. Must
 * not throw.
 * @param everyMs between two looks; absent: only when asked by `now`.
 * @returns `now` looks at once and resolves when nothing is changing any more; `stop` resolves when the last look has ended.
 */
export function keepLooking(
  look: () => Promise<number | undefined>,
  everyMs: number | undefined,
): { now(): Promise<void>; stop(): Promise<void> } {
  let stopped = false;
  let interrupt = new AbortController();
  let asked: (() => void)[] = [];

  const watching = (async () => {
    await pause(everyMs, interrupt.signal);
    while (!stopped) {
      // A request from here on is not answered by the look that has begun.
      interrupt = new AbortController();
      const answered = asked;
      asked = [];
      const againInMs = await look();
      if (againInMs === undefined) for (const answer of answered) answer();
      else asked.push(...answered);
      await pause(againInMs === undefined ? everyMs : Math.ceil(againInMs), interrupt.signal);
    }
    for (const answer of asked) answer();
  })();

  return {
    now() {
      if (stopped) return Promise.resolve();
      return new Promise((resolve) => {
        asked.push(resolve);
        interrupt.abort();
      });
    },
    async stop() {
      stopped = true;
      interrupt.abort();
      await watching;
    },
  };
}

/** @param durationMs absent: until the signal. */
async function pause(durationMs: number | undefined, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  if (durationMs === undefined) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return;
  }
  // Not what keeps a process running. An abort is no failure: whoever waits looks at what has changed next.
  await delay(durationMs, undefined, { signal, ref: false }).catch(() => undefined);
}
