import type { PendingApproval } from '../../domain/incident.ts';
import { type Colors, plain } from '../output.ts';
import { renderDiff } from './lines.ts';

/** The plan as a person reads it before deciding: what changes, what it does not restore, and the hash that is signed. */
export function renderPlan(pending: PendingApproval, colors: Colors): string {
  const { bold, dim, yellow } = colors;
  const diff = renderDiff(pending.diff ?? '', colors);
  const lines = [
    bold(`Step ${plain(pending.step)}: ${plain(pending.summary)}`),
    ...(pending.fromImage || pending.toImage
      ? [`${plain(pending.fromImage)} -> ${plain(pending.toImage)}`]
      : []),
    ...pending.changes.map((change) => `changed    ${plain(change)}`),
    ...pending.warnings.map((warning) => yellow(`warning    ${plain(warning)}`)),
    ...(pending.diff ? ['', ...diff] : []),
    '',
    `${dim('plan')}       ${plain(pending.planHash)}`,
    `${dim('approvals')}  ${pending.approvedBy.length} of ${pending.count}, from ${plain(pending.groups.join(', '))}${pending.approvedBy.length > 0 ? ` (${plain(pending.approvedBy.join(', '))})` : ''}`,
  ];
  return lines.join('\n');
}
