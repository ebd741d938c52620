import type { Command } from 'commander';
import type { DrillPlan } from '../../domain/drill.ts';
import { reportDrill } from '../../domain/drill-report.ts';
import { writeDuration } from '../../domain/duration.ts';
import { findingLine } from '../../domain/finding.ts';
import type { ApiClient } from '../api-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import {
  connect,
  durationMs,
  namedTarget,
  type TargetOptions,
  type TargetReference,
  withTarget,
} from './target-options.ts';

interface DrillOptions extends TargetOptions {
  runbook: string;
  divert?: boolean;
  for?: number;
  yes?: boolean;
}

/** `firebreak drill`: a labelled alert through the real pager, chat and fallback, that changes nothing unless asked. */
export function addDrillCommand(program: Command, context: { io: Io; output: Output }): void {
  withTarget(
    program
      .command('drill')
      .description(
        'practise: page, ask and check for real, and change nothing unless asked; shows its plan first',
      ),
  )
    .requiredOption('--runbook <name>', 'the runbook that is practised')
    .option(
      '--divert',
      "send traffic to the fallback for real, and give it back at the end; a commander's right",
    )
    .option('--for <duration>', 'it ends by itself after this; default 15m, at most 2h', durationMs)
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
People are really paged, by the channels of the runbook's roles, with titles that begin with DRILL. It is over when every
step has ended and somebody has acknowledged, or after its time. Exit code 0: every way worked.

Example:
  firebreak drill deployment/llm-api -n models --runbook ai-harm-response`,
    )
    .action((target: TargetReference, options: DrillOptions) => drill(context, target, options));
}

async function drill(
  context: { io: Io; output: Output },
  target: TargetReference,
  options: DrillOptions,
): Promise<void> {
  const { io, output } = context;
  const client = await connect(options, context);
  const body = {
    target: namedTarget(target, options),
    runbook: options.runbook,
    divert: options.divert ?? false,
    ...(options.for === undefined ? {} : { forMs: options.for }),
  };
  const plan = await client.planDrill(body);
  output.note(renderDrillPlan(plan));
  if (options.yes !== true) {
    const { confirm } = await import('../confirm.ts');
    if (!(await confirm(io, 'Page these people now?')))
      throw new CliError(EXIT.failed, 'not_confirmed', 'Nothing was sent.');
  }
  const begun = await client.beginDrill(body);
  output.note(plain(begun.message));
  await watch(context, client, begun.incidentId, options);
}

/** Every step of the runbook, and what of it a drill does. */
function renderDrillPlan({ target, runbook, drill: { divert, forMs }, steps }: DrillPlan): string {
  const lines = steps.map(({ id, real, what, asks }) => {
    const does = real
      ? 'for real'
      : asks
        ? `asks ${asks.join(' or ')}, then changes nothing`
        : 'changes nothing';
    return `  ${id}: ${what} (${does})`;
  });
  return plain(
    `Drill of ${target.cluster}/${target.namespace}/${target.kind}/${target.name} by ${runbook.name} v${runbook.version}, for at most ${writeDuration(forMs)}${divert ? '; TRAFFIC IS DIVERTED' : ''}`,
  ).concat('\n', lines.map(plain).join('\n'));
}

async function watch(
  { output }: { output: Output },
  client: ApiClient,
  incidentId: string,
  options: DrillOptions,
): Promise<void> {
  const { colors } = output;
  const { followUntil } = await import('../follow.ts');
  const { timelineLine } = await import('../render/incident.ts');
  const view = await followUntil(
    client,
    incidentId,
    ({ state }) => state === 'closed' || (state === 'resolved' && options.divert !== true),
    {
      onEntry: (entry) => output.note(timelineLine(entry, colors)),
      onWaiting: ({ pendingApprovals }) => {
        for (const { step, groups } of pendingApprovals)
          output.note(
            colors.bold(
              plain(`${step} waits for ${groups.join(' or ')}: firebreak incident approve ${incidentId}`),
            ),
          );
      },
    },
  );
  const findings = reportDrill(view);
  const ok = findings.every((finding) => finding.ok);
  if (options.json) output.json({ incidentId, ok, findings });
  else output.print(findings.map(findingLine).join('\n'));
  if (!ok) throw new CliError(EXIT.failed, 'told', '');
}
