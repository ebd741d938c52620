import type { z } from 'zod';
import type { StepType } from '../../domain/runbook.ts';
import { changesInput } from './changes/input.ts';
import { divertInput } from './divert/input.ts';
import { pageInput } from './page/input.ts';
import { postmortemInput } from './postmortem/input.ts';
import { restoreInput } from './restore/input.ts';
import { rollbackInput } from './rollback/input.ts';
import { sampleInput } from './sample/input.ts';
import { snapshotInput } from './snapshot/input.ts';
import { ticketInput } from './ticket/input.ts';
import { verifyInput } from './verify/input.ts';

/** What the compiler knows of a step type. The implementation stands beside it in run.ts, without zod. */
export interface StepDefinition {
  /** Schema of `with`; durations are numbers of milliseconds in its output, under names that end in Ms. */
  input: z.ZodType<Record<string, unknown>>;
  /** Changes production. */
  mutates: boolean;
  /** Cannot work without a target. */
  needsTarget: boolean;
  /** What an unknown `when` or `whenever` means where the runbook does not say. */
  whenUnknownDefault: 'run' | 'skip';
  /** Time for the step itself; waiting for people is not part of it. */
  defaultTimeoutMs: number;
  /** Attempts of its activities where the runbook does not say; `defaultTimeoutMs` ends them earlier. */
  defaultMaxAttempts: number;
  /** A wait inside the step that its timeout must leave room for. */
  innerWaitMs?(input: Record<string, unknown>): number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
/** With delays that double up to 100 s, some 10 minutes of a vendor's outage. */
const MAX_ATTEMPTS = 10;
/** A page is tried until its step ends: there is nothing more important left to do. */
const PAGE_MAX_ATTEMPTS = 100;
/** What a step may take beyond the wait inside it: commands to the target, records, retries of activities. */
export const TIMEOUT_ROOM_MS = 5 * MINUTE_MS;

/** The registry: a new step type is its folder and one line here (and one in runners.ts). */
export const STEP_INPUTS: Record<StepType, StepDefinition> = {
  page: define(pageInput, {
    whenUnknownDefault: 'run',
    timeoutMs: 30 * MINUTE_MS,
    maxAttempts: PAGE_MAX_ATTEMPTS,
  }),
  divert: define(divertInput, { mutates: true, needsTarget: true, whenUnknownDefault: 'run' }),
  restore: define(restoreInput, { mutates: true, needsTarget: true, timeoutMs: 10 * MINUTE_MS }),
  // The design's limit: containment never waits for evidence, and evidence is of no use when it is late.
  snapshot: define(snapshotInput, { needsTarget: true, timeoutMs: 60 * SECOND_MS }),
  changes: define(changesInput, { needsTarget: true, timeoutMs: 2 * MINUTE_MS }),
  sample: define(sampleInput, { needsTarget: true, whenUnknownDefault: 'run' }),
  ticket: define(ticketInput, { timeoutMs: 30 * MINUTE_MS }),
  // A Deployment's own deadline is 600 s by default, and awaiting it takes 60 s more.
  rollback: define(rollbackInput, {
    mutates: true,
    needsTarget: true,
    timeoutMs: 20 * MINUTE_MS,
    innerWaitMs: (input) => numberOf(input.rolloutTimeoutMs),
  }),
  verify: define(verifyInput, {
    mutates: true,
    needsTarget: true,
    timeoutMs: 35 * MINUTE_MS,
    innerWaitMs: (input) => numberOf(input.timeoutMs),
  }),
  postmortem: define(postmortemInput, {}),
};

/** Step types of the design that this version does not run yet. */
export const STEP_TYPES_TO_COME: readonly string[] = [
  'notify',
  'measure',
  'approval',
  'wait',
  'http',
  'task',
];

/** True for a step type that this version runs. */
export function isStepType(name: string): name is StepType {
  return Object.hasOwn(STEP_INPUTS, name);
}

function define(
  input: z.ZodType<Record<string, unknown>>,
  options: {
    mutates?: boolean;
    needsTarget?: boolean;
    whenUnknownDefault?: 'run' | 'skip';
    timeoutMs?: number;
    maxAttempts?: number;
    innerWaitMs?: (input: Record<string, unknown>) => number;
  },
): StepDefinition {
  return {
    input,
    mutates: options.mutates ?? false,
    needsTarget: options.needsTarget ?? false,
    whenUnknownDefault: options.whenUnknownDefault ?? 'skip',
    defaultTimeoutMs: options.timeoutMs ?? 5 * MINUTE_MS,
    defaultMaxAttempts: options.maxAttempts ?? MAX_ATTEMPTS,
    innerWaitMs: options.innerWaitMs,
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
