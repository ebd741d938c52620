import type { RollbackInquiry } from '../../domain/rollback-inquiry.ts';
import type { RevisionSummary } from '../../domain/rollback-plan.ts';
import { type Colors, plain } from '../output.ts';
import { Cutter, labelled, WIDTH, wrap } from './lines.ts';
import { revisionTable } from './revisions.ts';
import { clock, heading, section, situation } from './rollback-plan.ts';

/** How a target stands: what runs, what diverts it, who holds it, what is known of its revisions. */
export function renderStatus(inquiry: RollbackInquiry, { nowMs }: { nowMs: number }, colors: Colors): string {
  const cutter = new Cutter();
  const { facts, answer, history, actor } = inquiry;
  const running = facts.revision ?? ('plan' in answer ? answer.plan.from.revision : undefined);
  const lines = [
    ...heading(inquiry.target, colors),
    '',
    ...(facts.exists
      ? [
          ...labelled('runs', `revision ${running ?? 'unknown'}: ${facts.images.join(', ')}`, colors),
          ...labelled('replicas', String(facts.replicas ?? 'unknown'), colors),
        ]
      : [colors.red('It does not exist in the cluster.')]),
    ...situation(inquiry, colors),
    ...section(
      'Revisions',
      history.length === 0 ? [] : revisionTable(history, { running, nowMs }, colors, cutter),
      colors,
    ),
    ...section('Known of revisions', ledgerLines(actor?.ledger ?? {}, history), colors),
  ];
  if (cutter.hasCut) lines.push('', colors.dim('Long values are cut (…): --json has all of them.'));
  return lines.join('\n');
}

type Ledger = NonNullable<RollbackInquiry['actor']>['ledger'];

/** Newest finding first, by the number that the template has now where it is in the history still. */
function ledgerLines(ledger: Ledger, history: readonly RevisionSummary[]): string[] {
  return Object.entries(ledger)
    .sort(([, a], [, b]) => b.atMs - a.atMs)
    .flatMap(([hash, { verdict, atMs, incidentId, reason }]) => {
      const revision = history.find(({ templateHash }) => templateHash === hash)?.revision;
      const name = revision === undefined ? `template ${hash.slice(0, 12)}` : `revision ${revision}`;
      return wrap(
        `${plain(name)}: ${verdict} since ${clock(atMs)}, by ${plain(incidentId)}: ${plain(reason)}`,
        WIDTH,
      );
    });
}
