import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { type Colors, plain } from '../output.ts';
import { Cutter, labelled, renderDiff, WIDTH, wrap } from './lines.ts';
import { imageLines, revisionTable } from './revisions.ts';
import { section } from './rollback-plan.ts';

/** What nobody can say without server and Prometheus, told before anything is done. */
const NOT_KNOWN =
  'What Firebreak and Prometheus know of these revisions is not read here: that one was good is yours to know.';

/** The plan of a rollback with a kubeconfig alone. */
export function renderEmergencyPlan(
  plan: RollbackPlan,
  { mode, nowMs }: { mode: string | undefined; nowMs: number },
  colors: Colors,
): string {
  const { bold, yellow, green } = colors;
  const cutter = new Cutter();
  const { from, to } = plan;
  const [fromImages = '', toImages = ''] = imageLines(plan);
  const same = from.templateHash === to.templateHash;
  const lines = [
    heading(plan.target, 'emergency rollback', colors),
    same
      ? bold(`Revision ${to.revision} has the template that runs now: nothing is to be done`)
      : bold(`Revision ${from.revision} ${green('→')} revision ${to.revision}`),
    '',
    ...labelled('from', fromImages, colors),
    ...labelled('to', toImages, colors),
    ...modeLines(mode, colors),
    ...section(
      'Revisions',
      revisionTable(plan.history, { running: from.revision, chosen: to.revision, nowMs }, colors, cutter),
      colors,
    ),
    ...wrap(NOT_KNOWN, WIDTH).map((line) => yellow(line)),
    ...section('Changes of the template', same ? [] : renderDiff(plan.diff, colors), colors),
    ...section(
      'What to know before',
      plan.warnings.flatMap((warning) => wrap(`! ${plain(warning)}`, WIDTH).map((line) => yellow(line))),
      colors,
    ),
  ];
  return lines.join('\n');
}

/** What a diversion with a kubeconfig alone does. */
export function renderEmergencyDivert(
  target: Target,
  { before, after, mode }: { before: string; after: string; mode: string | undefined },
  colors: Colors,
): string {
  return [
    heading(target, 'emergency diversion', colors),
    '',
    ...labelled('now', before, colors),
    ...labelled('then', after, colors),
    ...modeLines(mode, colors),
    ...wrap('Nothing brings the traffic back by itself: people do, through an incident or by hand.', WIDTH),
  ].join('\n');
}

function heading(target: Target, what: string, { bold, red }: Colors): string {
  return `${bold(red(what))}  ${bold(`${target.kind} ${target.namespace}/${target.name}`)}`;
}

function modeLines(mode: string | undefined, colors: Colors): string[] {
  const text =
    mode === 'observe'
      ? 'observe: Firebreak would change nothing here; an emergency by a person is done all the same'
      : (mode ?? 'as the configuration says for the namespace; an emergency by a person is done in any mode');
  return labelled('mode', text, colors, mode === 'observe' ? colors.yellow : undefined);
}
