import type { MetricReading } from '../../activities/contract.ts';
import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { EMPTY_CONTEXT, evaluateExpression, metricsOf } from '../../runbooks/expressions.ts';
import { COUNTERS } from '../world/traffic.ts';
import { offset } from './text.ts';

/** Where nothing was recorded that tells it. */
const ASSUMED_REQUESTS_PER_SECOND = 40;
const ASSUMED_HARM_RATE = 0.1;
/** Values tried for a metric of which only is known that the guards held. */
const CANDIDATES = [0, 0.01, 0.1, 0.5, 1, 10, 100, 10_000];

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

  const revisions = revisionsOf(view, runbook, comments);
  if (view.target) world.revisions = revisions;
  world.traffic = { requestsPerSecond: requestsPerSecond(view, comments) };
  const problems = blockedBecause(timeline);
  if (problems !== undefined) world.fallback = { problems: [problems] };
  const diversion = diversionOf(view, timeline);
  if (diversion) world.diversion = diversion;
  const rollout = view.rollback?.rollout;
  if (rollout) world.rollout = { outcome: rollout.outcome, takes: offset(rollout.seconds * 1_000) };
  const metrics = metricsOfIncident(view, timeline, runbook, startMs, comments);
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

function revisionsOf(
  { rollback, verification, lastHarmRate, target }: IncidentView,
  runbook: CompiledRunbook,
  comments: RecordedWorld['comments'],
): object[] {
  const limit = harmLimit(runbook);
  const known = Math.max(lastHarmRate ?? 0, limit === undefined ? 0 : Math.min(1, limit * 2));
  const harmRate = known > 0 ? round(known) : ASSUMED_HARM_RATE;
  const said =
    lastHarmRate === undefined ? 'none was measured' : `the last one measured was ${round(lastHarmRate)}`;
  comments.push({
    path: ['revisions', 0, 'harmRate'],
    text: `assumed: rates are not recorded over time; ${said}`,
  });
  if (!rollback) return [{ revision: 1, image: `${target?.name ?? 'model'}:running`, harmRate }];
  const { fromRevision, fromImage, toRevision, toImage } = rollback;
  const proved = verification && verification.classified > 0;
  const after = proved ? round(verification.harmful / verification.classified) : 0;
  const from = { revision: fromRevision, image: fromImage, harmRate };
  if (fromRevision === toRevision) return [from];
  if (!proved)
    comments.push({ path: ['revisions', 1, 'harmRate'], text: 'assumed: nothing was measured of it' });
  return [from, { revision: toRevision, image: toImage, harmRate: after, known: 'good' }].sort(
    (a, b) => b.revision - a.revision,
  );
}

/** The number that the runbook compares the harm rate with, where it stands there as one. */
function harmLimit({ steps, inputs }: CompiledRunbook): number | undefined {
  for (const { when, whenever } of steps) {
    const found = /metrics\.harmRate\s*>=?\s*(?:inputs\.(\w+)|([\d.]+))/.exec(when ?? whenever ?? '');
    if (!found) continue;
    const limit = Number(found[1] === undefined ? found[2] : inputs[found[1]]);
    if (Number.isFinite(limit)) return limit;
  }
  return undefined;
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

/** Readings that measure steps kept, and values with which guards hold that held. */
function metricsOfIncident(
  view: IncidentView,
  timeline: readonly TimelineEntry[],
  runbook: CompiledRunbook,
  startMs: number,
  comments: RecordedWorld['comments'],
): Record<string, unknown> {
  const metrics: Record<string, unknown> = {};
  const derived = (name: string): boolean => {
    const spec = runbook.metrics[name];
    if (spec?.type === 'ratio') return spec.of.every(derived);
    return COUNTERS.some((counter) => counter === name);
  };
  for (const { atMs, data } of timeline) {
    const readings = data?.readings as Record<string, MetricReading> | undefined;
    for (const [name, { value }] of Object.entries(readings ?? {})) {
      if (!Object.hasOwn(runbook.metrics, name) || derived(name)) continue;
      const points = (metrics[name] as object[] | undefined) ?? [];
      points.push({ at: offset(atMs - startMs), value: value ?? 'unknown' });
      metrics[name] = points;
    }
  }
  const guards = runbook.steps.flatMap(({ with: { guards } }) =>
    Array.isArray(guards) ? guards.filter((guard) => typeof guard === 'string') : [],
  );
  if (view.verification?.outcome !== 'recovered') return metrics;
  for (const name of metricsOf(guards)) {
    if (derived(name) || Object.hasOwn(metrics, name)) continue;
    const own = guards.filter((guard) => metricsOf([guard]).every((other) => other === name));
    const value = CANDIDATES.find((candidate) =>
      own.every((guard) => {
        const context = {
          ...EMPTY_CONTEXT,
          inputs: runbook.inputs,
          metrics: { [name]: { value: candidate } },
        };
        const result = evaluateExpression(guard, context);
        return result.known && result.value === true;
      }),
    );
    if (value === undefined) continue;
    metrics[name] = value;
    comments.push({ path: ['metrics', name], text: 'assumed: only that the guards held is recorded' });
  }
  return metrics;
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
  for (const { id, uses, outputs } of steps) {
    const endpoint = runbook.steps.find((step) => step.id === id)?.with.endpoint;
    if (uses !== 'http' || typeof endpoint !== 'string' || typeof outputs?.status !== 'number') continue;
    const { status, body } = outputs;
    endpoints[endpoint] = [
      ...(endpoints[endpoint] ?? []),
      { status, ...(body === null || body === undefined ? {} : { json: body }) },
    ];
  }
  return endpoints;
}

/** Four digits tell a rate; more would look as if it were known that well. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
