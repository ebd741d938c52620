import { formatDuration } from '../domain/duration.ts';
import type { Milestone } from '../domain/incident.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import type { Expectations } from './scenario/schema.ts';
import type { SimulatedIncident, SimulatedRun } from './simulate.ts';
import { happeningsOf } from './triggers.ts';

/** One thing that was expected. */
export interface Check {
  /** `state`, `steps.divert`, `people`. */
  name: string;
  ok: boolean;
  expected: string;
  got: string;
}

const NOTHING = 'none';

/** Compares what came of a scenario with what it expects. What people could not do, or never came to, counts too. */
export function checkExpectations(
  expect: Expectations,
  run: SimulatedRun,
  runbook: CompiledRunbook,
): Check[] {
  const checks: Check[] = [];
  const incident = run.incidents.at(-1);
  if (incident === undefined) throw new Error('a simulated run has an incident');
  const { view } = incident;
  const same = (name: string, expected: string, got: string) =>
    void checks.push({ name, ok: expected === got, expected, got });

  if (run.end === 'restless') same('rest', 'an end', 'it never came to rest: too many activities');
  if (expect.state !== undefined) same('state', expect.state, view.state);
  if (expect.outcome !== undefined) same('outcome', expect.outcome, view.outcome ?? NOTHING);
  if (expect.severity !== undefined) same('severity', expect.severity, view.severity);
  for (const [id, status] of Object.entries(expect.steps ?? {})) {
    const step = view.steps.find((other) => other.id === id);
    const reason = step?.reason === undefined ? '' : ` (${step.reason})`;
    const got = step?.status ?? NOTHING;
    checks.push({
      name: `steps.${id}`,
      ok: got === status,
      expected: status,
      got: got === status ? got : `${got}${reason}`,
    });
  }
  for (const [name, wanted] of Object.entries(expect.milestones ?? {})) {
    if (wanted !== undefined)
      checks.push(checkMilestone(name as Milestone, wanted, view.milestones, run.startMs));
  }
  if (expect.breaker !== undefined) same('breaker', list(expect.breaker), list(run.observed.breaker));
  if (expect.changes !== undefined) same('changes', list(expect.changes), list(run.observed.changes));
  if (expect.wouldHave !== undefined) same('wouldHave', set(expect.wouldHave), set(wouldHaves(incident)));
  if (expect.paged !== undefined) same('paged', set(expect.paged), set(run.observed.paged));
  if (expect.notPaged !== undefined) {
    const paged = expect.notPaged.filter((role) => run.observed.paged.includes(role));
    same('notPaged', NOTHING, set(paged));
  }
  if (expect.asked !== undefined) same('asked', asks(expect.asked), asks(askedOf(run, runbook)));
  if (expect.notified !== undefined) same('notified', set(expect.notified), set(run.observed.notified));
  if (expect.tasks?.length === 0) same('tasks', NOTHING, list(view.actionItems.map(({ title }) => title)));
  for (const [index, { lane, title, owner }] of (expect.tasks ?? []).entries()) {
    const ok = view.actionItems.some(
      (item) =>
        (lane === undefined || item.lane === lane) &&
        (owner === undefined || item.owner.includes(owner)) &&
        item.title.includes(title),
    );
    const wanted = [lane, title, owner].filter((part) => part !== undefined).join(', ');
    const items = view.actionItems.map((item) => `${item.lane}: ${item.title}`).join('; ');
    checks.push({ name: `tasks[${index}]`, ok, expected: wanted, got: ok ? wanted : items || NOTHING });
  }
  if (expect.humanNeeded !== undefined)
    checks.push(checkTexts('humanNeeded', expect.humanNeeded, view.humanNeeded));
  if (expect.timeline !== undefined) checks.push(checkTimeline(expect.timeline, run));
  if (expect.rounds !== undefined) same('rounds', String(expect.rounds), String(roundsOf(incident)));
  if (expect.incidents !== undefined)
    same('incidents', String(expect.incidents), String(run.incidents.length));

  // A person who is refused, or never comes to it, makes the scenario another one than was written.
  const refusals = run.refused.map(({ who, message }) => `${who}: ${message}`);
  if (expect.refused !== undefined || refusals.length > 0)
    checks.push(checkTexts('refused', expect.refused ?? [], refusals));
  if (run.undone.length > 0)
    checks.push({ name: 'people', ok: false, expected: 'everybody acts', got: run.undone.join('; ') });
  return checks;
}

/** One line: what was expected, and what came instead. */
export function sayCheck({ name, ok, expected, got }: Check): string {
  return ok ? `${name}: ${expected}` : `${name}: expected ${expected}, got ${got}`;
}

function checkMilestone(
  name: Milestone,
  wanted: 'never' | { within?: number | undefined; notBefore?: number | undefined },
  milestones: Partial<Record<Milestone, number>>,
  startMs: number,
): Check {
  const atMs = milestones[name];
  const afterMs = atMs === undefined ? undefined : atMs - startMs;
  const got = afterMs === undefined ? 'never' : `after ${formatDuration(afterMs)}`;
  if (wanted === 'never')
    return { name: `milestones.${name}`, ok: afterMs === undefined, expected: 'never', got };
  const { within, notBefore } = wanted;
  const ok =
    afterMs !== undefined &&
    (within === undefined || afterMs <= within) &&
    (notBefore === undefined || afterMs >= notBefore);
  const parts = [
    ...(within === undefined ? [] : [`within ${formatDuration(within)}`]),
    ...(notBefore === undefined ? [] : [`not before ${formatDuration(notBefore)}`]),
  ];
  return { name: `milestones.${name}`, ok, expected: parts.join(', ') || 'reached', got };
}

/** Each expected text is in one of those that came, and each that came holds one that was expected. */
function checkTexts(name: string, expected: readonly string[], came: readonly string[]): Check {
  const ok =
    expected.every((text) => came.some((one) => one.includes(text))) &&
    came.every((one) => expected.some((text) => one.includes(text)));
  return { name, ok, expected: expected.join('; ') || NOTHING, got: came.join('; ') || NOTHING };
}

function checkTimeline(expected: readonly string[], run: SimulatedRun): Check {
  const texts = run.incidents.flatMap(({ entries }) => entries.map(({ text }) => text));
  let from = 0;
  for (const [index, text] of expected.entries()) {
    const found = texts.findIndex((one, at) => at >= from && one.includes(text));
    if (found < 0) {
      const earlier = index > 0 && texts.some((one) => one.includes(text));
      const got = earlier ? `"${text}" only before "${expected[index - 1]}"` : `no "${text}"`;
      return { name: 'timeline', ok: false, expected: expected.join(' > '), got };
    }
    from = found + 1;
  }
  const all = expected.join(' > ');
  return { name: 'timeline', ok: true, expected: all, got: all };
}

function wouldHaves({ view }: SimulatedIncident): string[] {
  return view.steps.filter(({ status }) => status === 'would-have').map(({ id }) => id);
}

function askedOf(run: SimulatedRun, runbook: CompiledRunbook): Record<string, string[]> {
  const happened = new Set(run.incidents.flatMap(({ entries }) => entries.flatMap(happeningsOf)));
  return Object.fromEntries(
    runbook.steps
      .filter(({ id }) => happened.has(`asked-${id}`))
      .map(({ id, approval }) => [id, approval?.from ?? []]),
  );
}

function asks(asked: Record<string, string[]>): string {
  const texts = Object.entries(asked).map(([id, from]) => `${id} from ${set(from)}`);
  return texts.sort().join('; ') || NOTHING;
}

/** 1, and one more for each alert after mitigation. */
export function roundsOf({ entries }: SimulatedIncident): number {
  const started = entries.filter(
    ({ kind, text }) => kind === 'alert' && text.startsWith('A new alert fired after mitigation'),
  );
  return started.length + 1;
}

function list(values: readonly string[]): string {
  return values.join(', ') || NOTHING;
}

function set(values: readonly string[]): string {
  return [...new Set(values)].sort().join(', ') || NOTHING;
}
