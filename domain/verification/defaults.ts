import type { JudgeOptions } from './types.ts';

/**
 * What a `verify` step gets where its runbook says nothing. Threshold and exposure are the shipped runbook's.
 */
export const JUDGE_DEFAULTS: JudgeOptions = {
  threshold: 0.01,
  confidence: 0.99,
  // Without any harm, proof at 1% and 99% takes 499 independent outputs: fewer are never enough.
  minExposure: 500,
  // Fewer blocks hold no more than a burst or two.
  minBlocks: 6,
  // A cold start is over, and caches and batches are those of steady traffic.
  minDurationMs: 60_000,
  // Four scrapes at Prometheus' most usual interval of 15 s: one lost scrape is nothing, four are.
  maxSampleAgeMs: 60_000,
  // What is not classified could be where the harm is.
  minCoverage: 0.9,
  designEffect: 'estimate',
  allowRequestsAsDenominator: false,
};
