import type { TimelineEntry } from '../../domain/incident.ts';
import type { PersonEvent } from '../scenario/schema.ts';
import { offset } from './text.ts';

/** What a person did, as a scenario writes it. */
export interface RecordedDeed {
  at?: string;
  after?: string;
  occurrence?: number;
  wait?: string;
  person: string;
  does: PersonEvent['does'];
  step?: string;
  reason?: string;
  breakGlass?: true;
  [field: string]: unknown;
}

/** Texts that the incident writes of what people do (workflows/incident/{handlers,state}.ts). */
const DEEDS: [RegExp, (found: RegExpExecArray, data: Record<string, unknown>) => Partial<RecordedDeed>][] = [
  [/^acknowledged$/, () => ({ does: 'acknowledge' })],
  [
    /^approved step (\S+?)( alone, by break-glass)?$/,
    ([, step, alone]) => ({ does: 'approve', step, ...(alone ? { breakGlass: true as const } : {}) }),
  ],
  [/^rejected step (\S+)$/, ([, step]) => ({ does: 'reject', step })],
  [
    /^retries step (\S+)$/,
    ([, step], { toRevision }) => ({
      does: 'retry',
      step,
      ...(typeof toRevision === 'number' ? { toRevision } : {}),
    }),
  ],
  [/^skipped step (\S+)$/, ([, step]) => ({ does: 'skip', step })],
  [/^stopped the runbook/, () => ({ does: 'abort' })],
  [
    /^forces the breaker: (\S+)$/,
    ([, force], { forMs }) => ({
      does: 'override',
      force,
      ...(typeof forMs === 'number' ? { for: offset(forMs) } : {}),
    }),
  ],
  [/^added a note$/, (_, { text }) => ({ does: 'note', reason: text as string })],
  [/^escalated$/, () => ({ does: 'escalate' })],
  [/^updated the stakeholders$/, (_, { text }) => ({ does: 'update', reason: text as string })],
  [/^says this is a false positive$/, () => ({ does: 'false-positive' })],
  [/^resolved the incident$/, () => ({ does: 'resolve' })],
  [/^set severity (SEV[1-4])$/, ([, severity]) => ({ does: 'severity', severity })],
  [/^made (\S+) incident commander$/, ([, commander]) => ({ does: 'commander', commander })],
];

/**
 * What people did: decisions by when they were asked for, so that they fit a runbook that asks at another time; the rest by
 * the time at which it was done.
 */
export function recordedPeople(timeline: readonly TimelineEntry[], startMs: number): RecordedDeed[] {
  const deeds: RecordedDeed[] = [];
  const asked = new Map<string, { atMs: number; times: number }>();
  for (const entry of timeline) {
    const ask =
      entry.kind === 'decision' ? /^Approval of (\S+) asked from /.exec(entry.text)?.[1] : undefined;
    if (ask !== undefined) asked.set(ask, { atMs: entry.atMs, times: (asked.get(ask)?.times ?? 0) + 1 });
    if (entry.actor === 'firebreak' || isByApproving(entry, timeline)) continue;
    const data = entry.data ?? {};
    for (const [pattern, read] of DEEDS) {
      const found = pattern.exec(entry.text);
      if (found === null) continue;
      const deed = read(found, data);
      const question =
        deed.does === 'approve' || deed.does === 'reject' ? asked.get(deed.step ?? '') : undefined;
      deeds.push({
        ...(question
          ? {
              after: `asked-${deed.step}`,
              ...(question.times > 1 ? { occurrence: question.times } : {}),
              wait: offset(entry.atMs - question.atMs),
            }
          : { at: offset(entry.atMs - startMs) }),
        person: entry.actor,
        ...deed,
        ...(typeof data.reason === 'string' ? { reason: data.reason } : {}),
      } as RecordedDeed);
      break;
    }
  }
  return deeds;
}

/** Deciding acknowledges: that is no deed of its own. */
function isByApproving(entry: TimelineEntry, timeline: readonly TimelineEntry[]): boolean {
  return (
    entry.text === 'acknowledged' &&
    timeline.some(
      ({ atMs, actor, text }) =>
        atMs === entry.atMs && actor === entry.actor && /^(approved|rejected) step /.test(text),
    )
  );
}
