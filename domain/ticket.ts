import type { IncidentView, SampleSummary } from './incident.ts';
import { escapeMarkdown } from './plain-text.ts';
import { targetKey } from './target.ts';

/** Samples listed by id in a ticket; the rest stays in the records, so that the ticket can be read. */
const LISTED_SAMPLES = 10;

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** Title and body of an incident's ticket: what, where, since when. Text of alerts is escaped, outputs never appear. */
export function renderTicket(
  view: IncidentView,
  images: string[],
  nowMs: number,
): { title: string; body: string } {
  const since =
    view.alerts.map((alert) => alert.startsAt).sort()[0] ?? iso(view.milestones.triggered ?? nowMs);
  const rows: [string, string][] = [
    ['Incident', view.incidentId],
    ['Severity', view.severity],
    [
      'Target',
      view.target ? targetKey(view.target) : `none: ${view.targetProblem ?? 'the runbook names none'}`,
    ],
    ['Model', images.join(', ') || 'unknown'],
    ['Time range', `${since} to ${iso(nowMs)} (going on)`],
    ['Runbook', `${view.runbook.name} v${view.runbook.version}, owner ${view.runbook.owner}`],
  ];
  const alerts = view.alerts.map(
    (alert) =>
      `- ${escapeMarkdown(alert.alertname)}: ${escapeMarkdown(alert.summary)} (since ${escapeMarkdown(alert.startsAt)})`,
  );
  return {
    title: `[${view.severity}] ${view.title}`,
    body: [
      '| | |',
      '|---|---|',
      ...rows.map(([name, value]) => `| ${name} | ${escapeMarkdown(value)} |`),
      '',
      'Alerts:',
      '',
      ...alerts,
      '',
      'Firebreak adds the sample summary, the verification and the outcome as comments.',
    ].join('\n'),
  };
}

/** The sample summary as a ticket comment: categories, ids, hashes and lengths, never text. */
export function renderSamples(samples: SampleSummary): string {
  const categories = Object.entries(samples.byCategory)
    .sort(([, a], [, b]) => b - a)
    .map(([category, count]) => `- ${escapeMarkdown(category)}: ${count}`);
  const items = samples.items
    .slice(0, LISTED_SAMPLES)
    .map(
      (item) =>
        `| ${escapeMarkdown(item.id)} | ${escapeMarkdown(item.requestId)} | ${item.categories.map(escapeMarkdown).join(', ')} | ${item.length} | ${item.sha256.slice(0, 12)} |`,
    );
  return [
    `Sampled ${samples.count} recent harmful outputs from source ${escapeMarkdown(samples.from)}. Their text was not kept.`,
    '',
    ...categories,
    '',
    '| sample | request | categories | length | sha256 |',
    '|---|---|---|---|---|',
    ...items,
    ...(samples.items.length > LISTED_SAMPLES
      ? ['', `${samples.items.length - LISTED_SAMPLES} more are in the incident's record.`]
      : []),
  ].join('\n');
}

/** Closing comment of a ticket. */
export function renderOutcome(view: IncidentView): string {
  const proof = view.verification;
  return [
    `Incident ${view.incidentId} is ${view.state}; outcome: ${view.outcome ?? 'not decided'}.`,
    ...(proof
      ? [
          '',
          `Verification: ${proof.outcome}, ${proof.harmful} harmful of ${proof.classified} classified outputs, threshold ${proof.threshold}, interval ${proof.interval.map((bound) => bound.toFixed(5)).join(' to ')}.`,
        ]
      : []),
    '',
    ...view.actionItems.map(
      (item) =>
        `- ${item.lane}: ${escapeMarkdown(item.title)} (owner ${escapeMarkdown(item.owner)}, due ${item.due})`,
    ),
  ].join('\n');
}
