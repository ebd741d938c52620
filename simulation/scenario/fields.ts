import { z } from 'zod';
import { parseDurationMs } from '../../domain/duration.ts';
import { stepId } from '../../runbooks/steps/fields.ts';

/** A year: rehearsals of timers of weeks fit, and a slip of the unit does not run for ever. */
const MAX_MOMENT_MS = 366 * 24 * 3_600_000;

/** A time from the start of the scenario, in milliseconds; before it with a minus. */
export const moment = z
  .string()
  .regex(/^-?(\d+(\.\d+)?(ms|s|m|h|d))+$/, 'a time from the start, such as 90s, 1h30m or -30m')
  .transform((text, context) => {
    const before = text.startsWith('-');
    const durationMs = Math.round(parseDurationMs(before ? text.slice(1) : text) ?? 0);
    if (durationMs > MAX_MOMENT_MS) {
      context.addIssue({ code: 'custom', message: 'at most 366d from the start' });
      return z.NEVER;
    }
    return before ? -durationMs : durationMs;
  })
  .meta({ examples: ['0s', '90s', '-30m'] });

/** A time from the start, not before it. */
export const laterMoment = z
  .string()
  .regex(/^(\d+(\.\d+)?(ms|s|m|h|d))+$/, 'a time from the start, such as 90s or 1h30m')
  .transform((text, context) => {
    const durationMs = Math.round(parseDurationMs(text) ?? 0);
    if (durationMs > MAX_MOMENT_MS) {
      context.addIssue({ code: 'custom', message: 'at most 366d' });
      return z.NEVER;
    }
    return durationMs;
  })
  .meta({ examples: ['0s', '90s', '1h30m'] });

/** A value of a moment on. */
export interface Point<T> {
  atMs: number;
  value: T;
}

/** One value for the whole scenario, or values that hold from a time on; the first one holds before its time too. */
export function overTime<S extends z.ZodType>(value: S, wanted: string) {
  type Value = z.output<S>;
  const points = z
    .array(z.strictObject({ at: moment, value }))
    .min(1, 'at least one entry of at and value')
    .max(200);
  return z
    .union([value, points], {
      error: `write ${wanted}, or a list of { at: 5m, value: ... }: each value holds from its time on`,
    })
    .transform((given): Point<Value>[] =>
      Array.isArray(given)
        ? (given as { at: number; value: Value }[])
            .map((point) => ({ atMs: point.at, value: point.value }))
            .sort((a, b) => a.atMs - b.atMs)
        : [{ atMs: 0, value: given as Value }],
    );
}

/** Part of something: 0 to 1. */
export const part = z.number().min(0).max(1);

/** When something happens: at a time, or some time after something else happened. */
export const trigger = {
  at: laterMoment.optional().describe('Time from the start.'),
  after: z
    .string()
    .max(80)
    .optional()
    .describe(
      'Instead of at: a milestone (contained), asked-<step> (its approval is asked for), needs-human, or a step (it has ended).',
    ),
  occurrence: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe('After its first (default), second ... time: a rollback can be asked for twice.'),
  wait: laterMoment.optional().describe('Time after that; default 0s.'),
};

export const step = stepId;
