import type { ActionItem } from './incident.ts';
import { escapeMarkdown } from './plain-text.ts';

/** What people do with the items of a lane. */
const LANES: Readonly<Record<ActionItem['lane'], string>> = {
  control: 'control: not implemented yet',
  assurance: 'assurance: a test or telemetry that proves a control',
  'safety-debt': 'safety debt: accepted risk, renewed or closed by its expiry',
  exception: 'exception: a temporary deviation, gone by its retirement date',
};

/** An action item as the body of a ticket of its own. Everything from outside is escaped. */
export function renderActionItem(item: ActionItem, incidentId: string): string {
  const rows: [string, string | undefined][] = [
    ['Incident', incidentId],
    ['Owner', item.owner],
    ['Due', item.due],
    ['Lane', LANES[item.lane]],
    ['Expires', item.expires],
    ['Retires', item.retires],
    ['NIST AI RMF', item.rmfFunction],
    ['Evidence', item.evidence],
    ['Step', item.step],
    ['Id', item.id],
  ];
  return [
    escapeMarkdown(item.title),
    '',
    '| | |',
    '|---|---|',
    ...rows.flatMap(([name, value]) =>
      value === undefined ? [] : [`| ${name} | ${escapeMarkdown(value)} |`],
    ),
  ].join('\n');
}

/** Lane, due date and end as labels, for systems without such fields and for lists: without spaces, as Jira asks. */
export function actionItemLabels(item: ActionItem): string[] {
  const end = item.expires ?? item.retires;
  return [
    `lane-${item.lane}`,
    `due-${item.due}`,
    ...(end === undefined ? [] : [`${item.expires === undefined ? 'retires' : 'expires'}-${end}`]),
  ];
}
