import { sleep } from '@temporalio/workflow';
import type { ExpressionFacts, VerifyOptions } from '../../activities/contract.ts';
import type { VerificationSummary } from '../../domain/incident.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import { summariseVerdict } from '../../domain/verification/summary.ts';
import { clusterActivities } from '../activities.ts';

export interface VerificationInput {
  target: Target;
  facts: TargetFacts;
  metrics: Record<string, MetricSpec>;
  options: VerifyOptions;
  /** What guards read beside metrics and target. */
  context: ExpressionFacts;
  /** Part of the traffic that the target gets meanwhile. */
  share: number;
  timeoutMs: number;
  pollEveryMs: number;
  /** When the harm was told (epoch ms): which classifier judged it then. */
  alertedAtMs?: number;
  /** How long after an output its classification may be counted. */
  classifierLagMs: number;
}

/**
 * Counts from T0 on until the sequential test decides or the deadline is reached. T0 is Prometheus' own time now (the
 * rollout has ended and the share is open) plus the classifier's lag and one scrape, so that nothing of the bad revision
 * is counted.
 */
export async function verification(input: VerificationInput): Promise<VerificationSummary> {
  const cluster = clusterActivities(input.target.cluster);
  const startedMs = Date.now();
  const clock = await cluster.readMeasurementClock({ target: input.target });
  const t0Ms = clock.nowMs + input.classifierLagMs + clock.scrapeIntervalMs;
  await sleep(input.classifierLagMs + clock.scrapeIntervalMs);
  for (;;) {
    const verdict = await cluster.judgeRecovery({
      target: input.target,
      metrics: input.metrics,
      t0Ms,
      ...(input.alertedAtMs === undefined ? {} : { alertedAtMs: input.alertedAtMs }),
      options: input.options,
      facts: input.facts,
      context: input.context,
    });
    const elapsedMs = Date.now() - startedMs;
    const deadlineReached = elapsedMs >= input.timeoutMs;
    if (verdict.outcome !== 'undecided' || deadlineReached) {
      return summariseVerdict(verdict, {
        seconds: elapsedMs / 1_000,
        share: input.share,
        confidence: input.options.confidence,
      });
    }
    await sleep(Math.min(input.pollEveryMs, input.timeoutMs - elapsedMs));
  }
}
