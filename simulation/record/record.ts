import { Document, isNode } from 'yaml';
import {
  ENDED_STEP,
  type IncidentView,
  MILESTONES,
  type TimelineEntry,
  type TimelineKind,
} from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { API_VERSION } from '../../runbooks/schema.ts';
import { recordedPeople } from './people.ts';
import { offset } from './text.ts';
import { recordedVendors } from './vendors.ts';
import { recordedWorld } from './world.ts';

/** Written by a person in Git: longer names are cut by nobody. */
const MAX_NAME_LENGTH = 100;
/** YAML lines are not folded: texts stay searchable. */
const NO_FOLDING = 0;

/** The next version may take longer than the incident did. */
const ROOM_MS = 24 * 3_600_000;
const LEAST_MS = 7 * ROOM_MS;

export interface RecordInput {
  view: IncidentView;
  /** All of it; the view may hold only the newest entries. */
  timeline: readonly TimelineEntry[];
  /** The runbook that the scenario will be for; it may be a later version than the incident's. */
  runbook: CompiledRunbook;
  /** Its path from where the scenario will be. */
  runbookPath: string;
}

/**
 * A scenario (YAML) of an incident that happened: its alerts, what people did, the world as far as it was recorded, and
 * what came of it as expectations. What had to be assumed has a comment that says so.
 */
export function recordScenario({ view, timeline, runbook, runbookPath }: RecordInput): string {
  const startMs = Math.min(
    view.milestones.triggered ?? Number.POSITIVE_INFINITY,
    ...view.alerts.map(({ firstReceivedAtMs }) => firstReceivedAtMs),
  );
  const { world, comments } = recordedWorld(view, timeline, runbook, startMs);
  const people = recordedPeople(timeline, startMs);
  const vendors = recordedVendors(view, timeline, runbook, startMs);
  const spec = {
    runbook: runbookPath,
    startsAt: new Date(startMs).toISOString(),
    alerts: view.alerts.map(({ labels, summary, firstReceivedAtMs, resolvedAtMs }) => ({
      at: offset(firstReceivedAtMs - startMs),
      labels,
      ...(summary === '' ? {} : { annotations: { summary } }),
      ...(resolvedAtMs === undefined ? {} : { resolved: { at: offset(resolvedAtMs - startMs) } }),
    })),
    world,
    ...(people.length === 0 ? {} : { people }),
    ...(vendors.length === 0 ? {} : { vendors }),
    until: offset(Math.max(LEAST_MS, (timeline.at(-1)?.atMs ?? startMs) - startMs + ROOM_MS)),
    expect: expectationsOf(view, timeline),
  };
  const document = new Document({
    apiVersion: API_VERSION,
    kind: 'Scenario',
    metadata: {
      name: `recorded-${view.incidentId}`.toLowerCase().slice(0, MAX_NAME_LENGTH),
      description: `What happened in ${view.incidentId}, under ${view.runbook.name} v${view.runbook.version}.`,
    },
    spec,
  });
  document.commentBefore = ' Recorded. Assumed values have a comment: replace them by what you know.';
  for (const { path, text } of comments) {
    const node = document.getIn(['spec', 'world', ...path], true);
    if (isNode(node)) node.comment = ` ${text}`;
  }
  return document.toString({ lineWidth: NO_FOLDING });
}

/** What came of it: the next version of the runbook either does the same, or the difference is what was wanted. */
function expectationsOf(view: IncidentView, timeline: readonly TimelineEntry[]): object {
  const steps = view.steps.filter(({ status }) => ENDED_STEP.has(status));
  const wouldHave = steps.filter(({ status }) => status === 'would-have').map(({ id }) => id);
  return {
    state: view.state,
    outcome: view.outcome ?? 'none',
    severity: view.severity,
    steps: Object.fromEntries(steps.map(({ id, status }) => [id, status])),
    milestones: Object.fromEntries(
      MILESTONES.map((name) => [name, view.milestones[name] === undefined ? 'never' : {}]),
    ),
    changes: changesOf(timeline),
    ...(wouldHave.length === 0 ? {} : { wouldHave }),
  };
}

/** Changes of production by the texts of the steps that made them (runbooks/steps/<type>/run.ts). */
const CHANGES: Partial<Record<TimelineKind, [RegExp, string][]>> = {
  breaker: [
    [/^Breaker open:/, 'divert'],
    [/^Half-open:/, 'half-open'],
    [/^All traffic is back on the target/, 'restore'],
    [/^The share was taken away again/, 'divert'],
  ],
  rollback: [[/^Rolled back;/, 'rollback']],
  // A rollback whose rollout did not end well is told by its failure only.
  step: [[/^\S+: failed \(The rollback was applied, but/, 'rollback']],
  decision: [[/^forces the breaker: (open|closed)$/, 'override']],
};

function changesOf(timeline: readonly TimelineEntry[]): string[] {
  return timeline.flatMap(({ kind, text }) => {
    const call = kind === 'evidence' ? /^([A-Z]+) ([^/\s]+)\S* was answered /.exec(text) : null;
    if (call !== null) return call[1] === 'GET' ? [] : [`http ${call[2]}`];
    const found = CHANGES[kind]?.find(([pattern]) => pattern.test(text));
    return found ? [found[1]] : [];
  });
}
