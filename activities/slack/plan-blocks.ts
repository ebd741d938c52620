import type { Button, KnownBlock } from '@slack/web-api';
import { formatCount, formatRate } from '../../domain/harm-history/format.ts';
import type { IncidentView, PendingApproval, Served } from '../../domain/incident.ts';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import { describeReviews } from '../../domain/samples/precision.ts';
import { actions, button, heading, plain, preformatted, section } from './blocks.ts';
import { type Detail, MAX_CONFIRM_TEXT } from './limits.ts';

/** Digits of a plan's hash that people compare and type: what `/firebreak approve` asks for at least. */
const SHOWN_HASH = 12;

/** The plan that waits, with buttons that decide on exactly it. */
export function planBlocks(view: IncidentView, pending: PendingApproval, detail: Detail): KnownBlock[] {
  const value = { incidentId: view.incidentId, step: pending.step, planHash: pending.planHash };
  const buttons = actions([
    withConfirm(button('approve', 'Approve', value, 'primary'), pending),
    button('reject', 'Reject', value, 'danger'),
  ]);
  const cut = (line: string) => truncate(line, detail.line);
  const reviewed = view.samples?.reviewed && describeReviews(view.samples.reviewed);
  // A line of its own is not cut off with the end of a long summary.
  const summary = pending.summary.replace(`; ${reviewed}`, '');
  return [
    { type: 'divider' },
    heading(`Plan of step ${pending.step}`),
    section(
      [
        cut(summary),
        ...revisionLines(pending, view).map(cut),
        ...bounded(pending.warnings, 'Warning', detail).map(cut),
        ...bounded(pending.changes, 'Changed', detail).map(cut),
        ...(reviewed === undefined ? [] : [`Reviewed samples: ${reviewed}`]),
        ...(pending.breakGlass ? ['One person with the break-glass right may approve alone.'] : []),
        `Plan hash ${pending.planHash.slice(0, SHOWN_HASH)}`,
      ],
      detail.section,
    ),
    ...diffBlocks(pending, detail),
    ...(buttons.length > 0
      ? buttons
      : [section(['To decide: firebreak incident approve or reject, in a terminal'])]),
  ];
}

/** Asked before an approval is sent: one press on a telephone must not change production. */
function withConfirm(
  button: Button | undefined,
  { step, summary, planHash }: PendingApproval,
): Button | undefined {
  if (button === undefined) return undefined;
  const text = `${stripControl(summary)}\nStep ${step}, plan ${planHash.slice(0, SHOWN_HASH)}`;
  return {
    ...button,
    confirm: {
      title: plain('Change production?', MAX_CONFIRM_TEXT),
      text: plain(text, MAX_CONFIRM_TEXT),
      confirm: plain('Approve', MAX_CONFIRM_TEXT),
      deny: plain('Go back', MAX_CONFIRM_TEXT),
    },
  };
}

function diffBlocks({ diff }: PendingApproval, detail: Detail): KnownBlock[] {
  if (diff === undefined || diff === '') return [];
  return detail.diff > 0
    ? [preformatted(diff, detail.diff)]
    : [section(['The diff is too long for here: firebreak incident approve ID shows it before it asks'])];
}

function revisionLines(pending: PendingApproval, { lastHarmRate }: IncidentView): string[] {
  const line = (what: string, revision?: number, image?: string, rate?: string) =>
    revision === undefined
      ? []
      : [`${what} revision ${revision} (${image || 'no image'}): ${rate ?? 'harm rate not known'}`];
  // What serves, or served until it was diverted, is what was measured last.
  const now =
    lastHarmRate === undefined ? undefined : `harm rate ${formatRate(lastHarmRate)} when last looked`;
  return [
    ...line('From', pending.fromRevision, pending.fromImage, servedText(pending.fromServed) ?? now),
    ...line('To', pending.toRevision, pending.toImage, servedText(pending.toServed)),
  ];
}

function servedText(served: Served | undefined): string | undefined {
  if (served === undefined || !(served.classified > 0)) return undefined;
  const rate = formatRate(Math.min(1, served.harmful / served.classified));
  return `harm rate ${rate} (${formatCount(served.harmful)} of ${formatCount(served.classified)} outputs)`;
}

function bounded(lines: readonly string[], label: string, { planLines }: Detail): string[] {
  const more = lines.length - planLines;
  const shown = lines.slice(0, planLines).map((line) => `${label}: ${line}`);
  return more > 0 ? [...shown, `and ${more} more`] : shown;
}
