/** What a false positive, or a drill, did to production is taken back: traffic that was sent away for it alone. */
import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';
import { BREAKER_ALERTS } from '../../domain/breaker.ts';
import { StepFailure } from '../../runbooks/steps/context.ts';
import { signaling } from '../activities.ts';
import { readFailure } from '../failure.ts';
import type { IncidentServices } from './services.ts';
import type { Incident } from './state.ts';

/** Pods that an autoscaler took away come back within minutes; a cluster that is away for longer needs somebody. */
const GIVE_BACK_WITHIN_MS = 10 * 60_000;
const TRY_AGAIN_EVERY_MS = 15_000;
/** Missing pods, another incident's rollout, a cluster that does not answer: they pass. */
const PASSES = ['Conflict', 'Unavailable'];

/**
 * Returns when traffic is back, or when an alert was raised because it is not: this incident ends, and its pages with it, so
 * another one calls people until somebody has looked.
 */
export async function giveTrafficBack(incident: Incident, services: IncidentServices): Promise<void> {
  const { data } = incident;
  if ((data.breaker?.state ?? 'closed') === 'closed') return;
  try {
    if (data.milestones.rolledBack !== undefined)
      throw new StepFailure('Refused', 'the model was rolled back, and what runs now is not proved');
    await CancellationScope.withTimeout(GIVE_BACK_WITHIN_MS, () => clear(incident, services));
    incident.record('breaker', 'All traffic is back on the target; the breaker is closed', services.nowMs(), {
      breaker: 'closed',
    });
  } catch (error) {
    if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
    const why = isCancellation(error) ? 'it took too long' : readFailure(error).message;
    const after = incident.input.drill ? 'a drill' : 'a false positive';
    const text = `Traffic stays away from the target after ${after}: ${why}`;
    incident.record('breaker', text, services.nowMs());
    await signaling.raiseAlert({
      target: services.target(),
      alertname: BREAKER_ALERTS.needsHuman,
      summary: `Traffic stays away after ${after} (incident ${data.incidentId})`,
      key: `${data.incidentId}-not-given-back`,
    });
  }
}

async function clear(incident: Incident, services: IncidentServices): Promise<void> {
  const { data, input } = incident;
  const person = data.resolvedBy?.person ?? 'somebody';
  const reason = input.drill
    ? `drill ${data.incidentId} is over`
    : `${person} says that incident ${data.incidentId} was a false positive`;
  const ofTrip = data.alerts.some(({ alertname }) => alertname === BREAKER_ALERTS.tripped);
  for (let told = ''; ; await sleep(TRY_AGAIN_EVERY_MS)) {
    let waitsFor: string;
    try {
      const result = await services.command(undefined, 0, { kind: 'clear', reason, ofTrip });
      if (result.kind !== 'breaker')
        throw new StepFailure('InvalidInput', `the target answered ${result.kind}`);
      if (result.breaker.state === 'closed') return;
      // Others prove their recovery, or say the same; this incident does not wait for them.
      if (result.heldBy !== undefined) throw new StepFailure('Refused', result.note ?? 'others hold it');
      waitsFor = result.note ?? `the breaker is ${result.breaker.state}`;
    } catch (error) {
      if (!(error instanceof StepFailure) || !PASSES.includes(error.type)) throw error;
      waitsFor = error.message;
    }
    if (waitsFor !== told)
      incident.record('breaker', `Giving traffic back waits: ${waitsFor}`, services.nowMs());
    told = waitsFor;
  }
}
