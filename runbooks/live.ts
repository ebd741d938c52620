/**
 * Runbooks that follow their files while the process runs.
 *
 * How a change is noticed: by reading all files every few seconds and comparing contents. fs.watch is silent on network and
 * overlay mounts, and where a kubelet swaps the link `..data` of a mounted ConfigMap it tells of the old folder; times,
 * sizes and inodes can be the same for another text, or differ for the same. Reading a hundred runbooks takes milliseconds.
 *
 * When it is taken: only when two looks, some time apart, have read the same. An editor or `cp` that is half through leaves
 * YAML that may well parse, and a folder of which half is new. What is compiled is the text that was compared, not read again.
 *
 * What is taken: the whole set or nothing. Which runbook answers an alert depends on all of them, in their order: with one
 * file left out, its alerts would go to whichever runbook matches next.
 */
import type { CompiledRunbook } from '../domain/runbook.ts';
import { changesBetween, type RunbookChange, type RunbookSet, runbookSet } from './live-set.ts';
import { compileRunbooks, type LoadOptions, readRunbooks } from './load.ts';
import type { Problem } from './problem.ts';
import { fileProblem } from './read-file.ts';
import { formatProblems } from './report.ts';

/**
 * Between two looks that have to agree. An editor writes a file within milliseconds, `cp` or `git pull` a folder within a
 * second; whoever takes longer is told of a broken set, at worst, and the working one stays.
 */
const SETTLE_MS = 1_000;

export interface ReloadStatus {
  /** Whether the last attempt to load could be used; the set is an older one where not. */
  ok: boolean;
  /** What was wrong with the last attempt; empty when it was fine. */
  problems: readonly Problem[];
  /** When an attempt could last be used, the start included. */
  succeededAtMs: number;
  /** When the files were last read. Old: reading them hangs. */
  lookedAtMs: number;
  /** Since when the files differ from what was last tried, and go on changing. */
  changingSinceMs?: number;
  /** Attempts since the start, which is none. */
  attempts: { success: number; failure: number };
}

/** Where the runbooks of the moment come from. Take `current()` once for what belongs together. */
export interface RunbookSource {
  current(): RunbookSet;
  status(): ReloadStatus;
}

/**
 * - loaded: at the start.
 * - replaced: another set answers from now on. Without changes: another order of matching.
 * - unchanged: other texts that mean the same, for instance a broken edit that was taken back.
 * - refused: errors; the former set stays. Told once for each content, not at each look.
 */
export type RunbookEvent =
  | { type: 'loaded'; set: RunbookSet; warnings: readonly Problem[] }
  | { type: 'replaced'; set: RunbookSet; changes: readonly RunbookChange[]; warnings: readonly Problem[] }
  | { type: 'unchanged'; set: RunbookSet }
  | { type: 'refused'; set: RunbookSet; problems: readonly Problem[] };

export interface LiveOptions {
  /** Files and folders; none: the shipped library. */
  paths: readonly string[];
  load?: LoadOptions;
  onEvent?: ((event: RunbookEvent) => void) | undefined;
  /**
   * Starts with no runbook at all, and generation 0, where the set cannot be used, and goes on looking. For a process that
   * can do without: one that takes no alerts.
   */
  orNone?: boolean;
  settleMs?: number;
  /** Wall clock. */
  now?: () => number;
}

/** The runbooks cannot be used, and there is no former set. */
export class RunbooksRefused extends Error {
  override readonly name = 'RunbooksRefused';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(`the runbooks cannot be used:\n${formatProblems(problems)}`);
    this.problems = problems;
  }
}

/** A set that never changes. */
export function fixedRunbooks(runbooks: readonly CompiledRunbook[], nowMs = Date.now()): RunbookSource {
  const set = runbookSet(runbooks, { generation: 1, loadedAtMs: nowMs });
  const status: ReloadStatus = {
    ok: true,
    problems: [],
    succeededAtMs: nowMs,
    lookedAtMs: nowMs,
    attempts: { success: 0, failure: 0 },
  };
  return { current: () => set, status: () => status };
}

/** The set and what becomes of each look at the files. Looks when told to: `watchRunbooks` does that. */
export class LiveRunbooks implements RunbookSource {
  readonly #options: LiveOptions;
  readonly #settleMs: number;
  readonly #now: () => number;
  #set: RunbookSet;
  #status: ReloadStatus;
  /** Hash of the files that were last tried, whether they could be used or not. */
  #tried = '';
  /** What the last look saw first, and when (by the caller's monotonic clock), where it has not been tried yet. */
  #candidate: { hash: string; seenAtMs: number } | undefined;

  private constructor(options: LiveOptions) {
    this.#options = options;
    this.#settleMs = options.settleMs ?? SETTLE_MS;
    this.#now = options.now ?? Date.now;
    const nowMs = this.#now();
    this.#set = runbookSet([], { generation: 0, loadedAtMs: nowMs });
    this.#status = {
      ok: false,
      problems: [],
      succeededAtMs: 0,
      lookedAtMs: nowMs,
      attempts: { success: 0, failure: 0 },
    };
  }

  /** @throws RunbooksRefused with every problem where the first set cannot be used, unless `orNone`. */
  static async open(options: LiveOptions): Promise<LiveRunbooks> {
    const live = new LiveRunbooks(options);
    const sources = await readRunbooks(options.paths);
    live.#tried = sources.hash;
    const loaded = await compileRunbooks(sources, options.load);
    if (loaded.ok) {
      live.#use(loaded.runbooks);
      options.onEvent?.({ type: 'loaded', set: live.#set, warnings: loaded.problems });
    } else {
      if (!options.orNone) throw new RunbooksRefused(loaded.problems);
      live.#refuse(loaded.problems);
      options.onEvent?.({ type: 'refused', set: live.#set, problems: loaded.problems });
    }
    return live;
  }

  current(): RunbookSet {
    return this.#set;
  }

  status(): ReloadStatus {
    return this.#status;
  }

  /**
   * Reads the files, and loads them where they are new and have settled. Not to be called while a look is under way.
   * @param atMs a monotonic clock: wall clocks jump.
   * @returns after how many milliseconds to look again, because something is changing; undefined: nothing is.
   */
  async look(atMs: number = performance.now()): Promise<number | undefined> {
    const sources = await readRunbooks(this.#options.paths);
    const nowMs = this.#now();
    this.#status = { ...this.#status, lookedAtMs: nowMs };
    if (sources.hash === this.#tried) {
      this.#candidate = undefined;
      this.#status = { ...this.#status, changingSinceMs: undefined };
      return undefined;
    }
    if (sources.hash !== this.#candidate?.hash) {
      this.#candidate = { hash: sources.hash, seenAtMs: atMs };
      this.#status = { ...this.#status, changingSinceMs: this.#status.changingSinceMs ?? nowMs };
    }
    const remainingMs = this.#candidate.seenAtMs + this.#settleMs - atMs;
    if (remainingMs > 0) return remainingMs;
    this.#candidate = undefined;
    this.#tried = sources.hash;
    this.#status = { ...this.#status, changingSinceMs: undefined };
    await this.#try(sources);
    return undefined;
  }

  async #try(sources: Awaited<ReturnType<typeof readRunbooks>>): Promise<void> {
    const { onEvent, load, paths } = this.#options;
    const { success, failure } = this.#status.attempts;
    const loaded = await compileRunbooks(sources, load).catch((error: unknown) => {
      // No text may stop the looking for good: it would take a restart to get the mended one in.
      const message = `the compiler failed (${error instanceof Error ? error.message : 'no reason given'}): report it as a bug`;
      return {
        ok: false,
        runbooks: [],
        problems: [fileProblem(paths[0] ?? 'library', 'file/unreadable', message)],
      };
    });
    if (!loaded.ok) {
      this.#refuse(loaded.problems);
      this.#status = { ...this.#status, attempts: { success, failure: failure + 1 } };
      onEvent?.({ type: 'refused', set: this.#set, problems: loaded.problems });
      return;
    }
    const before = this.#set;
    this.#use(loaded.runbooks);
    this.#status = { ...this.#status, attempts: { success: success + 1, failure } };
    const set = this.#set;
    if (set === before) onEvent?.({ type: 'unchanged', set });
    else {
      onEvent?.({ type: 'replaced', set, changes: changesBetween(before, set), warnings: loaded.problems });
    }
  }

  #use(runbooks: readonly CompiledRunbook[]): void {
    const nowMs = this.#now();
    const next = runbookSet(runbooks, { generation: this.#set.generation + 1, loadedAtMs: nowMs });
    // The same plans in the same order: nothing has changed for anybody.
    if (next.hash !== this.#set.hash) this.#set = next;
    this.#status = { ...this.#status, ok: true, problems: [], succeededAtMs: nowMs };
  }

  #refuse(problems: readonly Problem[]): void {
    this.#status = { ...this.#status, ok: false, problems };
  }
}
