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
  let stopped = false;
  let interrupt = new AbortController();
  let asked: (() => void)[] = [];

  const watching = (async () => {
    await pause(options.everyMs, interrupt.signal);
    while (!stopped) {
      // A request from here on is not answered by the look that has begun.
      interrupt = new AbortController();
      const answered = asked;
      asked = [];
      const againInMs = await live.look();
      if (againInMs === undefined) for (const answer of answered) answer();
      else asked.push(...answered);
      await pause(againInMs === undefined ? options.everyMs : Math.ceil(againInMs), interrupt.signal);
    }
    for (const answer of asked) answer();
  })();

  return {
    current: () => live.current(),
    status: () => live.status(),
    reload() {
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
