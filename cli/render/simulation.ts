import { formatDuration } from '../../domain/duration.ts';
import { MILESTONES } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import type { RunbookCoverage } from '../../simulation/coverage.ts';
import type { Check } from '../../simulation/expectations.ts';
import type { CoveredRunbook, Rehearsed } from '../../simulation/rehearse.ts';
import type { End, SimulatedRun } from '../../simulation/simulate.ts';
import { stillOpen } from '../../simulation/still-open.ts';
import { type Colors, plain } from '../output.ts';

const ENDS: Record<End, string> = {
  closed: 'the incident is closed',
  settled: 'nothing new would happen any more',
  until: 'the time of the scenario is over',
  restless: 'it never comes to rest: too many activities',
};

const KIND_WIDTH = 12;

/** One line of what would have been, incidents, people, vendors and the world in one order. */
export interface SimulatedLine {
  atMs: number;
  kind: string;
  text: string;
  actor?: string;
}

/** The timeline of all incidents with what happened around them. */
export function linesOf(run: SimulatedRun): SimulatedLine[] {
  const entries = run.incidents.flatMap(({ view, entries }) =>
    entries.map(({ atMs, kind, text, actor }) => ({
      atMs,
      kind,
      text: run.incidents.length > 1 && text === 'triggered' ? `${text} (${view.incidentId})` : text,
      ...(actor === 'firebreak' ? {} : { actor }),
    })),
  );
  // What happened around comes before what followed from it at the same moment.
  return [...run.events, ...entries].sort((a, b) => a.atMs - b.atMs);
}

/** The whole of one scenario. */
export function renderSimulation(result: Rehearsed, colors: Colors): string {
  const { loaded, run, checks } = result;
  if (!loaded || !run) return '';
  const { bold, dim } = colors;
  const { name, description } = loaded.scenario.metadata;
  const lines = [
    `${bold(plain(name))}  ${dim(`${plain(loaded.runbook.name)} v${loaded.runbook.version}, from ${clock(run.startMs)}`)}`,
    ...(description === undefined ? [] : [plain(description.replaceAll('\n', ' ').trim())]),
    '',
    ...linesOf(run).map((line) => lineText(line, run.startMs, colors)),
    '',
    ...endOf(run, loaded.runbook, colors),
    '',
    ...checks.map((check) => checkText(check, colors)),
  ];
  return `${lines.join('\n')}\n`;
}

function lineText({ atMs, kind, text, actor }: SimulatedLine, startMs: number, colors: Colors): string {
  const paint = paintOf(kind, colors);
  const who = actor === undefined ? '' : colors.dim(`  (${plain(actor)})`);
  return `${colors.dim(sinceStart(atMs - startMs))}  ${paint(kind.padEnd(KIND_WIDTH))} ${plain(text)}${who}`;
}

function paintOf(kind: string, colors: Colors): (text: string) => string {
  const { red, green, yellow, cyan, magenta, blue, dim } = colors;
  const paints: Record<string, (text: string) => string> = {
    alert: red,
    'needs-human': red,
    milestone: green,
    page: yellow,
    vendor: yellow,
    decision: cyan,
    person: cyan,
    note: cyan,
    breaker: magenta,
    rollback: magenta,
    'would-have': magenta,
    verification: blue,
    world: blue,
  };
  return paints[kind] ?? dim;
}

function endOf(run: SimulatedRun, runbook: CompiledRunbook, colors: Colors): string[] {
  const view = run.incidents.at(-1)?.view;
  if (view === undefined) return [];
  const { bold, dim, yellow } = colors;
  const outcome = view.outcome === undefined ? '' : `, outcome ${bold(view.outcome)}`;
  const reached = MILESTONES.flatMap((name) => {
    const atMs = view.milestones[name];
    return atMs === undefined ? [] : [`${name.padEnd(KIND_WIDTH)} ${sinceStart(atMs - run.startMs)}`];
  });
  return [
    `${bold(view.state)}${outcome}, ${view.severity}  ${dim(`after ${formatDuration(run.endMs - run.startMs)}: ${ENDS[run.end]}`)}`,
    ...(run.end === 'closed' ? [] : stillOpen(run, runbook).map((open) => dim(`  ${plain(open)}`))),
    ...view.humanNeeded.map((why) => yellow(`! ${plain(why)}`)),
    ...reached.map((line) => `  ${line}`),
  ];
}

function checkText({ name, ok, expected, got }: Check, { green, red, dim }: Colors): string {
  if (ok) return `${green('✓')} ${name}  ${dim(plain(expected))}`;
  return `${red('✗')} ${name}\n    expected  ${plain(expected)}\n    got       ${plain(got)}`;
}

/** What failed in one scenario of many. */
export function renderFailures({ checks, error }: Rehearsed, colors: Colors): string {
  const failed = checks.filter(({ ok }) => !ok).map((check) => checkText(check, colors));
  return [...(error === undefined ? [] : [`${colors.red('✗')} ${plain(error)}`]), ...failed]
    .join('\n')
    .replaceAll(/^/gm, '  ');
}

/** `9/10 steps, 14/18 branches (80%)`, and what was never taken. */
export function renderCoverage({ name, ...coverage }: CoveredRunbook, colors: Colors): string {
  const { bold, dim } = colors;
  if (coverage.scenarios === 0)
    return `${bold(plain(name))}  ${counts(coverage)}\n${dim(`  no scenario runs ${plain(coverage.file)}`)}`;
  const never = coverage.never.map(({ step, branches }) => `  never  ${plain(step)}: ${branches.join(', ')}`);
  return [`${bold(plain(name))}  ${counts(coverage)}`, ...never.map((line) => dim(line))].join('\n');
}

function counts({ steps, branches, percent }: RunbookCoverage): string {
  return `${steps.covered}/${steps.all} steps, ${branches.covered}/${branches.all} branches (${Math.floor(percent)}%)`;
}

/** `+00:03:05`, with days in front where there are any. */
export function sinceStart(durationMs: number): string {
  const total = Math.floor(Math.abs(durationMs) / 1_000);
  const days = Math.floor(total / 86_400);
  const parts = [Math.floor(total / 3_600) % 24, Math.floor(total / 60) % 60, total % 60];
  const time = parts.map((part) => String(part).padStart(2, '0')).join(':');
  return `${durationMs < 0 ? '-' : '+'}${days > 0 ? `${days}d ` : ''}${time}`;
}

function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}
