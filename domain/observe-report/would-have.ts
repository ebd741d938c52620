/** What Firebreak recorded instead of doing it, and what it would have left alone, from an incident's timeline and steps. */
import type { IncidentView, StepState, TimelineEntry } from '../incident.ts';
import { truncate } from '../plain-text.ts';
import type { NotDone, WouldHave } from './types.ts';

/** A plan's summary or a step's reason on one line of a report. */
const MAX_LINE_LENGTH = 300;
/** Step types whose absence is told: those that contain or repair. Others follow them, or change no production. */
const ACTING: ReadonlySet<string> = new Set(['divert', 'rollback']);
const FOLLOWING: ReadonlySet<string> = new Set(['verify', 'restore']);
/** How the engine begins the reason of a step whose condition could not be measured, or did not hold. */
const UNKNOWN_PREFIX = 'unknown: ';
const NOT_MET_PREFIX = 'not the case: ';
/** How it ends what had not started, or whose condition had not held, when the incident was resolved. */
const ENDED_REASON = 'the incident was resolved';

/** The would-haves in order; those that would have followed a change that was not made have no time. */
export function readWouldHaves(view: IncidentView, triggeredAtMs: number): WouldHave[] {
  return view.timeline
    .filter((entry) => entry.kind === 'would-have')
    .map((entry) => readWouldHave(entry, view.steps, triggeredAtMs));
}

function readWouldHave(entry: TimelineEntry, steps: readonly StepState[], triggeredAtMs: number): WouldHave {
  const data = entry.data ?? {};
  // Entries without data are from before they had any: `<step>: would have run[: <summary>]`.
  const step = textOf(data.step) ?? entry.text.split(':', 1)[0] ?? '';
  const uses = textOf(data.uses) ?? steps.find(({ id }) => id === step)?.uses ?? 'unknown';
  const summary = textOf(data.summary) ?? /: would have run: (.*)$/s.exec(entry.text)?.[1];
  const base = { step, uses, afterMs: entry.atMs - triggeredAtMs, unknown: textOf(data.unknown) };
  if (uses === 'divert') {
    // A diversion makes no plan of its own: where there is one, people are asked first, and it would not have begun.
    const asks = summary !== undefined;
    const fallback = textOf((data.with as { to?: unknown } | undefined)?.to);
    const verbs = asks ? ['divert', 'block'] : ['diverted', 'blocked'];
    const where =
      fallback === undefined ? `${verbs[0]} the traffic` : `${verbs[0]} all traffic to ${fallback}`;
    const text = fallback === 'block' ? `${verbs[1]} all traffic` : where;
    const to = fallback === 'block' ? undefined : fallback;
    return asks
      ? { ...base, kind: 'ask-contain', text: `asked people to approve: ${text}`, fallback: to }
      : { ...base, kind: 'contain', text, fallback: to };
  }
  if (uses === 'rollback') {
    const [fromRevision, toRevision] = [numberOf(data.fromRevision), numberOf(data.toRevision)];
    const revisions =
      fromRevision === undefined || toRevision === undefined
        ? 'a rollback'
        : `a rollback from revision ${fromRevision} to ${toRevision}`;
    const text = `asked people to approve: ${truncate(summary ?? revisions, MAX_LINE_LENGTH)}`;
    return { ...base, kind: 'rollback', text, planHash: textOf(data.planHash), fromRevision, toRevision };
  }
  if (FOLLOWING.has(uses)) {
    const text =
      uses === 'verify' ? 'measured whether it helped' : 'let traffic back, only once that was proved';
    return { ...base, afterMs: undefined, kind: 'follow-up', text };
  }
  const text = `run step ${step} (${uses})${summary ? `: ${truncate(summary, MAX_LINE_LENGTH)}` : ''}`;
  return { ...base, kind: 'other', text };
}

/** Diversions and rollbacks of the runbook that would not have happened, and why as far as the record tells. */
export function readNotDone(view: IncidentView): NotDone[] {
  return view.steps
    .filter(({ uses, status }) => ACTING.has(uses) && status !== 'would-have')
    .map((step) => ({ step: step.id, uses: step.uses, ...reasonOf(step) }));
}

function reasonOf({ status, reason = '' }: StepState): Pick<NotDone, 'why' | 'reason'> {
  const said = truncate(reason, MAX_LINE_LENGTH);
  if (reason.startsWith(UNKNOWN_PREFIX)) {
    return {
      why: 'condition-unknown',
      reason: `its condition could not be measured (${said.slice(UNKNOWN_PREFIX.length)})`,
    };
  }
  if (reason.startsWith(NOT_MET_PREFIX)) {
    const condition = said.slice(NOT_MET_PREFIX.length);
    return { why: 'condition-not-met', reason: `its condition did not hold (${condition})` };
  }
  if (status === 'failed' || status === 'rejected') return { why: 'failed', reason: said };
  if (status === 'skipped') {
    const ended = reason === ENDED_REASON;
    return { why: 'skipped', reason: ended ? 'it had not started when the incident ended' : said };
  }
  return {
    why: 'not-yet',
    reason: status === 'watching' ? 'its condition has not held so far' : `it is ${status}`,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}
