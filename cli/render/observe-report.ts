import { formatDuration } from '../../domain/duration.ts';
import type { Median, ObservedIncident, ObserveReport, Sign } from '../../domain/observe-report.ts';
import { type Colors, plain } from '../output.ts';

/** Lines of one incident of what was done; `--json` and the incident's timeline have the rest. */
const SHOWN_LINES = 12;
/** Room for the longest time, `+123 h 45 m`. */
const TIME_WIDTH = 12;
const COUNT_WIDTH = 4;

/** The report for a terminal: each incident with both sides, then the totals and what they do not say. */
export function renderObserveReport(report: ObserveReport, colors: Colors): string {
  const { bold, yellow, dim } = colors;
  const { incidents, sinceMs, untilMs } = report;
  const span = `${clock(sinceMs)} to ${clock(untilMs)} UTC`;
  const lines = [`${bold(`Observe mode: ${count(incidents.length, 'incident')}`)}  ${dim(span)}`];
  if (incidents.length === 0) {
    lines.push('', 'No incident of a target in observe mode was triggered in this time.');
    return `${lines.join('\n')}\n`;
  }
  if (report.truncated) {
    lines.push(yellow('There are more: only the newest are in this report and its totals. Shorten --since.'));
  }
  for (const incident of incidents) lines.push('', ...incidentLines(incident, colors));
  lines.push('', bold('In all'), ...totalLines(report).map((line) => (line === '' ? '' : `  ${line}`)));
  lines.push('', bold('What this does not say'), ...report.caveats.map((line) => `  - ${plain(line)}`));
  return `${lines.join('\n')}\n`;
}

function incidentLines(incident: ObservedIncident, colors: Colors): string[] {
  const { bold, dim, cyan, yellow } = colors;
  const facts = [
    incident.target ?? 'no usable target',
    `${incident.runbook.name} v${incident.runbook.version}`,
    `alert received ${clock(incident.triggeredAtMs)}`,
    incident.outcome ?? incident.state,
    ...(incident.lastHarmRate === undefined
      ? []
      : [`last harm rate measured ${percent(incident.lastHarmRate)}`]),
  ];
  const wouldHave = [
    ...incident.wouldHave.map((one) => {
      const why =
        one.unknown === undefined
          ? ''
          : yellow(`  (its condition could not be measured: ${plain(one.unknown)})`);
      return `${timeText(one.afterMs, colors)} ${plain(one.text)}${why}`;
    }),
    ...incident.notDone.map((one) =>
      dim(`${'not'.padEnd(TIME_WIDTH)} ${plain(one.step)}: ${plain(one.reason)}`),
    ),
  ];
  const done = incident.done.slice(0, SHOWN_LINES).map((one) => {
    const who = one.who === undefined ? '' : dim(`  (${plain(one.who)})`);
    const words = one.words === undefined ? '' : `: "${plain(one.words)}"`;
    return `${timeText(one.afterMs, colors)} ${plain(one.text)}${words}${who}`;
  });
  if (incident.done.length > SHOWN_LINES) {
    done.push(
      dim(
        `${incident.done.length - SHOWN_LINES} more: firebreak incident timeline ${plain(incident.incidentId)}`,
      ),
    );
  }
  return [
    `${bold(plain(incident.title))}  ${incident.severity}  ${dim(plain(incident.incidentId))}`,
    `  ${dim(plain(facts.join(', ')))}`,
    `  ${cyan('Firebreak would have')}`,
    ...orNothing(wouldHave, incident.signs.includes('still-open') ? 'done nothing so far' : 'done nothing'),
    `  ${cyan('People, and others than Firebreak')}`,
    ...orNothing(done, 'nothing was seen'),
    ...incident.notKnown.map((line) => `  ${yellow(`! ${plain(line)}`)}`),
  ];
}

function orNothing(lines: string[], nothing: string): string[] {
  return (lines.length === 0 ? [nothing] : lines).map((line) => `    ${line}`);
}

/** What would have followed a change that was never made has no time of its own. */
function timeText(afterMs: number | undefined, { dim }: Colors): string {
  if (afterMs === undefined) return dim('afterwards'.padEnd(TIME_WIDTH));
  return dim(`${afterMs < 0 ? '-' : '+'}${formatDuration(Math.abs(afterMs))}`.padEnd(TIME_WIDTH));
}

function totalLines({ totals }: ObserveReport): string[] {
  const { signs } = totals;
  const contained = signs['would-contain'];
  const row = (amount: number, text: string): string => `${String(amount).padStart(COUNT_WIDTH)}  ${text}`;
  /** Left out where there is nothing to tell. */
  const ifAny = (sign: Sign, text: string): string[] => (signs[sign] === 0 ? [] : [row(signs[sign], text)]);
  const before = totals.containedBeforeFirstChange;
  return [
    row(totals.incidents, 'incidents in observe mode'),
    row(contained, 'where it would have diverted traffic'),
    row(signs['would-plan-rollback'], 'where it would have asked people to approve a rollback'),
    row(signs['would-do-nothing'], 'where it would have changed nothing'),
    ...ifAny(
      'false-positive',
      `marked as false positives by people; it would have diverted in ${totals.containedFalsePositives} of them`,
    ),
    ...ifAny(
      'ended-by-itself',
      `whose alert ended without a change that was seen; it would have diverted in ${totals.containedEndedByItself} of them, perhaps needlessly`,
    ),
    ...ifAny('condition-unknown', 'where a condition could not be measured'),
    ...ifAny('harm-rate-not-measured', 'where no harm rate was measured'),
    ...ifAny('target-changed', 'whose target was changed by others while it was open'),
    ...ifAny('changes-not-known', 'where changes of the target are not known'),
    ...ifAny('still-open', 'still open'),
    ...(contained === 0
      ? []
      : [
          '',
          `Of the ${count(contained, 'incident')} where it would have diverted, median from the alert to`,
          `  ${'the diversion that would have begun'.padEnd(38)}${medianText(totals.toContainment)}`,
          `  ${'the first change of the target seen'.padEnd(38)}${medianText(totals.toFirstChange)}`,
          `  ${'the end of the alert'.padEnd(38)}${medianText(totals.toAlertEnd)}`,
          ...(before.of === 0
            ? []
            : [
                `The diversion would have begun before the first change in ${before.count} of ${before.of} where both are known.`,
              ]),
        ]),
  ];
}

function medianText({ medianMs, count: over }: Median): string {
  return medianMs === undefined ? 'not known for any' : `${formatDuration(medianMs)} (${over} known)`;
}

function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))}%`;
}

function clock(atMs: number): string {
  return new Date(atMs).toISOString().replace('T', ' ').slice(0, 16);
}
