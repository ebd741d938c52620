import { z } from 'zod';
import { parseDurationMs, writeDuration } from '../../../domain/duration.ts';
import { JUDGE_DEFAULTS } from '../../../domain/verification/defaults.ts';
import { defineStep, MINUTE_MS, SECOND_MS, type StepProblem, textsAt } from '../define.ts';
import { duration, durationOrZero, expression, rate, share } from '../fields.ts';

/** Long verifications get wider blocks: there are never more than this many (domain/verification). */
const MAX_BLOCKS = 120;
/** Below half, the test says nothing; above this, no amount of traffic is enough. */
const MIN_CONFIDENCE = 0.5;
const MAX_CONFIDENCE = 0.9999;
const MAX_GUARDS = 20;
const DEFAULT_TIMEOUT_MS = 30 * MINUTE_MS;
const DEFAULT_POLL_MS = 15 * SECOND_MS;

/** Lets a share of traffic back and proves on it that the harm rate is below a threshold. */
export const verifyInput = z
  .strictObject({
    share: share
      .default(0.1)
      .describe('Part of the traffic that the rolled-back revision gets, where it is diverted.'),
    harmRateBelow: rate
      .default(JUDGE_DEFAULTS.threshold)
      .describe('Harm rate that must be proved to be undercut.'),
    confidence: z
      .number()
      .min(MIN_CONFIDENCE)
      .max(MAX_CONFIDENCE)
      .default(JUDGE_DEFAULTS.confidence)
      .describe('1 - alpha of the sequential test.'),
    minExposure: z.int().min(1).default(JUDGE_DEFAULTS.minExposure).describe('Classified outputs at least.'),
    timeout: duration.default(DEFAULT_TIMEOUT_MS).describe('Then the evidence is insufficient; default 30m.'),
    minBlocks: z
      .int()
      .min(1)
      .max(MAX_BLOCKS)
      .default(JUDGE_DEFAULTS.minBlocks)
      .describe('Scrapes with classified outputs at least.'),
    minDuration: durationOrZero
      .default(JUDGE_DEFAULTS.minDurationMs)
      .describe('Time measured at least; default 1m.'),
    maxSampleAge: duration
      .default(JUDGE_DEFAULTS.maxSampleAgeMs)
      .describe('Oldest newest sample; default 1m.'),
    minCoverage: z
      .number()
      .min(0)
      .max(1)
      .default(JUDGE_DEFAULTS.minCoverage)
      .describe('Classified outputs per request at least; 0 where no requests are counted.'),
    // The guide's script waits 30 s before it looks.
    classifierLag: durationOrZero
      .default(30_000)
      .describe('Outputs are classified this long after; default 30s.'),
    pollEvery: duration.default(DEFAULT_POLL_MS).describe('How often the counters are read; default 15s.'),
    designEffect: z
      .union([z.number().min(1), z.literal('estimate')], {
        error: 'write estimate, or a number of at least 1',
      })
      .default(JUDGE_DEFAULTS.designEffect)
      .describe('How much less clustered outputs say than independent ones.'),
    guards: z.array(expression).max(MAX_GUARDS).default([]).describe('Conditions that must hold too.'),
    allowRequestsAsDenominator: z
      .boolean()
      .default(JUDGE_DEFAULTS.allowRequestsAsDenominator)
      .describe('Divide by requests where no classified series exists.'),
  })
  .transform(({ timeout, minDuration, maxSampleAge, classifierLag, pollEvery, ...rest }) => ({
    ...rest,
    timeoutMs: timeout,
    minDurationMs: minDuration,
    maxSampleAgeMs: maxSampleAge,
    classifierLagMs: classifierLag,
    pollEveryMs: pollEvery,
  }));

/** As far as they can be read: what is no duration is told by the schema. */
function durationsOf(input: Record<string, unknown>) {
  const read = (field: string, preset: number) => {
    const text = input[field];
    if (text === undefined) return preset;
    return typeof text === 'string' ? parseDurationMs(text) : undefined;
  };
  return {
    timeoutMs: read('timeout', DEFAULT_TIMEOUT_MS),
    pollEveryMs: read('pollEvery', DEFAULT_POLL_MS),
    minDurationMs: read('minDuration', JUDGE_DEFAULTS.minDurationMs),
  };
}

export type VerifyInput = z.output<typeof verifyInput>;

export const definition = defineStep({
  summary: 'Lets a share of the traffic back and proves on it that the harm rate is below a threshold.',
  input: verifyInput,
  outputs: {
    outcome: 'string',
    harmful: 'double',
    classified: 'double',
    threshold: 'double',
    seconds: 'double',
    share: 'double',
  },
  mutates: true,
  needsTarget: true,
  defaultTimeoutMs: 35 * MINUTE_MS,
  innerWaitMs: ({ timeoutMs }) => timeoutMs,
  describe: ({ share, harmRateBelow, confidence, timeoutMs }) =>
    `gives the target ${share * 100}% of its traffic and proves, within ${writeDuration(timeoutMs)}, that less than ${harmRateBelow * 100}% of its outputs are harmful (confidence ${confidence * 100}%)`,
  rules: {
    'verify/poll-every': {
      severity: 'error',
      asks: 'A verify looks at the counters at least once before its timeout.',
      why: 'With pollEvery longer than timeout nothing would be measured.',
      mend: 'Make pollEvery shorter, or timeout longer.',
    },
    'verify/min-duration': {
      severity: 'error',
      asks: 'A verify can measure for minDuration before its timeout.',
      why: 'With minDuration longer than timeout nothing could be proved.',
      mend: 'Make minDuration shorter, or timeout longer.',
    },
  },
  check: (step) => {
    const {
      timeoutMs = Number.POSITIVE_INFINITY,
      pollEveryMs = 0,
      minDurationMs = 0,
    } = durationsOf(step.with);
    const limit = writeDuration(Number.isFinite(timeoutMs) ? timeoutMs : 0);
    const found: StepProblem[] = [];
    if (pollEveryMs > timeoutMs) {
      const message = `longer than the timeout (${limit}): nothing would be measured`;
      found.push({ rule: 'verify/poll-every', path: ['with', 'pollEvery'], message });
    }
    if (minDurationMs > timeoutMs) {
      const message = `longer than the timeout (${limit}): nothing could be proved`;
      found.push({ rule: 'verify/min-duration', path: ['with', 'minDuration'], message });
    }
    return found;
  },
  expressions: (input) => textsAt(input, 'guards').map(({ path, text }) => ({ path, text, wanted: 'bool' })),
});
