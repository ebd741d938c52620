import type { PendingApproval } from '../../domain/incident.ts';
import { type Colors, plain, plainLines } from '../output.ts';

/** The plan as a person reads it before deciding: what changes, what it does not restore, and the hash that is signed. */
export function renderPlan(
  pending: PendingApproval,
  { bold, dim, red, green, yellow, cyan }: Colors,
): string {
  const diff = plainLines(pending.diff ?? '').map((line) => {
    if (line.startsWith('+')) return green(line);
    if (line.startsWith('-')) return red(line);
    return line.startsWith('@@') ? cyan(line) : line;
  });
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
