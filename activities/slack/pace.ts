/**
 * Turns at Slack's rate limits, for all incidents of a process together: an app's limit is one for the workspace, so that
 * incidents which each keep to it still exceed it together. Nobody waits in here: it says how long.
 */
export interface Pace {
  /**
   * Takes the next turn for `key`, or keeps the turn that `who` has taken already.
   * @returns milliseconds until it; 0: now.
   */
  turn(key: string, who: string, everyMs: number, nowMs: number): number;
  /** After a 429: nobody calls the method until then. */
  hold(method: string, untilMs: number): void;
  /** Milliseconds until the method may be called again; 0: now. */
  held(method: string, nowMs: number): number;
}

/** Turns that nobody came back for, such as those of a run that ended, are forgotten after this. */
const FORGET_AFTER_MS = 60_000;

export function createPace(): Pace {
  const nextFreeMs = new Map<string, number>();
  const taken = new Map<string, number>();
  const lastUsedMs = new Map<string, number>();
  const heldUntilMs = new Map<string, number>();
  return {
    turn(key, who, everyMs, nowMs) {
      for (const [mine, atMs] of taken) if (atMs + FORGET_AFTER_MS < nowMs) taken.delete(mine);
      const mine = `${key} ${who}`;
      const atMs = taken.get(mine) ?? Math.max(nowMs, nextFreeMs.get(key) ?? 0);
      if (!taken.has(mine)) nextFreeMs.set(key, atMs + everyMs);
      // Whoever came late for a turn has moved those behind.
      const waitMs = Math.max(atMs, (lastUsedMs.get(key) ?? Number.NEGATIVE_INFINITY) + everyMs) - nowMs;
      if (waitMs > 0) {
        taken.set(mine, atMs);
        return waitMs;
      }
      taken.delete(mine);
      lastUsedMs.set(key, nowMs);
      nextFreeMs.set(key, Math.max(nextFreeMs.get(key) ?? 0, nowMs + everyMs));
      return 0;
    },
    hold(method, untilMs) {
      heldUntilMs.set(method, Math.max(untilMs, heldUntilMs.get(method) ?? 0));
    },
    held: (method, nowMs) => Math.max(0, (heldUntilMs.get(method) ?? 0) - nowMs),
  };
}
