import { continueAsNew, log, sleep, workflowInfo } from '@temporalio/workflow';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target } from '../../domain/target.ts';
import type { HarmLimits } from '../../domain/verification/judge-harm.ts';
import { clusterActivities, signaling } from '../activities.ts';
import { readFailure } from '../failure.ts';

export interface AftercareInput {
  target: Target;
  /** The incident that was closed. */
  incidentId: string;
  /** Of its first alert: what correlates harm that returns with it. */
  labels: Record<string, string>;
  alertname: string;
  runbook: string;
  metrics: Record<string, MetricSpec>;
  limits: HarmLimits;
  /** What was served before does not count (epoch ms). */
  sinceMs: number;
  untilMs: number;
  /** Harm has returned and was told; carried over continue-as-new. */
  told?: boolean;
  /** How often it has. */
  times?: number;
}

/** Long against scrapes, short against how long harm may go unseen where no alert tells of it. */
const LOOK_EVERY_MS = 2 * 60_000;
/** An hour holds enough outputs of a target with little traffic; proof needs fewer of what harms more. */
const WINDOW_MS = 60 * 60_000;
/** Looks in a row within the limit after which it is over: as an alert resolves. */
const QUIET_LOOKS = 2;
/** Harm that was told and is neither proved nor disproved any more is somebody's by then. */
const ENDS_WITHIN_MS = 24 * 60 * 60_000;
/** A look is not worth repeating for long: the next one comes. */
const LOOK_ATTEMPTS = 3;

/**
 * Watches a target after its incident was closed. Harm that returns goes the way of every alert, with the labels of the
 * incident's own: the incident that it opens knows its predecessor.
 */
export async function aftercare(input: AftercareInput): Promise<void> {
  const { target, metrics, limits, sinceMs, untilMs } = input;
  const raise = (status: 'firing' | 'resolved', summary: string) =>
    signaling.raiseAlert({
      target,
      status,
      summary,
      alertname: input.alertname,
      key: `${input.incidentId}-returned-${times}`,
      labels: input.labels,
      runbook: input.runbook,
    });
  let told = input.told ?? false;
  let times = input.times ?? 0;
  let quiet = 0;
  // What was told is ended, however late; what cannot be seen any more by then is ended as well.
  while (Date.now() < untilMs || (told && Date.now() < untilMs + ENDS_WITHIN_MS)) {
    if (workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof aftercare>({ ...input, told, times });
    await sleep(told ? LOOK_EVERY_MS : Math.min(LOOK_EVERY_MS, Math.max(1, untilMs - Date.now())));
    try {
      const look = await clusterActivities(target.cluster, LOOK_ATTEMPTS).judgeHarm({
        target,
        metrics,
        limits,
        sinceMs,
        windowMs: WINDOW_MS,
      });
      const exceeded = look.verdict === 'exceeded';
      // Unknown is no sign of health: traffic may be diverted by now.
      quiet = look.verdict === 'within' ? quiet + 1 : 0;
      if (exceeded && !told) {
        times++;
        await raise('firing', `Harm is back after incident ${input.incidentId}: ${look.reasons.join('; ')}`);
        told = true;
      } else if (told && quiet >= QUIET_LOOKS) {
        await raise('resolved', `No more harm is proved after incident ${input.incidentId}`);
        told = false;
      }
    } catch (error) {
      log.warn('a closed incident could not be watched', { problem: readFailure(error).message });
    }
  }
  if (told) await raise('resolved', `Incident ${input.incidentId} is not watched any more`);
}
