import type { IncidentView, Milestone, TimelineEntry } from '../incident.ts';

export type MarkKind = 'alert' | 'divert' | 'rollback' | 'half-open' | 'verdict' | 'restored';

/** A moment of the incident that is marked on a plot. */
export interface Mark {
  kind: MarkKind;
  /** Epoch ms. */
  atMs: number;
  /** A few words of ours. */
  label: string;
}

/** An incident of several rounds has a handful each; more could not be told apart on a plot. */
const MAX_MARKS = 24;
const VERDICTS: readonly unknown[] = ['recovered', 'not-recovered', 'insufficient-evidence'];

/** Alert, divert, rollback, half-open, verdict and restore of all rounds, in the order of time. */
export function marksOf(view: Pick<IncidentView, 'milestones' | 'timeline'>): Mark[] {
  const { timeline } = view;
  const at = (kind: MarkKind, label: string, times: readonly number[]): Mark[] =>
    times.map((atMs) => ({ kind, atMs, label }));
  const opened = breakerTimes(timeline, 'open', /^breaker open/i);
  const verdicts = timeline.flatMap((entry): Mark[] => {
    const outcome = entry.data?.outcome;
    if (entry.kind !== 'verification' || !VERDICTS.includes(outcome)) return [];
    return [{ kind: 'verdict', atMs: entry.atMs, label: `verdict: ${outcome}` }];
  });
  const marks = [
    ...at('alert', 'alert', milestoneTimes(view, 'triggered')),
    ...at('divert', 'diverted', opened.length > 0 ? opened : milestoneTimes(view, 'contained')),
    ...at('rollback', 'rolled back', milestoneTimes(view, 'rolledBack')),
    ...at('half-open', 'half-open', breakerTimes(timeline, 'half-open', /^half-open/i)),
    ...(verdicts.length > 0
      ? verdicts
      : at('verdict', 'verdict: recovered', milestoneTimes(view, 'recovered'))),
    ...at('restored', 'restored', milestoneTimes(view, 'restored')),
  ];
  return marks
    .filter(({ atMs }) => Number.isFinite(atMs))
    .sort((a, b) => a.atMs - b.atMs)
    .slice(0, MAX_MARKS);
}

/** Of every round: milestones are taken back in a new round, the timeline keeps them; it may have lost its oldest entries. */
function milestoneTimes(
  { milestones, timeline }: Pick<IncidentView, 'milestones' | 'timeline'>,
  name: Milestone,
) {
  const reached = milestones[name];
  const recorded = timeline
    .filter((entry) => entry.kind === 'milestone' && entry.text === name)
    .map(({ atMs }) => atMs);
  return [...new Set(reached === undefined ? recorded : [...recorded, reached])];
}

/** When the breaker changed: entries say so in their data; without it, by the words that they begin with. */
function breakerTimes(timeline: readonly TimelineEntry[], state: string, words: RegExp): number[] {
  return timeline
    .filter(
      ({ kind, text, data }) =>
        kind === 'breaker' && (data?.breaker === undefined ? words.test(text) : data.breaker === state),
    )
    .map(({ atMs }) => atMs);
}
