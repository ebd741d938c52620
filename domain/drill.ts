import type { Target } from './target.ts';

/** An incident that is practised: people are really paged and asked, and nothing is changed unless it was asked for. */
export interface Drill {
  /** Person who began it; absent: an alert that carries the label did. */
  by?: string;
  /** Send traffic to the fallback for real, and give it back at the end. */
  divert: boolean;
  /** It ends by itself by then, whoever has answered. */
  forMs: number;
}

/** An alert with this label (any value but empty and `false`) is a drill: each value is one of its own. */
export const DRILL_LABEL = 'firebreak_drill';
/** Long enough for a person to be woken, too short to be forgotten. */
export const DRILL_FOR_MS = 15 * 60_000;
export const MIN_DRILL_MS = 60_000;
export const MAX_DRILL_MS = 2 * 3_600_000;

/** Steps that are the point of a drill: they reach people, or only look. */
const REAL_IN_DRILLS: ReadonlySet<string> = new Set([
  'page',
  'notify',
  'measure',
  'changes',
  'snapshot',
  'wait',
  'approval',
  'postmortem',
]);

/** Whether a step of this type does in a drill what it does otherwise. */
export function runsInDrill(uses: string, drill: Drill): boolean {
  return REAL_IN_DRILLS.has(uses) || (uses === 'divert' && drill.divert);
}

/** The drill that an alert's labels ask for: one that changes nothing. */
export function drillOf(labels: Readonly<Record<string, string>>): { id: string; drill: Drill } | undefined {
  const id = (labels[DRILL_LABEL] ?? '').trim();
  if (id === '' || id.toLowerCase() === 'false') return undefined;
  return { id, drill: { divert: false, forMs: DRILL_FOR_MS } };
}

interface DrillStep {
  id: string;
  uses: string;
  /** It does what it does otherwise; else people are asked and what can be tried without a change is tried. */
  real: boolean;
  /** What it does, in words. */
  what: string;
  /** Groups that are asked to approve. */
  asks?: string[];
}

/** What a drill would do: shown before it begins. */
export interface DrillPlan {
  target: Target;
  runbook: { name: string; version: number; owner: string };
  drill: Drill;
  steps: DrillStep[];
}
