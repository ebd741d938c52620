import { truncate } from '../../../domain/plain-text.ts';
import { type StepContext, StepFailure, type StepRunner } from '../context.ts';
import type { DivertInput } from './definition.ts';

/** How long the effect in traffic is looked for before the diversion counts as "written, not seen". */
const MEASURE_CONTAINMENT_FOR_MS = 60_000;
/** Up to this share of the earlier traffic may still be seen when a diversion counts as contained: scrapes overlap. */
const CONTAINED_SHARE = 0.01;

/** Longest condition that is repeated in the breaker's reason, which gateways and people read. */
const MAX_CONDITION_LENGTH = 200;

function reasonOf({ incidentId, step }: StepContext): string {
  const condition = step.whenever ?? step.when;
  return condition === undefined
    ? `incident ${incidentId}`
    : `incident ${incidentId}: ${truncate(condition, MAX_CONDITION_LENGTH)}`;
}

/** Opens the breaker: all traffic to the fallback, or none where the runbook says block. Contained means measured. */
export const run: StepRunner = {
  async rehearse(context) {
    const input = context.step.with as DivertInput;
    if (input.to === 'block') return 'would have blocked all traffic';
    const { problems } = await context.cluster.checkFallback({
      target: context.target(),
      fallback: input.to,
    });
    if (problems.length > 0) throw new StepFailure('PreconditionFailed', problems.join('; '));
    return `${input.to} could take the traffic now`;
  },
  async run(context) {
    const input = context.step.with as DivertInput;
    const result = await context.command({
      kind: 'divert',
      fallback: input.to === 'block' ? undefined : input.to,
      reason: reasonOf(context),
      fallbackHarm: {
        limits: {
          harmRate: input.fallbackHarmRateBelow,
          errorRate: input.fallbackErrorRateBelow,
          minExposure: input.fallbackMinExposure,
        },
        metrics: context.runbook.metrics,
      },
    });
    if (result.kind !== 'breaker')
      throw new StepFailure('InvalidInput', `the target answered ${result.kind} to a diversion`);
    if (result.note) context.record('breaker', result.note);
    const { fallback } = result.breaker;
    context.record(
      'breaker',
      fallback ? `Breaker open: all traffic goes to ${fallback}` : 'Breaker open: all traffic is blocked',
      { breaker: 'open' },
    );
    const effect = await context.awaitDiverted(CONTAINED_SHARE, MEASURE_CONTAINMENT_FOR_MS);
    if (effect.effect !== 'measured') {
      throw new StepFailure(
        'PreconditionFailed',
        `The breaker is open, but its effect was not seen in traffic (${effect.detail}): check that the gateway reads the breaker`,
      );
    }
    context.reach('contained', effect.atMs);
    return { contained: true, fallback: fallback ?? null };
  },
};
