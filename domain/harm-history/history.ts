import type { IncidentView } from '../incident.ts';
import type { HarmHistory, HarmPoint, HarmReading } from './types.ts';

/**
 * A history travels in the incident's view, in chat and records: 240 pairs of numbers are some 2 kB, and more than one
 * bucket for every four pixels of a plot is noise.
 */
export const MAX_BUCKETS = 240;
/** Shown before the alert: what was normal, and when it stopped. Rules of alerts look back 5 to 10 minutes. */
const LEAD_MS = 15 * 60_000;
/** Shown after traffic is back: that it stayed well. */
const TAIL_MS = 15 * 60_000;
/** An alert may say that it fires since last year; beyond this the incident itself would be a sliver of the plot. */
const MAX_BEFORE_MS = 6 * 3_600_000;

/**
 * The range that a history of this incident covers: from before its alert to now, or to a while after traffic was given
 * back. Epoch ms, `fromMs` before `toMs`.
 */
export function historyWindow(
  view: Pick<IncidentView, 'alerts' | 'milestones'>,
  nowMs: number,
): { fromMs: number; toMs: number } {
  const triggeredMs = Math.min(view.milestones.triggered ?? nowMs, nowMs);
  const startedMs = view.alerts
    .map((alert) => Date.parse(alert.startsAt))
    .filter((atMs) => Number.isFinite(atMs) && atMs <= triggeredMs);
  const fromMs = Math.max(Math.min(triggeredMs, ...startedMs) - LEAD_MS, triggeredMs - MAX_BEFORE_MS);
  const restoredMs = view.milestones.restored;
  const endMs = restoredMs === undefined ? nowMs : Math.min(nowMs, restoredMs + TAIL_MS);
  return { fromMs, toMs: Math.max(endMs, triggeredMs) };
}

/** Less is rounding of differences; outputs are whole, or nearly so where a recording rule made the counter. */
const LEAST_COUNT = 1e-3;
const count = (value: number): number =>
  value >= LEAST_COUNT && value <= Number.MAX_SAFE_INTEGER ? value : 0;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/**
 * What an incident keeps of a reading: the new one, unless that shows fewer outputs than were seen before: Prometheus was
 * away then, or has dropped the samples by now.
 */
export function keepHistory(before: HarmHistory | undefined, reading: HarmReading): HarmHistory | undefined {
  const [first] = reading.points;
  if (first === undefined || !(reading.stepMs > 0)) return before;
  const points = reading.points.slice(-MAX_BUCKETS);
  const history: HarmHistory = {
    stepMs: reading.stepMs,
    startMs: points[0]?.atMs ?? first.atMs,
    harmful: points.map((point) => count(point.harmful)),
    classified: points.map((point) => count(point.classified)),
  };
  const seen = sum(history.classified);
  if (seen === 0 || (before !== undefined && seen < sum(before.classified))) return before;
  return history;
}

/** The last moment that a Date can hold (ECMAScript, "Time Values and Time Range"). */
const LAST_DATE_MS = 8.64e15;

/** The buckets of a history; what is no count in it (records may be old, or edited) counts as nothing. */
export function pointsOf(history: HarmHistory): HarmPoint[] {
  const { startMs, stepMs, harmful, classified } = history;
  if (!(startMs >= 0 && stepMs > 0 && startMs + stepMs * MAX_BUCKETS <= LAST_DATE_MS)) return [];
  return classified.slice(0, MAX_BUCKETS).map((amount, index) => ({
    atMs: startMs + index * stepMs,
    harmful: count(harmful[index] ?? 0),
    classified: count(amount),
  }));
}

/** Neighbouring buckets put together, so that there are at most `width` columns, all equally wide. */
export function columnsOf(history: HarmHistory, width: number): { stepMs: number; columns: HarmPoint[] } {
  const points = pointsOf(history);
  const merged = Math.max(1, Math.ceil(points.length / Math.max(1, width)));
  const columns: HarmPoint[] = [];
  for (let start = 0; start < points.length; start += merged) {
    const part = points.slice(start, start + merged);
    columns.push({
      atMs: part[0]?.atMs ?? 0,
      harmful: sum(part.map((point) => point.harmful)),
      classified: sum(part.map((point) => point.classified)),
    });
  }
  return { stepMs: history.stepMs * merged, columns };
}

/**
 * Harmful / classified, in [0, 1]; undefined where nothing was classified. The harmful counter may be an output ahead of
 * the other one at a scrape.
 */
export function rateOf({
  harmful,
  classified,
}: Pick<HarmPoint, 'harmful' | 'classified'>): number | undefined {
  return classified > 0 ? Math.min(1, harmful / classified) : undefined;
}
