import type { IncidentView, TimelineKind } from './incident.ts';
import { readDone } from './observe-report/done.ts';
import {
  type Median,
  type ObservedIncident,
  type ObserveReport,
  type ObserveTotals,
  SIGNS,
  type Sign,
} from './observe-report/types.ts';
import { readNotDone, readWouldHaves } from './observe-report/would-have.ts';
import { targetKey } from './target.ts';

export type { Median, ObservedIncident, ObserveReport, Sign } from './observe-report/types.ts';

/** Kinds of timeline entries that the report reads; the rest need not be fetched. */
export const OBSERVE_REPORT_KINDS = [
  'would-have',
  'decision',
  'note',
  'evidence',
] as const satisfies TimelineKind[];

const CAVEATS: readonly string[] = [
  'Whether a diversion or a rollback would have helped is not known: nothing was changed. The fallback was not asked whether it could take the traffic.',
  'A diversion would have begun at the time given. Its effect in traffic comes later, by as much as the gateway needs.',
  'People would have had to approve a rollback; how long they would have taken is not known.',
  'What people did is what was seen: their decisions in Firebreak, and what the cluster still tells of the target (the last write of each writer, to the second). What they did elsewhere, at the gateway for instance, is not seen.',
];

/**
 * What Firebreak would have done in observe mode, beside what people did.
 * @param input.incidents views with the timeline entries of `OBSERVE_REPORT_KINDS` in them, newest first; those of other
 * modes are left out.
 */
export function observeReport(input: {
  incidents: readonly IncidentView[];
  sinceMs: number;
  untilMs: number;
  truncated: boolean;
}): ObserveReport {
  const { sinceMs, untilMs, truncated } = input;
  const incidents = input.incidents.filter(({ mode }) => mode === 'observe').map(observedIncident);
  return { sinceMs, untilMs, truncated, totals: totalsOf(incidents), incidents, caveats: [...CAVEATS] };
}

function observedIncident(view: IncidentView): ObservedIncident {
  const triggeredAtMs = view.milestones.triggered ?? view.timeline[0]?.atMs ?? 0;
  const wouldHave = readWouldHaves(view, triggeredAtMs);
  const { done, changesKnown, peopleActed } = readDone(view, triggeredAtMs);
  const incident = {
    incidentId: view.incidentId,
    title: view.title,
    target: view.target && targetKey(view.target),
    severity: view.severity,
    state: view.state,
    outcome: view.outcome,
    runbook: { name: view.runbook.name, version: view.runbook.version },
    triggeredAtMs,
    wouldHave,
    notDone: readNotDone(view),
    done,
    containAfterMs: wouldHave.find(({ kind }) => kind === 'contain')?.afterMs,
    firstChangeAfterMs: done.find(({ kind }) => kind === 'target-change')?.afterMs,
    alertEndedAfterMs: done.find(({ kind }) => kind === 'alert-ended')?.afterMs,
    lastHarmRate: view.lastHarmRate,
  };
  const signs = signsOf(view, incident, { changesKnown, peopleActed });
  return { ...incident, signs, notKnown: notKnownOf(view, signs) };
}

function signsOf(
  view: IncidentView,
  incident: Omit<ObservedIncident, 'signs' | 'notKnown'>,
  { changesKnown, peopleActed }: { changesKnown: boolean; peopleActed: boolean },
): Sign[] {
  const { wouldHave, notDone, alertEndedAfterMs, firstChangeAfterMs } = incident;
  const open = view.milestones.resolved === undefined;
  const falsePositive = view.outcome === 'false-positive';
  const holds: Record<Sign, boolean> = {
    'would-contain': incident.containAfterMs !== undefined,
    'would-plan-rollback': wouldHave.some(({ kind }) => kind === 'rollback'),
    // While it is open, something may still come.
    'would-do-nothing': !open && wouldHave.every(({ kind }) => kind === 'follow-up'),
    'condition-unknown':
      notDone.some(({ why }) => why === 'condition-unknown') ||
      wouldHave.some(({ unknown }) => unknown !== undefined),
    'harm-rate-not-measured':
      view.lastHarmRate === undefined && view.steps.some(({ uses }) => uses === 'divert'),
    'target-changed': firstChangeAfterMs !== undefined,
    'changes-not-known': !changesKnown && view.target !== undefined,
    'ended-by-itself':
      !open &&
      !falsePositive &&
      alertEndedAfterMs !== undefined &&
      changesKnown &&
      firstChangeAfterMs === undefined &&
      !peopleActed,
    'false-positive': falsePositive,
    'still-open': open,
  };
  return SIGNS.filter((sign) => holds[sign]);
}

function notKnownOf(view: IncidentView, signs: readonly Sign[]): string[] {
  const known = new Set(signs);
  const lines: string[] = [];
  if (view.target === undefined)
    lines.push('There was no usable target, so nothing could have been done to it.');
  if (known.has('harm-rate-not-measured')) {
    lines.push('No harm rate was measured, so how much harm there was is not known.');
  }
  if (known.has('changes-not-known')) {
    lines.push(
      known.has('still-open')
        ? 'What was changed on the target is read when the incident ends.'
        : 'What was changed on the target could not be read.',
    );
  }
  if (known.has('ended-by-itself')) {
    lines.push(
      'No change of the target was seen and nobody reported one: the alert may have ended by itself (acting would have been needless), or something else ended it.',
    );
  }
  return lines;
}

function totalsOf(incidents: readonly ObservedIncident[]): ObserveTotals {
  const has = (incident: ObservedIncident, sign: Sign) => incident.signs.includes(sign);
  const contained = incidents.filter(({ containAfterMs }) => containAfterMs !== undefined);
  const both = contained.filter(({ firstChangeAfterMs }) => firstChangeAfterMs !== undefined);
  const signs = Object.fromEntries(
    SIGNS.map((sign) => [sign, incidents.filter((incident) => has(incident, sign)).length]),
  ) as Record<Sign, number>;
  return {
    incidents: incidents.length,
    signs,
    containedFalsePositives: contained.filter((incident) => has(incident, 'false-positive')).length,
    containedEndedByItself: contained.filter((incident) => has(incident, 'ended-by-itself')).length,
    toContainment: median(contained.map(({ containAfterMs }) => containAfterMs)),
    toFirstChange: median(contained.map(({ firstChangeAfterMs }) => firstChangeAfterMs)),
    toAlertEnd: median(contained.map(({ alertEndedAfterMs }) => alertEndedAfterMs)),
    containedBeforeFirstChange: {
      count: both.filter(
        ({ containAfterMs = 0, firstChangeAfterMs = 0 }) => containAfterMs < firstChangeAfterMs,
      ).length,
      of: both.length,
    },
  };
}

/** Over what is known; of an even number the mean of the two in the middle. */
function median(values: readonly (number | undefined)[]): Median {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const upper = known[Math.floor(known.length / 2)];
  const lower = known[Math.ceil(known.length / 2) - 1];
  if (upper === undefined || lower === undefined) return { count: 0 };
  return { medianMs: (lower + upper) / 2, count: known.length };
}
