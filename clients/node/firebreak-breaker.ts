/**
 * Follows Firebreak's circuit breakers and decides, request by request, where traffic goes. One file without dependencies:
 * copy it into your gateway. Node from 22.18 on runs it as it is; the rules are those of docs/integrating.md, "The breaker".
 *
 *     const breakers = await BreakerClient.follow(mountedConfigMap('/etc/firebreak'), { fallback: 'llm-fallback' });
 *     const decision = breakers.decide('llm-api');   // 'target', 'block' or { fallback: 'llm-fallback' }
 *
 * What it holds to: once a breaker was read, nothing that is missing, unreadable, malformed or stale sends more traffic
 * towards the target. What was read is kept in memory only. After a restart, a ConfigMap that was deleted meanwhile, an empty
 * mount or a missing key is an answer, "there is no breaker", and counts as closed: everything goes to the target, and no
 * option changes that. A store or an entry that cannot be read at all is unknown: `fallback` serves, or requests are refused,
 * unless `whenUnknown: 'target'` sends everything to the target.
 */
import { watch } from 'node:fs';
import { open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** 'block': refuse the request, with 503 or a fixed text. */
export type Decision = 'target' | 'block' | { fallback: string };

/** Name of a Deployment, or a workload of another kind. */
export type BreakerTarget = string | { kind: string; name: string };

/**
 * What a look into the store gave: its values by key, null where a value is there and cannot be had; 'none' where the store
 * says that there is no ConfigMap; 'unreadable' where it says nothing.
 */
export type Reading = ReadonlyMap<string, string | null> | 'none' | 'unreadable';

export interface BreakerSource {
  read(): Promise<Reading>;
  /** Calls back when something may have changed; returns how to stop. Without it, the source is looked at now and then. */
  watch?(changed: () => void): () => void;
}

export interface BreakerOptions {
  /** Who serves while nothing is known of a target. Without one, requests are refused then. */
  fallback?: string | ((name: string) => string | undefined);
  /** `target`: while nothing is known, everything goes to the target. Not safe; for models that must not be without. */
  whenUnknown?: 'fail-safe' | 'target';
  /** Told once when something cannot be read, and again when it was readable meanwhile. Holds no values. */
  onProblem?: (text: string) => void;
  pollEveryMs?: number;
  /** Epoch ms; for tests. */
  wallClockMs?: () => number;
  /** Any clock that never goes back; for tests. */
  monotonicMs?: () => number;
}

export interface BreakerView {
  /** As it counts now: a half-open breaker whose lease is over is open. `unknown`: nothing was ever readable. */
  state: 'closed' | 'open' | 'half-open' | 'unknown';
  /** Part (0..1) of the requests that the target gets. */
  share: number;
  /** null: the rest is refused. */
  fallback: string | null;
}

/** How long a half-open breaker holds without being renewed: Firebreak writes no longer lease. */
const HALF_OPEN_LEASE_MS = 300_000;
/** A lease that ends later than any that is given, and this much more, means that one of the two clocks is wrong. */
const CLOCK_TOLERANCE_MS = 60_000;
const POLL_EVERY_MS = 5_000;
/** Firebreak's entries have a few hundred bytes. */
const MAX_ENTRY_BYTES = 64 * 1024;
/** A file that is replaced while it is read is read again. */
const READ_ATTEMPTS = 3;
/** `<kind>.<name>`: an entry of Firebreak's. The other keys are for gateways that know one model only. */
const ENTRY_KEY = /^[a-z0-9]+\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

interface Entry {
  state: 'closed' | 'open' | 'half-open';
  share: number;
  fallback: string | null;
  since: string;
  sinceMs: number;
  /** -Infinity: there is none, or none that can be read. */
  validUntilMs: number;
}

/** An entry with what this process knows of it. */
interface Known extends Entry {
  /** When its lease was last seen to be renewed, by the monotonic clock. */
  renewedAtMs: number;
  /** Its lease was seen to be over: only a renewed one counts again, whatever a clock says later. */
  lapsed: boolean;
}

export class BreakerClient {
  readonly #options: BreakerOptions;
  readonly #wallClockMs: () => number;
  readonly #monotonicMs: () => number;
  /** null: there was an entry from the beginning, and it could never be read. */
  readonly #known = new Map<string, Known | null>();
  readonly #problems = new Set<string>();
  /** Whether the store ever answered: from then on, a target without an entry is one whose breaker is closed. */
  #answered = false;
  #stop: () => void = () => {};

  constructor(options: BreakerOptions = {}) {
    this.#options = options;
    this.#wallClockMs = options.wallClockMs ?? Date.now;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** @returns once the source was looked at, whatever came of it. */
  static async follow(source: BreakerSource, options: BreakerOptions = {}): Promise<BreakerClient> {
    const client = new BreakerClient(options);
    let reading: Promise<void> | undefined;
    let again = false;
    const look = async (): Promise<void> => {
      do {
        again = false;
        let seen: Reading = 'unreadable';
        try {
          seen = await source.read();
        } catch {
          // What a source throws is the same to us as what it cannot read.
        }
        client.take(seen);
      } while (again);
    };
    const refresh = (): Promise<void> => {
      again = true;
      reading ??= look().finally(() => {
        reading = undefined;
      });
      return reading;
    };
    const unwatch = source.watch?.(() => void refresh());
    const timer = setInterval(() => void refresh(), options.pollEveryMs ?? POLL_EVERY_MS);
    timer.unref();
    client.#stop = () => {
      clearInterval(timer);
      unwatch?.();
    };
    await refresh();
    return client;
  }

  /** Ends the following; what is known stays. */
  stop(): void {
    this.#stop();
  }

  /** Takes over what a look into the store gave. */
  take(reading: Reading): void {
    this.#tell('the store of the breakers cannot be read', reading === 'unreadable');
    if (reading === 'unreadable') return;
    const first = !this.#answered;
    this.#answered = true;
    // What has vanished stays as it was last.
    if (reading === 'none') return;
    for (const [key, text] of reading) {
      if (!ENTRY_KEY.test(key)) continue;
      const entry = text === null ? undefined : parseEntry(key, text);
      this.#tell(`the breaker ${key} cannot be read`, entry === undefined);
      if (entry !== undefined) this.#learn(key, entry);
      else if (first && !this.#known.has(key)) this.#known.set(key, null);
    }
  }

  /** @param random a number of [0, 1), even: decides which requests of a half-open breaker are the target's. */
  decide(target: BreakerTarget, random: () => number = Math.random): Decision {
    const { state, share, fallback } = this.view(target);
    if (state === 'closed') return 'target';
    if (state === 'half-open' && random() < share) return 'target';
    if (state === 'unknown' && this.#options.whenUnknown === 'target') return 'target';
    return fallback === null ? 'block' : { fallback };
  }

  view(target: BreakerTarget): BreakerView {
    const { kind, name } = typeof target === 'string' ? { kind: 'Deployment', name: target } : target;
    const known = this.#known.get(`${kind.toLowerCase()}.${name}`);
    if (known === undefined && this.#answered) return { state: 'closed', share: 1, fallback: null };
    if (known === undefined || known === null) {
      return { state: 'unknown', share: 0, fallback: this.#fallbackFor(name) };
    }
    if (known.state === 'half-open' && !this.#holds(known)) known.lapsed = true;
    const state = known.lapsed ? 'open' : known.state;
    const share = state === 'closed' ? 1 : state === 'open' ? 0 : known.share;
    return { state, share, fallback: known.fallback };
  }

  #fallbackFor(name: string): string | null {
    const { fallback } = this.#options;
    const found = typeof fallback === 'function' ? fallback(name) : fallback;
    return found === undefined || found === name ? null : found;
  }

  /** Whether a half-open breaker's lease goes on: by the clock on the wall, and by one that nobody can set. */
  #holds({ validUntilMs, renewedAtMs }: Known): boolean {
    const leftMs = validUntilMs - this.#wallClockMs();
    const unrenewedMs = this.#monotonicMs() - renewedAtMs;
    return (
      leftMs > 0 && leftMs <= HALF_OPEN_LEASE_MS + CLOCK_TOLERANCE_MS && unrenewedMs < HALF_OPEN_LEASE_MS
    );
  }

  #learn(key: string, entry: Entry): void {
    const before = this.#known.get(key) ?? undefined;
    // A copy that is older than what was seen already, as a server behind the others may have it.
    if (before !== undefined && entry.sinceMs < before.sinceMs) {
      const gets = this.view({ kind: key.slice(0, key.indexOf('.')), name: nameOf(key) }).share;
      if (opennessOf(entry) > gets) return;
    }
    const same = before !== undefined && before.state === entry.state && before.since === entry.since;
    const nowMs = this.#wallClockMs();
    const isPlausible = entry.validUntilMs - nowMs <= HALF_OPEN_LEASE_MS + CLOCK_TOLERANCE_MS;
    const validUntilMs = isPlausible ? entry.validUntilMs : Number.NEGATIVE_INFINITY;
    const renewed = !same || validUntilMs > before.validUntilMs;
    this.#known.set(key, {
      ...entry,
      validUntilMs,
      // A time in the future would make everything that follows look old.
      sinceMs: same ? before.sinceMs : Math.min(entry.sinceMs, nowMs),
      renewedAtMs: renewed ? this.#monotonicMs() : before.renewedAtMs,
      lapsed: renewed ? false : before.lapsed,
    });
  }

  #tell(text: string, isSo: boolean): void {
    if (!isSo) this.#problems.delete(text);
    else if (!this.#problems.has(text)) {
      this.#problems.add(text);
      this.#options.onProblem?.(text);
    }
  }
}

/**
 * A ConfigMap mounted as a folder. Kubernetes swaps the link `..data` to a folder with the next version, so that all files
 * are of one. Mount the folder, never a file of it by `subPath`: that one is never brought up to date.
 */
export function mountedConfigMap(dir: string): BreakerSource {
  return {
    async read() {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await readFolder(dir);
        } catch (error) {
          // Swapped while it was read.
          if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === READ_ATTEMPTS)
            return 'unreadable';
        }
      }
    },
    watch(changed) {
      try {
        const watcher = watch(dir, { persistent: false }, () => changed());
        // A folder that goes away, or a limit of the system: it is still looked at now and then.
        watcher.on('error', () => watcher.close());
        return () => watcher.close();
      } catch {
        return () => {};
      }
    },
  };
}

async function readFolder(dir: string): Promise<Reading> {
  const version = await readlink(join(dir, '..data')).catch(() => '.');
  const folder = join(dir, version);
  const values = new Map<string, string | null>();
  for (const name of await readdir(folder)) {
    if (ENTRY_KEY.test(name)) values.set(name, await readEntry(join(folder, name)));
  }
  return values;
}

/** @throws ENOENT where it is gone; null for whatever else keeps it from being read. */
async function readEntry(path: string): Promise<string | null> {
  try {
    const file = await open(path);
    try {
      // One byte more than is allowed tells that there is more.
      const buffer = Buffer.alloc(MAX_ENTRY_BYTES + 1);
      let length = 0;
      for (let read = 1; read > 0 && length < buffer.length; length += read) {
        read = (await file.read(buffer, length, buffer.length - length, length)).bytesRead;
      }
      if (length > MAX_ENTRY_BYTES) return null;
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer.subarray(0, length));
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    return null;
  }
}

function parseEntry(key: string, text: string): Entry | undefined {
  if (Buffer.byteLength(text) > MAX_ENTRY_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, '__proto__')) return undefined;
  const { state, share, fallback, since, validUntil } = value as Record<string, unknown>;
  if (state !== 'closed' && state !== 'open' && state !== 'half-open') return undefined;
  if (typeof share !== 'number' || !(share >= 0 && share <= 1)) return undefined;
  if (fallback !== null && (typeof fallback !== 'string' || !NAME.test(fallback))) return undefined;
  // A target that is its own fallback would get everything.
  if (fallback === nameOf(key)) return undefined;
  const sinceMs = parseTime(since);
  if (typeof since !== 'string' || Number.isNaN(sinceMs)) return undefined;
  const untilMs = parseTime(validUntil);
  const validUntilMs = Number.isNaN(untilMs) ? Number.NEGATIVE_INFINITY : untilMs;
  return { state, share, fallback, since, sinceMs, validUntilMs };
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('.') + 1);
}

function opennessOf({ state, share }: Entry): number {
  return state === 'closed' ? 1 : state === 'open' ? 0 : share;
}

/** Epoch ms of an RFC 3339 time; NaN for anything else. Date.parse alone takes the 30th of February. */
function parseTime(value: unknown): number {
  const match = typeof value === 'string' ? RFC_3339.exec(value) : null;
  if (match === null) return Number.NaN;
  const [text, year, month, day, hour, minute, second] = match;
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  const inRange =
    Number(year) > 0 && Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= days;
  if (!inRange || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return Number.NaN;
  return Date.parse(text);
}
