import type { IncidentView, StepState, TimelineEntry } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { offset } from './text.ts';

/** A vendor that is back a moment after the step gave up is back for whatever comes next. */
const BACK_AFTER_MS = 1_000;
/** It was away before the step found out: in another run the step may begin earlier. */
const AWAY_BEFORE_MS = 30_000;

/** Which vendor a step's failure points at. */
const VENDOR_OF_STEP: Readonly<Record<string, string>> = {
  page: 'pager',
  ticket: 'tickets',
  sample: 'samples',
  notify: 'notifications',
  http: 'endpoints',
  snapshot: 'cluster',
  changes: 'cluster',
};

/** What failed, by the steps that failed for it, while they ran. */
export function recordedVendors(
  view: IncidentView,
  timeline: readonly TimelineEntry[],
  runbook: CompiledRunbook,
  startMs: number,
): object[] {
  const troubles = view.steps.flatMap((step) => {
    const vendor = VENDOR_OF_STEP[step.uses];
    if (vendor === undefined || step.status !== 'failed' || isAnswered(step)) return [];
    const subjects = subjectsOf(step, runbook);
    return [
      {
        vendor,
        ...(subjects.length === 0 ? {} : { for: subjects }),
        ...(step.startedAtMs === undefined
          ? {}
          : { from: offset(Math.max(0, step.startedAtMs - AWAY_BEFORE_MS - startMs)) }),
        ...(step.endedAtMs === undefined ? {} : { until: offset(step.endedAtMs + BACK_AFTER_MS - startMs) }),
        fails: /not done within|no answer/.test(step.reason ?? '') ? 'unavailable' : 'refused',
      },
    ];
  });
  const roles = timeline.flatMap(({ kind, text }) => {
    const role = kind === 'page' ? /^No channel accepted the page to (\S+): /.exec(text)?.[1] : undefined;
    return role === undefined ? [] : [role];
  });
  return roles.length === 0
    ? troubles
    : [...troubles, { vendor: 'pager', for: [...new Set(roles)], fails: 'refused' }];
}

/** It was answered, only not as it should: the answer is in the world. */
function isAnswered({ reason }: StepState): boolean {
  return /was answered \d{3}/.test(reason ?? '');
}

function subjectsOf({ id, uses }: StepState, { steps }: CompiledRunbook): string[] {
  const input = steps.find((step) => step.id === id)?.with ?? {};
  const named = { notify: input.to, http: input.endpoint, sample: input.from, page: input.roles }[uses];
  return [named].flat().filter((name) => typeof name === 'string');
}
