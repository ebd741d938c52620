/** What people, and others than Firebreak, did: only what was seen. */
import type { IncidentView, TimelineEntry } from '../incident.ts';
import { truncate } from '../plain-text.ts';
import type { TargetChange } from '../target-change.ts';
import type { Done } from './types.ts';

/** A note, or a reason, on one line of a report; the timeline has all of it. */
const MAX_WORDS_LENGTH = 300;
const MAX_CHANGE_LENGTH = 300;
const FIREBREAK = 'firebreak';
/** Decisions that change nothing outside the incident itself. */
const PASSIVE: readonly RegExp[] = [/^acknowledged$/, /^set severity /, /^made .* incident commander$/s];

interface WhatWasDone {
  done: Done[];
  /** The target was looked at after the end, so a change that is not listed was not seen. */
  changesKnown: boolean;
  /** A person did or wrote more than to acknowledge and to name severity or commander. */
  peopleActed: boolean;
}

export function readDone(view: IncidentView, triggeredAtMs: number): WhatWasDone {
  const done: Done[] = [];
  let changesKnown = false;
  let peopleActed = false;
  for (const entry of view.timeline) {
    const changes = changesIn(entry);
    if (changes !== undefined) {
      changesKnown = true;
      for (const { atMs, what } of changes) {
        const text = truncate(what, MAX_CHANGE_LENGTH);
        done.push({ afterMs: atMs - triggeredAtMs, kind: 'target-change', text });
      }
    }
    if ((entry.kind !== 'decision' && entry.kind !== 'note') || entry.actor === FIREBREAK) continue;
    const { text, actor: who, kind } = entry;
    const words = wordsOf(entry);
    done.push({
      afterMs: entry.atMs - triggeredAtMs,
      kind,
      text,
      who,
      ...(words === undefined ? {} : { words }),
    });
    peopleActed ||= !PASSIVE.some((pattern) => pattern.test(text));
  }
  const alertEndedAtMs = alertsEndedAtMs(view);
  if (alertEndedAtMs !== undefined) {
    done.push({
      afterMs: alertEndedAtMs - triggeredAtMs,
      kind: 'alert-ended',
      text: 'no alert fires any more',
    });
  }
  return { done: done.sort((a, b) => a.afterMs - b.afterMs), changesKnown, peopleActed };
}

/** When the last of the alerts was reported as resolved; undefined while one fires. */
function alertsEndedAtMs({ alerts }: IncidentView): number | undefined {
  const ends = alerts.map(({ status, resolvedAtMs }) => (status === 'resolved' ? resolvedAtMs : undefined));
  const known = ends.filter((end) => end !== undefined);
  return known.length === 0 || known.length < ends.length ? undefined : Math.max(...known);
}

/** Written by workflows/incident/observed.ts. */
function changesIn({ kind, data }: TimelineEntry): TargetChange[] | undefined {
  if (kind !== 'evidence' || !Array.isArray(data?.targetChanges)) return undefined;
  return data.targetChanges.filter(isChange);
}

function isChange(value: unknown): value is TargetChange {
  const { atMs, what } = (value ?? {}) as Partial<TargetChange>;
  return typeof atMs === 'number' && Number.isFinite(atMs) && typeof what === 'string';
}

function wordsOf({ data }: TimelineEntry): string | undefined {
  const words = data?.reason ?? data?.text;
  return typeof words === 'string' && words.trim() !== '' ? truncate(words, MAX_WORDS_LENGTH) : undefined;
}
