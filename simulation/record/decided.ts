import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';

/** What an expression of the runbook came to at a time, as the incident tells. */
export interface Decided {
  expression: string;
  /** A value, or that it was unknown. */
  came: { value: unknown } | 'unknown';
  atMs: number;
}

/** A condition that was true within this after the start was true from the start. */
const AT_ONCE_MS = 30_000;

/** All that the timeline and the steps tell of conditions, severity and guards, in the order of time. */
export function decidedIn(
  view: IncidentView,
  timeline: readonly TimelineEntry[],
  runbook: CompiledRunbook,
  startMs: number,
): Decided[] {
  const decided: Decided[] = [];
  const came = (expression: string, value: unknown, atMs: number) =>
    void decided.push({ expression, came: { value }, atMs });
  const unknown = (expression: string, atMs: number) =>
    void decided.push({ expression, came: 'unknown', atMs });

  for (const { kind, text, atMs } of timeline) {
    const [, severity, reason] = (kind === 'step' && /^Severity (SEV[1-4])(: .*)?$/s.exec(text)) || [];
    if (severity === undefined) continue;
    if (reason === undefined) came(runbook.severity, severity, atMs);
    else unknown(runbook.severity, atMs);
  }
  for (const plan of runbook.steps) {
    const step = view.steps.find(({ id }) => id === plan.id);
    if (!step) continue;
    const { reason = '', status, startedAtMs, endedAtMs, outputs } = step;
    const ranAtMs = status === 'skipped' ? undefined : (startedAtMs ?? endedAtMs);
    if (plan.when !== undefined) {
      if (reason.startsWith('not the case')) came(plan.when, false, endedAtMs ?? startMs);
      else if (reason.startsWith('unknown:')) unknown(plan.when, endedAtMs ?? startMs);
      else if (ranAtMs !== undefined) came(plan.when, true, ranAtMs);
    }
    if (plan.whenever !== undefined) {
      const heldAtMs = ['watching', 'pending'].includes(status) ? undefined : ranAtMs;
      if (heldAtMs === undefined || heldAtMs > startMs + AT_ONCE_MS) came(plan.whenever, false, startMs);
      if (heldAtMs !== undefined) came(plan.whenever, true, heldAtMs);
    }
    const until = plan.uses === 'wait' ? plan.with.until : undefined;
    if (typeof until === 'string' && startedAtMs !== undefined) {
      came(until, false, startedAtMs);
      if (outputs?.early === true && endedAtMs !== undefined) came(until, true, endedAtMs);
    }
    const { guards } = plan.with;
    if (plan.uses === 'verify' && status === 'succeeded' && Array.isArray(guards)) {
      for (const guard of guards) came(String(guard), true, endedAtMs ?? startMs);
    }
    const preapproval = plan.approval?.preapprovedWhen;
    if (preapproval !== undefined) takePreapproval(plan.id, preapproval);
  }
  return decided.sort((a, b) => a.atMs - b.atMs);

  function takePreapproval(id: string, condition: string): void {
    for (const { kind, text, atMs } of timeline) {
      if (kind !== 'decision') continue;
      if (text.startsWith(`${id} is approved by `)) came(condition, true, atMs);
      else if (text.startsWith(`${id} is not pre-approved: it is not the case`)) came(condition, false, atMs);
      else if (text.startsWith(`${id} is not pre-approved: `)) unknown(condition, atMs);
    }
  }
}
