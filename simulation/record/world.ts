import type { MetricReading } from '../../activities/contract.ts';
import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { COUNTERS } from '../world/traffic.ts';
import { decidedIn } from './decided.ts';
import { explain, type Solution } from './solve.ts';
import { offset } from './text.ts';

/** Where nothing was recorded that tells it. */
const ASSUMED_REQUESTS_PER_SECOND = 40;
const ASSUMED_HARM_RATE = 0.1;

/** A part of a scenario with what is to be said of it: recorded, or assumed. */
export interface RecordedWorld {
  world: Record<string, unknown>;
  /** Comments by the path of the value that they are about. */
  comments: { path: (string | number)[]; text: string }[];
}

/** What the world must have been like, as far as the incident tells; the rest is assumed, and says so. */
export function recordedWorld(
  view: IncidentView,
  timeline: readonly TimelineEntry[],
  runbook: CompiledRunbook,
  startMs: number,
): RecordedWorld {
  const comments: RecordedWorld['comments'] = [];
  const world: Record<string, unknown> = {
    target: { ...(existed(timeline) ? {} : { exists: false }), mode: view.mode },
  };

  const solution = explain(decidedIn(view, timeline, runbook, startMs), view, runbook);
  if (solution.riskTier !== undefined)
    world.target = { ...(world.target as object), riskTier: solution.riskTier };
  if (view.target)
    world.revisions = revisionsOf(view, timeline, harmOf(solution, view, runbook, startMs), comments);
  world.traffic = { requestsPerSecond: requestsPerSecond(view, comments) };
  const problems = blockedBecause(timeline);
  if (problems !== undefined) world.fallback = { problems: [problems] };
  const diversion = diversionOf(view, timeline);
  if (diversion) world.diversion = diversion;
  const rollout = view.rollback?.rollout;
  if (rollout) world.rollout = { outcome: rollout.outcome, takes: offset(rollout.seconds * 1_000) };
  const metrics = metricsOfIncident(solution, timeline, runbook, startMs, comments);
  if (Object.keys(metrics).length > 0) world.metrics = metrics;
  const changes = changesOf(view, startMs);
  if (changes.length > 0) world.changes = changes;
  if (view.samples) world.samples = { count: view.samples.count };
  const endpoints = endpointsOf(view, runbook);
  if (Object.keys(endpoints).length > 0) world.endpoints = endpoints;
  return { world, comments };
}

function existed(timeline: readonly TimelineEntry[]): boolean {
  return !timeline.some(
    ({ kind, text }) => kind === 'needs-human' && text.endsWith('does not exist in the cluster'),
  );
}

interface Harm {
  points: { at: string; value: number }[];
  /** What is known of it, for the comment. */
  said: string;
}

/** Harm rates of the revision that ran, from what was decided on them. */
function harmOf({ metrics }: Solution, view: IncidentView, runbook: CompiledRunbook, startMs: number): Harm {
  const name = Object.keys(runbook.metrics).find((metric) => isHarmRate(metric, runbook));
  const spec = name === undefined ? undefined : runbook.metrics[name];
  const windowMs = spec?.type === 'ratio' ? spec.windowMs : 0;
  const known = (name === undefined ? undefined : metrics.get(name)) ?? [];
  // A rate over a window has to have been there for as long as the window when something is decided on it.
  const points = known.flatMap(({ atMs, value }, index) =>
    value === 'unknown'
      ? []
      : [{ at: offset(index === 0 ? 0 : Math.max(1, atMs - windowMs - startMs)), value: round(value) }],
  );
  const { verification, rollback, lastHarmRate } = view;
  const verify = view.steps.find(({ uses }) => uses === 'verify');
  if (points.length === 0) points.push({ at: '0s', value: round(lastHarmRate ?? ASSUMED_HARM_RATE) });
  if (!rollback && verification && verification.classified > 0 && verify?.startedAtMs !== undefined) {
    const value = round(verification.harmful / verification.classified);
    points.push({ at: offset(verify.startedAtMs - startMs), value });
  }
  const last =
    lastHarmRate === undefined ? 'none was measured' : `the last one measured was ${round(lastHarmRate)}`;
  return { points, said: `assumed, to fit what was decided: rates are not recorded over time; ${last}` };
}

const PLANNED = /^Roll \S+ \S+ back from revision (\d+) \((.*)\) to revision (\d+) \((.*)\): planned$/s;

/** Revisions of the rollback that was made, or at least planned. */
function revisionsOf(
  { rollback, verification, target }: IncidentView,
  timeline: readonly TimelineEntry[],
  { points, said }: Harm,
  comments: RecordedWorld['comments'],
): object[] {
  const harmRate = points.length === 1 ? points[0]?.value : points;
  const planned = timeline.map(({ kind, text }) => (kind === 'rollback' ? PLANNED.exec(text) : null));
  const [, fromRevision, fromImage, toRevision, toImage] = planned.find((found) => found !== null) ?? [];
  const path = (index: number) => ['revisions', index, 'harmRate'];
  if (fromRevision === undefined || toRevision === undefined || fromRevision === toRevision) {
    comments.push({ path: path(0), text: said });
    const image = fromImage ?? `${target?.name ?? 'model'}:running`;
    return [{ revision: Number(fromRevision ?? 1), image, harmRate }];
  }
  const proved = rollback && verification && verification.classified > 0;
  const after = proved ? round(verification.harmful / verification.classified) : 0;
  const from = { revision: Number(fromRevision), image: fromImage, harmRate };
  const to = { revision: Number(toRevision), image: toImage, harmRate: after, known: 'good' };
  const revisions = [from, to].sort((a, b) => b.revision - a.revision);
  comments.push({ path: path(revisions.indexOf(from)), text: said });
  if (!proved)
    comments.push({ path: path(revisions.indexOf(to)), text: 'assumed: nothing was measured of it' });
  return revisions;
}

function isHarmRate(name: string, { metrics }: CompiledRunbook): boolean {
  const spec = metrics[name];
  return spec?.type === 'ratio' && spec.of[0] === 'harmful';
}

function requestsPerSecond(view: IncidentView, comments: RecordedWorld['comments']): number {
  const { verification } = view;
  const path = ['traffic', 'requestsPerSecond'];
  if (verification && verification.classified > 0 && verification.seconds > 0) {
    comments.push({ path, text: 'by what the verification counted' });
    return Math.max(1, Math.round(verification.classified / verification.seconds / verification.share));
  }
  comments.push({ path, text: 'assumed: traffic is not recorded' });
  return ASSUMED_REQUESTS_PER_SECOND;
}

function blockedBecause(timeline: readonly TimelineEntry[]): string | undefined {
  for (const { text } of timeline) {
    const why = /^Traffic is blocked instead of diverted to \S+: (.*)$/s.exec(text)?.[1];
    if (why !== undefined) return why;
  }
  return undefined;
}

function diversionOf(view: IncidentView, timeline: readonly TimelineEntry[]): object | undefined {
  const opened = timeline.find(({ text }) => text.startsWith('Breaker open:'));
  if (!opened) return undefined;
  const { contained } = view.milestones;
  if (contained !== undefined)
    return { effect: 'measured', takes: offset(Math.max(0, contained - opened.atMs)) };
  const failed = view.steps.some(
    ({ uses, status, reason }) =>
      uses === 'divert' && status === 'failed' && reason?.includes('effect was not seen'),
  );
  return failed ? { effect: 'not-seen' } : undefined;
}

/** Readings that measure steps kept, and values that explain what was decided. */
function metricsOfIncident(
  solution: Solution,
  timeline: readonly TimelineEntry[],
  runbook: CompiledRunbook,
  startMs: number,
  comments: RecordedWorld['comments'],
): Record<string, unknown> {
  const read = new Map<string, { at: string; value: unknown }[]>();
  for (const { atMs, data } of timeline) {
    const readings = data?.readings as Record<string, MetricReading> | undefined;
    for (const [name, { value }] of Object.entries(readings ?? {})) {
      if (!Object.hasOwn(runbook.metrics, name) || isDerived(name, runbook)) continue;
      read.set(name, [...(read.get(name) ?? []), { at: offset(atMs - startMs), value: value ?? 'unknown' }]);
    }
  }
  const metrics: Record<string, unknown> = Object.fromEntries(read);
  for (const [name, points] of solution.metrics) {
    const unknown = points.some(({ value }) => value === 'unknown');
    // The harm rate follows from the revision's, unless it could not be measured.
    if (isDerived(name, runbook) && !unknown) continue;
    const explained = points.map(({ atMs, value }, index) => ({
      at: offset(index === 0 ? 0 : atMs - startMs),
      value,
    }));
    if (read.has(name)) continue;
    metrics[name] = explained.length === 1 ? explained[0]?.value : explained;
    comments.push({ path: ['metrics', name], text: 'assumed, to fit what was decided' });
  }
  return metrics;
}

/** Follows from the simulated traffic. */
function isDerived(name: string, runbook: CompiledRunbook): boolean {
  const spec = runbook.metrics[name];
  if (spec?.type === 'ratio') return spec.of.every((part) => isDerived(part, runbook));
  return COUNTERS.some((counter) => counter === name);
}

function changesOf({ steps }: IncidentView, startMs: number): object[] {
  const lines = steps.find(({ uses }) => uses === 'changes')?.outputs?.changes;
  if (!Array.isArray(lines)) return [];
  return lines.flatMap((line: unknown) => {
    const [, at, what] = /^(\S+Z) (.+)$/s.exec(String(line)) ?? [];
    const atMs = Date.parse(at ?? '');
    return what === undefined || Number.isNaN(atMs) ? [] : [{ at: offset(atMs - startMs), what }];
  });
}

function endpointsOf({ steps }: IncidentView, runbook: CompiledRunbook): Record<string, unknown> {
  const endpoints: Record<string, object[]> = {};
  const inTime = [...steps].sort((a, b) => (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0));
  for (const { id, uses, outputs, reason } of inTime) {
    const endpoint = runbook.steps.find((step) => step.id === id)?.with.endpoint;
    if (uses !== 'http' || typeof endpoint !== 'string') continue;
    const status = outputs?.status ?? Number(/was answered (\d{3})/.exec(reason ?? '')?.[1]);
    if (typeof status !== 'number' || Number.isNaN(status)) continue;
    const body = outputs?.body;
    const answer = { status, ...(body === null || body === undefined ? {} : { json: body }) };
    endpoints[endpoint] = [...(endpoints[endpoint] ?? []), answer];
  }
  return endpoints;
}

/** Four digits tell a rate; more would look as if it were known that well. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
