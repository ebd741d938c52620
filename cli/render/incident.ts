import { formatDuration } from '../../domain/duration.ts';
import { type IncidentView, MILESTONES, type SampleSummary, type StepState } from '../../domain/incident.ts';
import { describeReviews } from '../../domain/samples/precision.ts';
import { targetKey } from '../../domain/target.ts';
import type { ShownIncident } from '../api-client.ts';
import { type Colors, plain, plainLines } from '../output.ts';
import { nextCommands } from './next.ts';
import { harmRateLines, verdictLines } from './verdict.ts';

/** Entries of the timeline at the foot of the page; `incident timeline` has them all. */
const SHOWN_ENTRIES = 8;

/** A readable page: what it is, how far it is, what waits for whom, and what to type next. */
export function renderIncident(
  { incident: view, source, note }: ShownIncident,
  colors: Colors,
  { unicode }: { unicode: boolean },
): string {
  const { bold, dim, yellow } = colors;
  const lines = [
    `${bold(plain(view.title))}  ${dim(view.incidentId)}`,
    `${severityText(view, colors)}  ${stateText(view, colors)}${view.outcome ? `  outcome ${bold(view.outcome)}` : ''}${source === 'records' ? dim('  (from the records)') : ''}`,
    ...(note === undefined ? [] : [yellow(plain(note))]),
    '',
    ...facts(view).map(([name, value]) => `${dim(name.padEnd(11))} ${value}`),
    ...section('Milestones', milestones(view, colors), colors),
    ...section(
      'Steps',
      view.steps.map((step) => stepLine(step, colors)),
      colors,
    ),
    ...section('Verification', verdictLines(view, colors), colors),
    ...section('Harm rate', harmRateLines(view, colors, unicode), colors),
    ...section(
      'A human is needed',
      view.humanNeeded.map((why) => yellow(`! ${plain(why)}`)),
      colors,
    ),
    ...section('Revert this in Git', preparedRevert(view, colors), colors),
    ...section('Waits for', waits(view, colors), colors),
    ...section(
      'Last events',
      view.timeline.slice(-SHOWN_ENTRIES).map((entry) => timelineLine(entry, colors)),
      colors,
    ),
    ...section(
      'Next',
      nextCommands(view).map(({ command, why }) => `${bold(plain(command))}  ${dim(plain(why))}`),
      colors,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, lines: string[], { bold }: Colors): string[] {
  return lines.length === 0 ? [] : ['', bold(title), ...lines.map((line) => `  ${line}`)];
}

function facts(view: IncidentView): [string, string][] {
  const rows: [string, string | undefined][] = [
    [
      'Target',
      view.target ? targetKey(view.target) : `none: ${view.targetProblem ?? 'the runbook names none'}`,
    ],
    [
      'Runbook',
      `${view.runbook.name} v${view.runbook.version}, mode ${view.mode}, owner ${view.runbook.owner}`,
    ],
    [
      'Breaker',
      view.breaker &&
        `${view.breaker.state}, ${percent(view.breaker.share)} to the target${view.breaker.fallback ? `, rest to ${view.breaker.fallback}` : ''}`,
    ],
    [
      'Alerts',
      `${view.alerts.filter(({ status }) => status === 'firing').length} firing of ${view.alerts.length}${view.truncatedAlerts ? `, ${view.truncatedAlerts} more left out by Alertmanager` : ''}`,
    ],
    ['Paged', view.pages.map(({ role, channel }) => `${role} (${channel})`).join(', ') || undefined],
    ['Declared by', view.declaredBy],
    ['Acknowledged', view.acknowledgedBy],
    ['Commander', view.commander],
    ['Ticket', view.ticketUrl],
    ['Samples', view.samples && samplesText(view.samples)],
    [
      'Rollback',
      view.rollback &&
        `revision ${view.rollback.fromRevision} -> ${view.rollback.toRevision} (${view.rollback.toImage})`,
    ],
    [
      'Break-glass',
      view.breakGlass?.map((use) => `${use.person} approved ${use.step} alone: ${use.reason}`).join('; '),
    ],
    ['Before it', view.predecessorId],
  ];
  return rows.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, plain(value)] as [string, string]],
  );
}

function samplesText({ count, from, reviewed }: SampleSummary): string {
  return `${count} from ${from}${reviewed ? `; ${describeReviews(reviewed)}` : ''}`;
}

function milestones(view: IncidentView, { dim, green }: Colors): string[] {
  const start = view.milestones.triggered;
  return MILESTONES.flatMap((name) => {
    const atMs = view.milestones[name];
    if (atMs === undefined) return [];
    const since = start === undefined || name === 'triggered' ? '' : `  +${formatDuration(atMs - start)}`;
    return [`${green('✓')} ${name.padEnd(12)} ${dim(clock(atMs))}${since}`];
  });
}

function stepLine(step: StepState, colors: Colors): string {
  const { green, red, yellow, dim, cyan } = colors;
  const marks: Record<StepState['status'], string> = {
    succeeded: green('✓'),
    'would-have': cyan('○'),
    failed: red('✗'),
    rejected: red('✗'),
    skipped: dim('-'),
    'awaiting-approval': yellow('?'),
    running: cyan('…'),
    watching: cyan('…'),
    waiting: cyan('…'),
    pending: dim('·'),
  };
  const took =
    step.startedAtMs !== undefined && step.endedAtMs !== undefined
      ? dim(`  ${formatDuration(step.endedAtMs - step.startedAtMs)}`)
      : '';
  const reason = step.reason ? `  ${plain(step.reason)}` : '';
  return `${marks[step.status] ?? ' '} ${plain(step.id).padEnd(12)} ${step.status}${took}${reason}`;
}

/** The change that people were asked to revert where the template comes from Git. */
function preparedRevert(view: IncidentView, { green, red }: Colors): string[] {
  const entry = view.timeline.findLast(({ data }) => typeof data?.revert === 'string');
  const failed = view.steps.some(({ id, status }) => id === entry?.data?.step && status === 'failed');
  if (!failed) return [];
  return plainLines(String(entry?.data?.revert)).map((line) => {
    if (line.startsWith('+')) return green(line);
    return line.startsWith('-') ? red(line) : line;
  });
}

function waits(view: IncidentView, { yellow, dim }: Colors): string[] {
  return view.pendingApprovals.map((pending) => {
    const missing = pending.count - pending.approvedBy.length;
    const who = `${missing} approval${missing === 1 ? '' : 's'} from ${pending.groups.join(', ')}`;
    const until = `asked ${clock(pending.requestedAtMs)}, until ${clock(pending.expiresAtMs)}`;
    const alone = pending.breakGlass ? dim(', or one person with --break-glass') : '';
    return `${yellow(plain(`step ${pending.step}: ${who}`))}${alone}  ${plain(pending.summary)}  ${dim(until)}`;
  });
}

export function timelineLine(
  entry: { atMs: number; kind: string; text: string; actor: string },
  { dim }: Colors,
): string {
  const actor = entry.actor === 'firebreak' ? '' : `  (${plain(entry.actor)})`;
  return `${dim(clock(entry.atMs))} ${dim(plain(entry.kind).padEnd(12))} ${plain(entry.text)}${dim(actor)}`;
}

function stateText(view: { state: string }, { green, yellow, red, cyan }: Colors): string {
  const paint: Record<string, (text: string) => string> = {
    'needs-human': red,
    triggered: red,
    contained: yellow,
    remediating: cyan,
    verifying: cyan,
    mitigated: green,
    resolved: green,
    closed: green,
  };
  return (paint[view.state] ?? String)(view.state);
}

function severityText(view: { severity: string }, { red, yellow, bold }: Colors): string {
  if (view.severity === 'SEV1') return bold(red(view.severity));
  return view.severity === 'SEV2' ? bold(yellow(view.severity)) : view.severity;
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))}%`;
}

function clock(atMs: number): string {
  return new Date(atMs).toISOString().replace('T', ' ').slice(0, 19);
}
