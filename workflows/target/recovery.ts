/** A breaker that tripped by itself and that no incident holds: a proved revision is tried again, and measured. */
import { ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { WatchSpec } from '../../domain/target-command.ts';
import { JUDGE_DEFAULTS } from '../../domain/verification/defaults.ts';
import { clusterActivities } from '../activities.ts';
import { VERIFICATION_WORKFLOW } from '../messages.ts';
import type { verification } from '../verification/workflow.ts';
import { carryOut, inTrafficLane, raise } from './projection.ts';
import type { TargetState } from './state.ts';
import { runningTemplate } from './traffic-commands.ts';

/** What a verify step takes by default. */
const SHARE = 0.1;
const VERIFY_FOR_MS = 30 * 60_000;
const POLL_EVERY_MS = 15_000;
/** A verification ends by itself; this only takes the share away when it does not. */
const MARGIN_MS = 5 * 60_000;

/** In the place of an incident: nobody's. */
const incidentId = 'watch';

/** Tries the revision again where that is due; does nothing otherwise. */
export async function probe(state: TargetState, watch: WatchSpec, draining: () => boolean): Promise<void> {
  const { data } = state;
  const { target } = data;
  const { trippedAtMs, holders } = data.control;
  if (trippedAtMs === undefined || state.breaker.state !== 'open') return;
  if (Object.keys(holders).length > 0 || Date.now() < trippedAtMs + watch.recoveryMs) return;
  if (state.frozenUntil(Date.now()) !== undefined) return;
  const templateHash = await runningTemplate(target, 2);
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
  const facts = await clusterActivities(target.cluster, 2).readTarget({ target });
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
        classifierLagMs: 0,
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
  const result = await child.result();
  const proved = result.outcome === 'recovered';
  if (result.outcome === 'not-recovered') {
    const reason = 'tried again after the breaker tripped, and not recovered';
    data.ledger[templateHash] = { verdict: 'known-bad', atMs: Date.now(), incidentId, reason };
  }
  let closed = false;
  await inTrafficLane(state, 'probed', draining, async () => {
    // Somebody else decided meanwhile.
    if (state.breaker.state !== 'half-open' || state.data.control.trippedAtMs !== trippedAtMs) return;
    if (proved) {
      const running = state.runningRevision(await runningTemplate(target, 2));
      const decided = state.decide({ kind: 'restore', incidentId, share: 1, running });
      if (decided.changed) await carryOut(state, decided, `proved-${Date.now()}`);
      else state.data.control = state.decide({ kind: 'release', incidentId }).control;
      closed = decided.changed;
      return;
    }
    const { fallback } = state.breaker;
    const reason = `the revision that was tried again is not proved (${result.outcome})`;
    const decided = state.decide({ kind: 'trip', fallback, reason });
    if (decided.changed) await carryOut(state, decided, `unproved-${Date.now()}`);
  });
  if (!closed) await raise(state, 'FirebreakBreakerStaysOpen', `tried again: ${result.outcome}`);
}
