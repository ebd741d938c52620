import { z } from 'zod';
import { parseDurationMs } from '../../domain/duration.ts';

/** Temporal keeps timers for years; a wait of more than this in a runbook is a slip of the unit. */
const MAX_DURATION_MS = 30 * 24 * 60 * 60 * 1_000;

/** Shown by editors; the compiler knows durations by them too. */
export const DURATION_EXAMPLES = ['90s', '5m', '1h30m'];

/** A duration as text (`90s`, `5m`, `1h30m`); whole milliseconds after parsing. */
function durationText(options: { allowZero: boolean }) {
  return z
    .string()
    .transform((text, context) => {
      const durationMs = parseDurationMs(text);
      if (durationMs === undefined) {
        context.addIssue({
          code: 'custom',
          message: `"${text.slice(0, 40)}" is no duration: write 90s, 5m or 1h30m`,
        });
        return z.NEVER;
      }
      if (durationMs > MAX_DURATION_MS) {
        context.addIssue({ code: 'custom', message: 'a duration is at most 30d' });
        return z.NEVER;
      }
      if (durationMs === 0 && !options.allowZero) {
        context.addIssue({ code: 'custom', message: 'a duration of zero: write how long, such as 30s' });
        return z.NEVER;
      }
      return Math.round(durationMs);
    })
    .meta({ examples: DURATION_EXAMPLES });
}

/** A duration longer than zero. */
export const duration = durationText({ allowZero: false });
/** A duration that may be `0s`. */
export const durationOrZero = durationText({ allowZero: true });

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
