import { sparkline } from './harm-history/sparkline.ts';
import { verdictInWords } from './harm-history/verdict-words.ts';
import type { IncidentView, SampleSummary, VerificationSummary } from './incident.ts';
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
    `Sampled ${samples.count} recent harmful outputs from source ${escapeMarkdown(samples.from)}. Their text is not part of this ticket.`,
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

/** Comment about a verdict: its numbers, what is missing, and the harm rate as a line; the plot goes below it. */
export function renderVerification(view: IncidentView): string {
  return [...(view.verification ? verdictTable(view.verification) : []), ...harmOverTime(view)].join('\n');
}

/** Where an action item was filed. */
export interface FiledItem {
  key: string;
  url: string;
}

/**
 * Closing comment of a ticket.
 * @param filed action items that have a ticket of their own, by their ids.
 */
export function renderOutcome(view: IncidentView, filed: Readonly<Record<string, FiledItem>> = {}): string {
  const { verification } = view;
  return [
    `Incident ${view.incidentId} is ${view.state}; outcome: ${view.outcome ?? 'not decided'}.`,
    ...(verification ? ['', `Verification: ${escapeMarkdown(verdictInWords(verification).headline)}.`] : []),
    ...(view.actionItems.length === 0 ? [] : ['', 'Action items:', '']),
    ...view.actionItems.map((item) => {
      const end = item.expires ?? item.retires;
      const until = end === undefined ? '' : `, ${item.expires ? 'expires' : 'retires'} ${end}`;
      return `- ${filedAt(filed[item.id])}${item.lane}: ${escapeMarkdown(item.title)} (owner ${escapeMarkdown(item.owner)}, due ${item.due}${until})`;
    }),
  ].join('\n');
}

/** Keys and addresses are the ticket system's; an address that could end the link is left out. */
function filedAt(filed: FiledItem | undefined): string {
  if (filed === undefined) return '';
  const { key, url } = filed;
  return /^https?:\/\/[^\s()<>]+$/.test(url)
    ? `[${escapeMarkdown(key)}](${url}) `
    : `${escapeMarkdown(key)} `;
}

/** The verdict as a table of numbers, and what is missing where it proves nothing. */
function verdictTable(verification: VerificationSummary): string[] {
  const { headline, facts, unmet, next } = verdictInWords(verification);
  return [
    `Verification: ${escapeMarkdown(headline)}.`,
    '',
    '| | |',
    '|---|---|',
    ...facts.map(([name, value]) => `| ${name} | ${escapeMarkdown(value)} |`),
    ...(unmet.length === 0
      ? []
      : [
          '',
          '| missing | it means | to do |',
          '|---|---|---|',
          ...unmet.map(
            ({ gate, means, todo }) =>
              `| ${escapeMarkdown(gate)} | ${escapeMarkdown(means)} | ${escapeMarkdown(todo)} |`,
          ),
        ]),
    ...(next === undefined ? [] : ['', escapeMarkdown(next)]),
  ];
}

/** A line of blocks with its words. */
function harmOverTime({ harmHistory }: IncidentView): string[] {
  const shown = harmHistory && sparkline(harmHistory, { unicode: true });
  if (shown === undefined) return [];
  return ['', `Harm rate: \`${shown.line}\``, '', `${escapeMarkdown(shown.words)}.`];
}
