import { z } from 'zod';
import { defineStep, MINUTE_MS, type StepProblem } from '../define.ts';
import { duration, rate, share } from '../fields.ts';

/** Caches warm up and autoscalers answer on the way; every part is measured before the next. */
const DEFAULT_STEPS = [0.25, 0.5];
/** Four scrapes at the most usual interval. */
const DEFAULT_EVERY_MS = MINUTE_MS;
/** The guide's trip level, over its least number of requests. */
const DEFAULT_HARM_RATE = 0.02;
const DEFAULT_MIN_EXPOSURE = 100;
/** Pods that an autoscaler took away have to come back, and other incidents may hold the target. */
const DEFAULT_TIMEOUT_MS = 60 * MINUTE_MS;
const MAX_STEPS = 10;

/** Closes the circuit breaker in steps. */
export const restoreInput = z
  .strictObject({
    steps: z
      .array(share)
      .max(MAX_STEPS)
      .default(DEFAULT_STEPS)
      .describe(
        'Parts of the traffic that the target gets one after the other before it gets all of it; [] for none.',
      ),
    every: duration
      .default(DEFAULT_EVERY_MS)
      .describe('How long each part is watched before the next; default 1m.'),
    harmRateBelow: rate
      .default(DEFAULT_HARM_RATE)
      .describe(
        'Harm rate that must not be proved to be exceeded meanwhile: all traffic is diverted again then.',
      ),
    minExposure: z
      .int()
      .min(1)
      .default(DEFAULT_MIN_EXPOSURE)
      .describe('Classified outputs that are needed before the rate says anything.'),
  })
  .transform(({ every, ...rest }) => ({ ...rest, everyMs: every }));

export type RestoreInput = z.output<typeof restoreInput>;

export const definition = defineStep({
  summary: 'Closes the circuit breaker in steps; refused while the revision that runs is not proved.',
  input: restoreInput,
  outputs: { breaker: 'string' },
  mutates: true,
  needsTarget: true,
  defaultTimeoutMs: DEFAULT_TIMEOUT_MS,
  innerWaitMs: ({ steps, everyMs }) => steps.length * everyMs,
  rules: {
    'restore/steps': {
      severity: 'error',
      asks: 'The steps of a restore rise, and stay below 1.',
      why: 'A part that is no larger than the one before takes traffic away or does nothing; all of it comes last by itself.',
      mend: 'Write them in rising order, such as [0.25, 0.5].',
    },
  },
  check: (step) => {
    const written = step.with.steps;
    if (!Array.isArray(written)) return [];
    const found: StepProblem[] = [];
    for (const [index, part] of written.entries()) {
      if (typeof part !== 'number') continue;
      const before = index === 0 ? 0 : written[index - 1];
      const message =
        part >= 1
          ? 'a step is less than 1: all of the traffic comes last by itself'
          : typeof before === 'number' && part <= before
            ? `not more than the step before (${before}): steps rise`
            : undefined;
      if (message) found.push({ rule: 'restore/steps', path: ['with', 'steps', index], message });
    }
    return found;
  },
  describe: ({ steps }) =>
    steps.length === 0
      ? 'gives the target all of its traffic back'
      : `gives the target its traffic back in steps: ${[...steps, 1].map((part) => `${Math.round(part * 100)}%`).join(', ')}`,
});
