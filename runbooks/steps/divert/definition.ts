import { z } from 'zod';
import { defineStep } from '../define.ts';
import { rate, workloadName } from '../fields.ts';

/** The guide's trip level: a fallback above it is no better than what it stands in for. */
const FALLBACK_HARM_RATE = 0.02;
/** A fallback that fails one request in ten does not serve. */
const FALLBACK_ERROR_RATE = 0.1;
/** The guide's least number of requests before a rate says anything. */
const FALLBACK_MIN_EXPOSURE = 100;

/** Opens the circuit breaker of the target. */
export const divertInput = z.strictObject({
  to: workloadName
    .default('block')
    .describe(
      'Deployment in the same namespace that serves meanwhile, or block: no traffic is served at all.',
    ),
  fallbackHarmRateBelow: rate
    .default(FALLBACK_HARM_RATE)
    .describe(
      'Harm rate of the fallback that must not be proved to be exceeded, before and while it serves.',
    ),
  fallbackErrorRateBelow: rate
    .default(FALLBACK_ERROR_RATE)
    .describe('Error rate of the fallback, by the counters errors and requests, or the metric errorRate.'),
  fallbackMinExposure: z
    .int()
    .min(1)
    .default(FALLBACK_MIN_EXPOSURE)
    .describe('Outputs of the fallback that are needed before its rates say anything.'),
});

export type DivertInput = z.output<typeof divertInput>;

export const definition = defineStep({
  summary: 'Opens the circuit breaker: all traffic to a fallback, or none at all.',
  input: divertInput,
  outputs: { contained: 'bool', fallback: 'string' },
  mutates: true,
  needsTarget: true,
  whenUnknownDefault: 'run',
  rules: {
    'divert/requests': {
      severity: 'error',
      asks: 'Where traffic is diverted, a counter metric named requests counts what arrives.',
      why: 'Contained means measured: without it the effect of the diversion is never seen, and the step fails.',
      mend: 'Add requests: { counter: ai_requests_total, labels: ... } to spec.metrics.',
    },
  },
  check: (_step, view) => {
    if (view.metrics.get('requests')?.counter !== undefined) return [];
    const message =
      'the effect of a diversion is seen in a metric named requests: add requests: { counter: ai_requests_total, labels: ... } to spec.metrics';
    return [{ rule: 'divert/requests', path: ['uses'], message }];
  },
  describe: ({ to }) =>
    to === 'block' ? 'blocks all traffic of the target' : `sends all traffic of the target to ${to}`,
});
