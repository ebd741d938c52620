import { formatDuration } from './duration.ts';
import { adviceFor } from './harm-history/gate-advice.ts';
import { plotReference } from './harm-history/plot-reference.ts';
import { sparkline } from './harm-history/sparkline.ts';
import { verdictInWords } from './harm-history/verdict-words.ts';
import type { ActionItem, ActionLane, IncidentView, Milestone, TimelineEntry } from './incident.ts';
import { escapeMarkdown, stripControl, truncate } from './plain-text.ts';
import { targetName, wasPatched } from './postmortem/action-items.ts';
import { references } from './postmortem/references.ts';

export { deriveActionItems } from './postmortem/action-items.ts';

/** Rows of the timeline in the document: a review reads no more; the records and the API have all of them. */
const MAX_TIMELINE_ROWS = 500;
/** A line of a table that is longer is no line any more; the records have the whole text. */
const MAX_CELL_LENGTH = 500;

const LANES: readonly { lane: ActionLane; heading: string }[] = [
  { lane: 'control', heading: 'Control: not implemented yet' },
  { lane: 'assurance', heading: 'Assurance: tests and telemetry that prove the controls' },
  { lane: 'safety-debt', heading: 'Safety debt: accepted risk, with owner and expiry' },
  { lane: 'exception', heading: 'Exception: temporary deviation, with retirement date' },
];

const MILESTONE_NAMES: readonly [Milestone, string][] = [
  ['paged', 'page'],
  ['acknowledged', 'acknowledge'],
  ['contained', 'contain'],
  ['approved', 'approve'],
  ['rolledBack', 'roll back'],
  ['recovered', 'prove recovery'],
  ['restored', 'restore traffic'],
  ['mitigated', 'mitigate'],
  ['resolved', 'resolve'],
];

/**
 * The postmortem as Markdown, made from the facts alone: same view, same text. Everything that people, alerts, models
 * or the cluster wrote is escaped: it cannot become a heading, a link, an image or HTML.
 * @param options.publicUrl how people reach this server, for the link to the plot.
 */
export function renderPostmortem(
  view: IncidentView,
  options: { draft: boolean; atMs: number; publicUrl?: string | undefined },
): string {
  return [
    [`# ${options.draft ? 'Draft postmortem' : 'Postmortem'}: ${text(view.title)}`, summary(view, options)],
    ['## Impact', impact(view)],
    ['## Milestones', milestones(view)],
    ['## What was done', whatWasDone(view)],
    ...breakGlass(view),
    ['## Evidence', evidence(view, options.publicUrl)],
    ['## What a rollback did not restore', notRestored(view)],
    ['## Action items', actionItems(view.actionItems)],
    ['## Unanswered questions for the review', list(openQuestions(view))],
    ['## Regulatory and standards references', references(view, options.atMs)],
    ['## Timeline', timeline(view.timeline)],
  ]
    .flat()
    .join('\n\n')
    .concat('\n');
}

function summary(view: IncidentView, { draft, atMs }: { draft: boolean; atMs: number }): string {
  const rows: [string, Cell][] = [
    ['Incident', view.incidentId],
    ['State', view.state],
    ['Outcome', view.outcome ?? 'not decided yet'],
    ['Severity', view.severity],
    [
      'Target',
      view.target === undefined
        ? `none: ${view.targetProblem ?? 'the runbook names none'}`
        : targetName(view),
    ],
    ['Mode', view.mode],
    [
      'Runbook',
      `${view.runbook.name} version ${view.runbook.version} (${view.runbook.hash}), owner ${view.runbook.owner}`,
    ],
    ['Commander', view.commander ?? 'nobody'],
    [
      'Written',
      {
        ours: `${isoTime(atMs)}${draft ? ', while the incident was open; brought up to date when it is resolved' : ''}`,
      },
    ],
  ];
  if (view.drill) rows.push(['Drill', 'nothing was wrong: this was practised']);
  if (view.declaredBy !== undefined) rows.push(['Declared by hand', view.declaredBy]);
  if (view.predecessorId !== undefined) rows.push(['Incident before', view.predecessorId]);
  if (view.ticketUrl !== undefined) rows.push(['Ticket', view.ticketUrl]);
  return table(['', ''], rows);
}

function impact(view: IncidentView): string {
  const started = view.alerts.map((alert) => alert.startsAt).sort()[0];
  const { triggered, contained } = view.milestones;
  const facts = [
    `Alerts: ${view.alerts.length}, delivered ${view.alerts.reduce((sum, alert) => sum + alert.deliveries, 0)} times` +
      `${view.truncatedAlerts > 0 ? `; ${view.truncatedAlerts} more were cut off by Alertmanager` : ''}.`,
  ];
  if (started !== undefined) facts.push(`The first of them fires since ${text(started)}.`);
  if (triggered !== undefined) {
    facts.push(
      contained === undefined
        ? 'Containment was not reached: no diversion was seen in the traffic of the target.'
        : `Harmful outputs could reach people for at least ${between(triggered, contained)} after the alert arrived, until containment was measured in traffic.`,
    );
  }
  if (view.lastHarmRate !== undefined)
    facts.push(`Harm rate when last measured: ${percent(view.lastHarmRate)}.`);
  facts.push('How many people were affected, and how, is not known to Firebreak: the review fills it in.');
  const alerts = view.alerts.map(({ alertname, summary: said, startsAt, status }) => [
    alertname,
    said,
    startsAt,
    status,
  ]);
  return [list(facts), table(['Alert', 'It says', 'Since', 'Status'], alerts)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function milestones(view: IncidentView): string {
  const { triggered } = view.milestones;
  if (triggered === undefined) return 'The incident was never triggered.';
  const rows = MILESTONE_NAMES.map(([milestone, name]): Cell[] => {
    const atMs = view.milestones[milestone];
    const took = atMs === undefined ? 'not reached' : between(triggered, atMs);
    return [`Time to ${name}`, { ours: took }, { ours: atMs === undefined ? '' : isoTime(atMs) }];
  });
  return [
    `Counted from the arrival of the alert, ${isoTime(triggered)}.`,
    table(['Milestone', 'Took', 'At'], rows),
  ].join('\n\n');
}

function whatWasDone(view: IncidentView): string {
  const steps = view.steps.map((step): Cell[] => [
    step.id,
    step.uses,
    step.status,
    {
      ours:
        step.startedAtMs === undefined || step.endedAtMs === undefined
          ? ''
          : between(step.startedAtMs, step.endedAtMs),
    },
    step.reason ?? '',
  ]);
  const decisions = view.timeline
    .filter((entry) => entry.kind === 'decision' && entry.actor !== 'firebreak')
    .map((entry): Cell[] => [
      { ours: isoTime(entry.atMs) },
      entry.actor,
      entry.text,
      dataText(entry, 'planHash') ?? '',
      dataText(entry, 'reason') ?? '',
    ]);
  return [
    rollbackText(view),
    breakerText(view),
    `Paged: ${view.pages.map((page) => `${text(page.role)} by ${text(page.channel)}`).join(', ') || 'nobody'}. Acknowledged by ${text(view.acknowledgedBy ?? 'nobody')}.`,
    '### Steps of the runbook',
    steps.length === 0 ? 'None.' : table(['Step', 'Does', 'Ended as', 'Took', 'Why'], steps),
    '### Decisions by people',
    decisions.length === 0
      ? 'No decision was taken.'
      : table(['At', 'Who', 'What', 'Plan hash', 'Reason given'], decisions),
  ].join('\n\n');
}

/** Approvals given alone: each is named, with the reason as it was written. */
function breakGlass({ breakGlass: uses = [] }: IncidentView): string[][] {
  if (uses.length === 0) return [];
  const rows = uses.map(({ person, step, atMs, reason }): Cell[] => [
    { ours: isoTime(atMs) },
    person,
    step,
    reason,
  ]);
  return [
    [
      '## Break-glass',
      'One person approved alone what several, or other, people are asked for. The review says whether that was right.',
      table(['At', 'Who', 'Step', 'Reason given'], rows),
    ],
  ];
}

function rollbackText(view: IncidentView): string {
  const { rollback } = view;
  if (rollback === undefined) return 'Nothing was rolled back.';
  const plan = `from revision ${rollback.fromRevision} (${text(rollback.fromImage)}) to revision ${rollback.toRevision} (${text(rollback.toImage)}), plan hash ${text(rollback.planHash)}`;
  if (!wasPatched(view)) return `A rollback was planned and not made: ${plan}.`;
  const { rollout } = rollback;
  const ended =
    rollout === undefined
      ? 'How its rollout ended is not known.'
      : `Its rollout ended as "${rollout.outcome}" after ${seconds(rollout.seconds)} with ${rollout.readyReplicas} of ${rollout.wantedReplicas} replicas ready.`;
  return `Rolled back ${plan}. ${ended}`;
}

function breakerText(view: IncidentView): string {
  if (view.breaker === undefined) return 'The circuit breaker was not used.';
  const { state, share, fallback, reason } = view.breaker;
  return `Circuit breaker: ${state}, the target gets ${percent(share)} of its traffic${fallback === undefined ? '' : `, the rest goes to ${text(fallback)}`}. Reason: ${text(reason)}.`;
}

function evidence(view: IncidentView, publicUrl: string | undefined): string {
  return [
    samplesText(view),
    verificationText(view),
    ...harmText(view, publicUrl),
    ...snapshotText(view),
    ...changesText(view),
  ].join('\n\n');
}

function samplesText({ samples }: IncidentView): string {
  if (samples === undefined || samples.count === 0) return 'No outputs were sampled.';
  const categories = Object.entries(samples.byCategory)
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .map(([category, count]) => [category, String(count)]);
  return [
    `Sampled outputs: ${samples.count} from ${text(samples.from)}. Ids, hashes and lengths are in the records; their text is not part of this document.`,
    table(['Category', 'Samples'], categories),
  ].join('\n\n');
}

function verificationText({ verification }: IncidentView): string {
  if (verification === undefined) return 'Recovery was not verified.';
  const { headline, facts, unmet, next } = verdictInWords(verification);
  const missing = unmet.map(({ gate, means, todo }) => [gate, means, todo]);
  return [
    'Verification by a sequential test that is valid at every look; counts are divided by the design effect before it, since harm comes in clusters.',
    table(['', ''], [['Verdict', headline], ...facts]),
    ...(verification.outcome === 'recovered' ? ['Every gate and guard was satisfied.'] : []),
    ...(missing.length === 0 ? [] : [table(['Missing', 'It means', 'To do'], missing)]),
    ...(next === undefined ? [] : [text(next)]),
  ].join('\n\n');
}

/** The harm rate as a line of blocks and in words. The plot is linked: viewers strip pictures that are in the text itself. */
function harmText({ harmHistory, incidentId }: IncidentView, publicUrl: string | undefined): string[] {
  const shown = harmHistory && sparkline(harmHistory, { unicode: true });
  if (shown === undefined) return [];
  return [
    'Harm rate over time, as far as Prometheus had it when this was written:',
    `\`${shown.line}\``,
    `${text(shown.words)}. ${plotReference(incidentId, publicUrl)}`,
  ];
}

/** What the snapshot step kept before anything was changed. */
function snapshotText(view: IncidentView): string[] {
  const outputs = view.steps.find(({ uses }) => uses === 'snapshot')?.outputs;
  if (outputs === undefined) return [];
  const rows = (['revision', 'templateHash', 'images', 'digests'] as const).flatMap(
    (key): [string, string][] => {
      const value = outputs[key];
      if (Array.isArray(value)) return value.length === 0 ? [] : [[key, value.map(String).join(', ')]];
      return typeof value === 'string' || typeof value === 'number' ? [[key, String(value)]] : [];
    },
  );
  return rows.length === 0 ? [] : ['Snapshot, taken before anything was changed:', table(['', ''], rows)];
}

/** What changed around the onset of harm, from the step that looked it up. */
function changesText(view: IncidentView): string[] {
  const found = view.steps.find(({ uses }) => uses === 'changes')?.outputs?.changes;
  if (!Array.isArray(found) || found.length === 0) return [];
  const lines = found.flatMap((change: unknown) => {
    if (typeof change === 'string') return [text(change)];
    if (typeof change !== 'object' || change === null || !('what' in change)) return [];
    const at = 'atMs' in change && typeof change.atMs === 'number' ? `${isoTime(change.atMs)}: ` : '';
    return [`${at}${text(String(change.what))}`];
  });
  return lines.length === 0 ? [] : ['What changed around the onset of harm:', list(lines)];
}

function notRestored(view: IncidentView): string {
  if (!wasPatched(view)) return 'Nothing was rolled back, so this does not apply.';
  const general =
    'A rollback restores the pod template of the workload and nothing else. ConfigMaps and Secrets, weights on volumes, prompts and policies kept elsewhere, data stores and gateways stay as they are now.';
  const warnings = planWarnings(view);
  return warnings.length === 0 ? general : [general, 'The plan said:', list(warnings.map(text))].join('\n\n');
}

/** Warnings of the plan, wherever it left them: in the request for approval, a step's outputs, or the timeline. */
function planWarnings(view: IncidentView): string[] {
  const places: unknown[] = [
    ...view.pendingApprovals.map((approval) => approval.warnings),
    ...view.steps.map((step) => step.outputs?.warnings),
    ...view.timeline.map((entry) => entry.data?.warnings),
  ];
  return [...new Set(places.flat().filter((warning) => typeof warning === 'string'))];
}

function actionItems(items: readonly ActionItem[]): string {
  if (items.length === 0) return 'None was derived.';
  return LANES.flatMap(({ lane, heading }) => {
    const rows = items
      .filter((item) => item.lane === lane)
      .map((item) => [
        item.id,
        item.title,
        item.owner,
        item.due,
        item.expires ?? item.retires ?? '',
        item.rmfFunction,
        item.evidence ?? '',
      ]);
    const ends = lane === 'exception' ? 'Retires' : 'Expires';
    return [
      `### ${heading}`,
      rows.length === 0
        ? 'None.'
        : table(['Id', 'What', 'Owner', 'Due', ends, 'NIST AI RMF', 'Evidence'], rows),
    ];
  }).join('\n\n');
}

/** What the facts do not answer. */
function openQuestions(view: IncidentView): string[] {
  const questions: string[] = [];
  const patched = wasPatched(view);
  if (view.outcome === 'false-positive') {
    questions.push('Why did the classifier call harmless outputs harmful, and does it do so elsewhere?');
  } else {
    questions.push(
      'What is the root cause: weights, prompt, data, configuration, or what the model was asked?',
      'Why did evaluation let this revision through, and which check would have stopped it?',
      'Who received harmful outputs, how many people, and have they been told?',
      'Which harms does the classifier not see, and were there any?',
    );
  }
  if (view.milestones.contained === undefined) questions.push('Why was containment not reached?');
  if (view.breaker !== undefined)
    questions.push('Was the fallback good enough for those it served meanwhile?');
  if (view.milestones.acknowledged === undefined) questions.push('Why did nobody acknowledge?');
  if (view.steps.some((step) => step.status === 'rejected')) {
    questions.push('The rollback was rejected: on what grounds, and what is done instead?');
  }
  if (view.breakGlass !== undefined)
    questions.push('Why could nobody else approve in time, and was approving alone right?');
  if (view.mode === 'observe')
    questions.push(
      'Would the recorded "would have" actions have been right? May Firebreak ask for approval next time?',
    );
  if (patched && view.verification === undefined)
    questions.push('The rollback was not verified: how is it known that it helped?');
  if (view.verification?.outcome === 'insufficient-evidence') {
    questions.push(
      `Recovery could not be proved (${view.verification.unmet.map((gate) => `${text(gate)}: ${text(adviceFor(gate).means)}`).join('; ') || 'the test stayed undecided'}): who gets the evidence that is missing?`,
    );
  }
  if (view.verification?.outcome === 'not-recovered') {
    questions.push('The revision that was rolled back to is harmful too: since when, and what else changed?');
  }
  if (patched) questions.push('When may a fixed revision be shipped, and who decides that it is fixed?');
  return [...questions, ...view.humanNeeded.map((reason) => `Still open: ${text(reason)}`)];
}

function timeline(entries: readonly TimelineEntry[]): string {
  const shown = entries.slice(0, MAX_TIMELINE_ROWS);
  const rows = shown.map((entry): Cell[] => [
    { ours: isoTime(entry.atMs) },
    entry.kind,
    entry.actor,
    entry.text,
  ]);
  const rest = entries.length - shown.length;
  const parts = [rows.length === 0 ? 'Nothing was recorded.' : table(['At', 'Kind', 'Who', 'What'], rows)];
  if (rest > 0) parts.push(`${rest} later entries are in the records.`);
  return parts.join('\n\n');
}

function dataText(entry: TimelineEntry, key: string): string | undefined {
  const value = entry.data?.[key];
  return typeof value === 'string' ? value : undefined;
}

/** A cell is escaped unless it is `ours`. */
type Cell = string | { ours: string };

function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return '';
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = rows.map((row) =>
    line(row.map((cell) => (typeof cell === 'string' ? text(cell) : cell.ours))),
  );
  return [line(head), line(head.map(() => '---')), ...lines].join('\n');
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}

/** Words, numbers, ids and hashes of which no character means anything to Markdown: they stay readable as they are. */
const PLAIN_WORD = /^(\(?[A-Za-z][A-Za-z0-9,/%-]*[,;:.)]*|[0-9][A-Za-z0-9/%-]*)$/;

function text(untrusted: string): string {
  return truncate(stripControl(untrusted), MAX_CELL_LENGTH)
    .trim()
    .split(/ +/)
    .map((word) => (PLAIN_WORD.test(word) ? word : escapeMarkdown(word)))
    .join(' ');
}

function percent(part: number): string {
  return `${Number((part * 100).toPrecision(3))}%`;
}

function seconds(amount: number): string {
  return formatDuration(amount * 1_000);
}

function between(fromMs: number, toMs: number): string {
  return formatDuration(Math.max(0, toMs - fromMs));
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
