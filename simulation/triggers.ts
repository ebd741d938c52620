import { ENDED_STEP, type StepStatus, type TimelineEntry } from '../domain/incident.ts';
import { NEEDS_HUMAN } from './scenario/check.ts';
import type { Trigger } from './scenario/schema.ts';

interface Waiting {
  name: string;
  /** How many times more it has to happen. */
  left: number;
  waitMs: number;
  then: () => void | Promise<void>;
}

const ASKED = /^Approval of (\S+) asked from /;
const STEP = /^(\S+): ([a-z-]+)/;

/** What a timeline entry says has happened, by the names that scenarios use. */
export function happeningsOf({ kind, text }: TimelineEntry): string[] {
  if (kind === 'milestone') return [text];
  if (kind === 'needs-human') return [NEEDS_HUMAN];
  const asked = kind === 'decision' ? ASKED.exec(text)?.[1] : undefined;
  if (asked !== undefined) return [`asked-${asked}`];
  const [, step, status] = (kind === 'step' ? STEP.exec(text) : null) ?? [];
  return step !== undefined && ENDED_STEP.has(status as StepStatus) ? [step] : [];
}

/** Things of a scenario that happen at a time, or some time after something in the incident. */
export class Triggers {
  /** The last moment for which something is written in the scenario, as far as it is known by now. */
  lastMs: number;
  readonly #startMs: number;
  readonly #at: (timeMs: number, action: () => void | Promise<void>) => void;
  readonly #waiting: Waiting[] = [];

  constructor(
    startMs: number,
    at: (timeMs: number, action: () => void | Promise<void>) => void,
    lastMs: number,
  ) {
    this.#startMs = startMs;
    this.#at = at;
    this.lastMs = lastMs;
  }

  /** Without at and after: at the start. */
  when({ at, after, occurrence, wait }: Trigger, then: () => void | Promise<void>): void {
    if (after === undefined) {
      this.#schedule(this.#startMs + (at ?? 0), then);
    } else {
      this.#waiting.push({ name: after, left: occurrence ?? 1, waitMs: wait ?? 0, then });
    }
  }

  /** Tells what has happened, and when. */
  happened(name: string, atMs: number): void {
    for (const waiting of [...this.#waiting]) {
      if (waiting.name !== name || --waiting.left > 0) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      this.#schedule(atMs + waiting.waitMs, waiting.then);
    }
  }

  get someWait(): boolean {
    return this.#waiting.length > 0;
  }

  #schedule(atMs: number, then: () => void | Promise<void>): void {
    this.lastMs = Math.max(this.lastMs, atMs);
    this.#at(atMs, then);
  }
}
