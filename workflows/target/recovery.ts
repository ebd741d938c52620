/** A breaker that tripped by itself and that no incident holds: a proved revision is tried again, and measured anew. */

import { ParentClosePolicy, sleep, startChild } from '@temporalio/workflow';
import { BREAKER_ALERTS } from '../../domain/breaker.ts';
import type { VerificationSummary } from '../../domain/incident.ts';
import type { WatchSpec } from '../../domain/target-command.ts';
import { JUDGE_DEFAULTS } from '../../domain/verification/defaults.ts';
import { clusterActivities } from '../activities.ts';
import { readFailure } from '../failure.ts';
import { VERIFICATION_WORKFLOW } from '../messages.ts';
import type { verification } from '../verification/workflow.ts';
import { carryOut, inTrafficLane, raise } from './projection.ts';
import type { TargetState } from './state.ts';
import { needCapacity, runningTemplate } from './traffic-commands.ts';

/** What verify and restore steps take by default. */
const SHARE = 0.1;
const VERIFY_FOR_MS = 30 * 60_000;
const POLL_EVERY_MS = 15_000;
const CLASSIFIER_LAG_MS = 30_000;
const GIVE_BACK = [0.25, 0.5, 1];
const GIVE_BACK_EVERY_MS = 60_000;
/** A verification ends by itself; this only takes the share away when it does not. */
const MARGIN_MS = 5 * 60_000;
const LOOK_ATTEMPTS = 2;
/** In the place of an incident: nobody's. */
const NOBODY = 'watch';

/** Tries the revision again where that is due; does nothing otherwise. */
export async function probe(state: TargetState, watch: WatchSpec, draining: () => boolean): Promise<void> {
  const { target, control } = state.data;
  const { trippedAtMs, holders } = control;
  if (trippedAtMs === undefined || state.breaker.state !== 'open') return;
  if (Object.keys(holders).length > 0 || Date.now() < trippedAtMs + watch.recoveryMs) return;
  if (state.frozenUntil(Date.now()) !== undefined) return;
  const templateHash = await runningTemplate(target, LOOK_ATTEMPTS);
  let trying = false;
  await inTrafficLane(state, 'probe', draining, async () => {
    const decided = state.decide({
      kind: 'recovery-due',
      share: SHARE,
      forMs: VERIFY_FOR_MS + MARGIN_MS,
      recoveryMs: watch.recoveryMs,
      running: state.runningRevision(templateHash),
    });
    if (decided.changed) await carryOut(state, decided, `probe-${Date.now()}`);
    trying = decided.changed;
  });
  if (!trying) return;
  // An incident that diverts meanwhile takes the breaker over.
  const mine = () => state.breaker.state === 'half-open' && state.data.control.trippedAtMs === trippedAtMs;
  try {
    const result = await verify(state, watch);
    const { outcome } = result;
    const verdict = outcome === 'recovered' ? 'verified-good' : 'known-bad';
    if (outcome !== 'insufficient-evidence') {
      const reason = `tried again after the breaker tripped: ${outcome}`;
      state.data.ledger[templateHash] = { verdict, atMs: Date.now(), incidentId: NOBODY, reason };
    }
    if (outcome !== 'recovered') throw new Error(outcome);
    for (const share of GIVE_BACK) {
      if (share !== GIVE_BACK[0]) await sleep(GIVE_BACK_EVERY_MS);
      await inTrafficLane(state, 'give-back', draining, () => giveBack(state, share, mine));
    }
  } catch (error) {
    const why = `the revision that was tried again is not proved (${readFailure(error).message})`;
    await inTrafficLane(state, 'unproved', draining, async () => {
      if (!mine()) return;
      const decided = state.decide({ kind: 'contain', reason: why });
      if (decided.changed) await carryOut(state, decided, `unproved-${Date.now()}`);
    });
    await raise(state, BREAKER_ALERTS.staysOpen, why);
  }
}

async function verify(state: TargetState, watch: WatchSpec): Promise<VerificationSummary> {
  const { target } = state.data;
  const facts = await clusterActivities(target.cluster, LOOK_ATTEMPTS).readTarget({ target });
  const child = await startChild<typeof verification>(VERIFICATION_WORKFLOW, {
    workflowId: `verification-${target.cluster}-${target.namespace}-${target.name}-${Date.now()}`,
    parentClosePolicy: ParentClosePolicy.TERMINATE,
    args: [
      {
        target,
        facts,
        metrics: watch.metrics,
        share: SHARE,
        timeoutMs: VERIFY_FOR_MS,
        pollEveryMs: POLL_EVERY_MS,
        classifierLagMs: CLASSIFIER_LAG_MS,
        options: { ...JUDGE_DEFAULTS, threshold: watch.limits.harmRate, guards: [] },
        context: {
          steps: {},
          inputs: {},
          incident: { severity: 'SEV2', round: 1, acknowledged: false, firing: 0 },
          alert: { labels: {} },
        },
      },
    ],
  });
  return child.result();
}

async function giveBack(state: TargetState, share: number, mine: () => boolean): Promise<void> {
  if (!mine()) return;
  const { target } = state.data;
  await needCapacity(state, target, share);
  const running = state.runningRevision(await runningTemplate(target, LOOK_ATTEMPTS));
  if (!mine()) return;
  const decided = state.decide({ kind: 'restore', incidentId: NOBODY, share, running });
  if (decided.changed) await carryOut(state, decided, `proved-${Date.now()}`);
}
