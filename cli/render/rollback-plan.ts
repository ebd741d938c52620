import { formatDuration } from '../../domain/duration.ts';
import type { RollbackInquiry } from '../../domain/rollback-inquiry.ts';
import type { NoRollback, RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { type Colors, plain } from '../output.ts';
import { Cutter, labelled, renderDiff, WIDTH, wrap } from './lines.ts';
import { imageLines, revisionTable } from './revisions.ts';

/** How a person asks for it again: words of our own, and names that Kubernetes takes. */
export interface Asked {
  /** `deployment/llm-api -n models --to previous`. */
  command: string;
  nowMs: number;
}

/** A rollback as it would be, before anything is declared: a page to be read at night. */
export function renderInquiry(inquiry: RollbackInquiry, asked: Asked, colors: Colors): string {
  const cutter = new Cutter();
  const { answer } = inquiry;
  const lines =
    'plan' in answer
      ? planLines(inquiry, answer.plan, asked, colors, cutter)
      : noneLines(inquiry, answer.none, asked, colors, cutter);
  if (cutter.hasCut) lines.push('', colors.dim('Long values are cut (…): --json has all of them.'));
  return lines.join('\n');
}

function planLines(
  inquiry: RollbackInquiry,
  plan: RollbackPlan,
  asked: Asked,
  colors: Colors,
  cutter: Cutter,
): string[] {
  const { bold, green } = colors;
  const { from, to, hash } = plan;
  const same = from.templateHash === to.templateHash;
  const [fromImages = '', toImages = ''] = imageLines(plan);
  return [
    ...heading(plan.target, colors),
    same
      ? bold(`Revision ${to.revision} has the template that runs now: a rollback would change nothing`)
      : bold(`Revision ${from.revision} ${green('→')} revision ${to.revision}`),
    '',
    ...labelled('from', fromImages, colors),
    ...labelled('to', toImages, colors),
    ...labelled('estimate', estimateOf(plan), colors),
    ...situation(inquiry, colors),
    ...section(
      'Revisions',
      revisionTable(
        inquiry.history,
        { running: from.revision, chosen: to.revision, nowMs: asked.nowMs },
        colors,
        cutter,
      ),
      colors,
    ),
    ...servedProblem(inquiry, colors),
    ...section('Changes of the template', same ? [] : renderDiff(plan.diff, colors), colors),
    ...ownersAndWarnings(plan, colors),
    ...section('What happens next', next(inquiry, plan, asked, colors), colors),
    '',
    ...labelled('plan', hash, colors),
  ];
}

function noneLines(
  inquiry: RollbackInquiry,
  none: NoRollback,
  asked: Asked,
  colors: Colors,
  cutter: Cutter,
): string[] {
  const { red } = colors;
  return [
    ...heading(inquiry.target, colors),
    ...wrap(plain(`No rollback is possible: ${none.reason}`), WIDTH).map((line) => red(line)),
    '',
    ...situation(inquiry, colors),
    ...section(
      'Revisions that could be chosen (--to NUMBER)',
      none.candidates.length === 0
        ? ['none']
        : revisionTable(withServed(none.candidates, inquiry.history), { nowMs: asked.nowMs }, colors, cutter),
      colors,
    ),
    ...servedProblem(inquiry, colors),
    ...section(
      'Revert this in Git',
      none.revert === undefined ? [] : renderDiff(none.revert, colors),
      colors,
    ),
  ];
}

/** The candidates, as the history knows them: with what they served. */
function withServed(
  candidates: readonly RevisionSummary[],
  history: readonly RevisionSummary[],
): RevisionSummary[] {
  return candidates.map((one) => history.find(({ replicaSet }) => replicaSet === one.replicaSet) ?? one);
}

export function heading(target: Target, { bold, dim }: Colors): string[] {
  return [
    `${bold(`${target.kind} ${target.namespace}/${target.name}`)}  ${dim(`cluster ${target.cluster}`)}`,
  ];
}

/** What stands in the way, or beside it: mode, owner, rollout, breaker, holders, freeze. */
export function situation(inquiry: RollbackInquiry, colors: Colors): string[] {
  const { facts, actor, rollout, openIncidents } = inquiry;
  const { yellow, red } = colors;
  const breaker = actor?.breaker ?? inquiry.breaker;
  const rows: [string, string | undefined, ((text: string) => string)?][] = [
    [
      'mode',
      facts.mode === 'observe' ? 'observe: nothing will be changed' : facts.mode,
      facts.mode === 'observe' ? yellow : undefined,
    ],
    ['owner', facts.owner],
    ['risk tier', facts.riskTier],
    [
      'rollout',
      rollout === undefined ? 'could not be read' : sayRollout(rollout),
      rollout?.outcome === 'complete' ? undefined : yellow,
    ],
    [
      'breaker',
      breaker && breaker.state !== 'closed'
        ? `${breaker.state}, ${percent(breaker.share)} to the target, the rest ${breaker.fallback ? `to ${breaker.fallback}` : 'is blocked'}: ${breaker.reason}`
        : 'closed',
      breaker && breaker.state !== 'closed' ? yellow : undefined,
    ],
    [
      'override',
      actor?.override &&
        `by ${actor.override.person} until ${clock(actor.override.untilMs)}: ${actor.override.reason}`,
      yellow,
    ],
    [
      'frozen',
      actor?.frozen &&
        `by ${actor.frozen.person} until ${clock(actor.frozen.untilMs)}: ${actor.frozen.reason}`,
      red,
    ],
    ['held by', actor?.holders.join(', ') || undefined],
    [
      'open',
      openIncidents
        .map(({ incidentId, state, runbook }) => `${incidentId} (${runbook}, ${state})`)
        .join(', ') || undefined,
    ],
  ];
  return rows.flatMap(([label, text, paint]) =>
    text === undefined ? [] : labelled(label, text, colors, paint),
  );
}

function servedProblem(
  { servedProblem: problem, history }: RollbackInquiry,
  { dim, yellow }: Colors,
): string[] {
  if (problem !== undefined)
    return wrap(plain(`What revisions served is not known: ${problem}`), WIDTH).map((line) => yellow(line));
  if (history.every(({ served }) => served === undefined))
    return [dim('Prometheus knows nothing of what these revisions served.')];
  return [];
}

function ownersAndWarnings({ owners, warnings }: RollbackPlan, colors: Colors): string[] {
  const { yellow } = colors;
  return [
    ...section(
      'Owners',
      owners.flatMap((owner) => wrap(`- ${plain(owner)}`, WIDTH)),
      colors,
    ),
    ...section(
      'What to know before',
      warnings.flatMap((warning) => wrap(`! ${plain(warning)}`, WIDTH).map((line) => yellow(line))),
      colors,
    ),
  ];
}

function next(inquiry: RollbackInquiry, plan: RollbackPlan, asked: Asked, colors: Colors): string[] {
  const { bold } = colors;
  const { approval, facts, actor, runbook } = inquiry;
  const apply = bold(`firebreak rollback apply ${asked.command} --reason TEXT`);
  const lines: string[] = [];
  if (actor?.frozen) {
    lines.push(
      `Nothing rolls back before ${actor.frozen.person} or another commander ends the freeze: firebreak unfreeze.`,
    );
  }
  if (plan.from.templateHash === plan.to.templateHash) return [...lines, 'Nothing: it is there already.'];
  lines.push(apply);
  if (facts.mode === 'observe') {
    return [
      ...lines,
      'declares an incident that records what would be done: in mode observe nothing is changed.',
    ];
  }
  const who = approval.from.map(plain).join(' or ');
  const declarer =
    approval.count < 2 ? 'Whoever declares it does not approve it' : 'Whoever declares it may be one of them';
  const alone = approval.breakGlass ? '; break-glass is allowed to those who have that right' : '';
  lines.push(
    `declares an incident by runbook ${plain(runbook.name)} v${runbook.version}, and asks ${approval.count} of ${who} to approve this very plan within ${formatDuration(approval.timeoutMs)}. ${declarer}${alone}. Then it waits for the rollout and proves from what the revision serves that it helped.`,
  );
  return lines.flatMap((line) => (line === apply ? [line] : wrap(line, WIDTH)));
}

function estimateOf({ estimateMs }: RollbackPlan): string {
  return estimateMs === undefined
    ? 'not known: the last rollout was not seen'
    : `about ${formatDuration(estimateMs)}, as the last rollout took`;
}

/** The look of a moment: what is not complete is under way, or stuck. */
export function sayRollout({
  outcome,
  detail,
  readyReplicas,
  wantedReplicas,
}: NonNullable<RollbackInquiry['rollout']>): string {
  if (outcome === 'complete') return `complete, ${readyReplicas} of ${wantedReplicas} pods ready`;
  // The look waits for nothing, so that it was "not done in time" says no more than that it is not done.
  return detail.replace(/^not done in time; /, 'not complete: ');
}

export function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))}%`;
}

export function clock(atMs: number): string {
  return `${new Date(atMs).toISOString().replace('T', ' ').slice(0, 16)}Z`;
}

export function section(title: string, lines: readonly string[], { bold }: Colors): string[] {
  return lines.length === 0 ? [] : ['', bold(title), ...lines];
}
