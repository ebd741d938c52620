import { z } from 'zod';
import { parseDurationMs } from '../../domain/duration.ts';

/** Temporal keeps timers for years; a wait of more than this in a runbook is a slip of the unit. */
const DAY_MS = 24 * 60 * 60 * 1_000;
const MAX_DURATION_MS = 30 * DAY_MS;
/** Dates of tasks: a plan for later than this is none. */
const MAX_LONG_DURATION_MS = 366 * DAY_MS;

/** Shown by editors; the compiler knows durations by them too. */
export const DURATION_EXAMPLES = ['90s', '5m', '1h30m'];

/** As parseDurationMs reads it (domain/duration.ts), for editors; `some` also asks for a digit that is not 0. */
const DURATION_PATTERN = {
  any: /^\s*(\d+(\.\d+)?(ms|s|m|h|d))+\s*$/,
  some: /^(?=[^1-9]*[1-9])\s*(\d+(\.\d+)?(ms|s|m|h|d))+\s*$/,
};

/** A duration as text (`90s`, `5m`, `1h30m`); whole milliseconds after parsing, at least 1 where it is not zero. */
function durationText(options: { allowZero: boolean; maxMs: number }) {
  return z
    .string()
    .regex(options.allowZero ? DURATION_PATTERN.any : DURATION_PATTERN.some, { error: wrongDuration })
    .transform((text, context) => {
      const durationMs = parseDurationMs(text);
      // The pattern has told it.
      if (durationMs === undefined) return z.NEVER;
      if (durationMs > options.maxMs) {
        // A pattern cannot say this: it is a rule of its own, so that the JSON Schema and this one agree on the shape.
        context.addIssue({
          code: 'custom',
          message: `a duration is at most ${options.maxMs / DAY_MS}d here: check the unit`,
          params: { rule: 'duration/too-long' },
        });
        return z.NEVER;
      }
      return durationMs > 0 ? Math.max(1, Math.round(durationMs)) : 0;
    })
    .meta({ examples: DURATION_EXAMPLES });
}

function wrongDuration({ input }: { input?: unknown }): string {
  const text = String(input);
  return DURATION_PATTERN.any.test(text)
    ? 'a duration of zero: write how long, such as 30s'
    : `${JSON.stringify(text.slice(0, 40))} is no duration: write 90s, 5m or 1h30m`;
}

/** A duration longer than zero. */
export const duration = durationText({ allowZero: false, maxMs: MAX_DURATION_MS });
/** A duration that may be `0s`. */
export const durationOrZero = durationText({ allowZero: true, maxMs: MAX_DURATION_MS });
/** A time until a date, longer than zero and up to a year. */
export const longDuration = durationText({ allowZero: false, maxMs: MAX_LONG_DURATION_MS });

/** Part (0..1) of traffic or outputs, more than none. */
export const share = z
  .number()
  .gt(0, 'more than 0: write 0.1 for 10%')
  .max(1, 'at most 1: write 0.1 for 10%');

/** A harm rate that something has to be below: neither 0 nor 1 can be proved. */
export const rate = z
  .number()
  .gt(0, 'more than 0: write 0.01 for 1%')
  .lt(1, 'less than 1: write 0.01 for 1%');

/** Role of the configuration (`paging.roles`), such as ml-oncall. */
export const roleName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'a role or group is lower case letters, digits, dot, dash and underscore',
  );

/** Id of a step, as `needs` and expressions name it. */
export const stepId = z
  .string()
  .regex(
    /^[a-z][a-zA-Z0-9_-]{0,62}$/,
    'an id starts with a lower case letter and has letters, digits, _ and - only',
  );

/** Name of a Kubernetes workload: RFC 1123 subdomain. */
export const workloadName = z
  .string()
  .max(253)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    'the name of a Deployment: lower case letters, digits and dashes',
  );

/** CEL text; its syntax and what it reads are checked by the compiler. */
export const expression = z.string().min(1, 'an expression in CEL, such as metrics.harmRate > 0.05');
